// What fastnst.stylize.effects does around the network's pass, to the same bytes: pictures are
// { data, height, width, channels }, data a Uint8ClampedArray of rows of pixels.

export const LUMA = [0.299, 0.587, 0.114];
const SPARE_OCTAVES = 0.6;
const BITS = 22;

export function picture(height, width, channels = 3, data = undefined) {
  return { data: data ?? new Uint8ClampedArray(height * width * channels), height, width, channels };
}

// Python's: halves to the even number.
export function roundEven(x) {
  const low = Math.floor(x);
  const apart = x - low;
  if (apart !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

function cubic(x) {
  x = Math.abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

// For each position of a side of `after`, which of `before` it is made of and how much of each:
// Pillow's weights, in whole numbers of 2 ** -22.
function weightsOf(before, after) {
  const scale = before / after;
  const wide = Math.max(1, scale);
  const support = 2 * wide;
  const first = new Int32Array(after);
  const count = new Int32Array(after);
  const most = Math.ceil(support) * 2 + 1;
  const weights = new Int32Array(after * most);
  const row = new Float64Array(most);
  for (let place = 0; place < after; place++) {
    const center = (place + 0.5) * scale;
    const low = Math.max(0, Math.trunc(center - support + 0.5));
    const high = Math.min(before, Math.trunc(center + support + 0.5));
    let sum = 0;
    for (let i = low; i < high; i++) {
      row[i - low] = cubic((i - center + 0.5) / wide);
      sum += row[i - low];
    }
    for (let i = 0; i < high - low; i++) {
      const weight = (row[i] / sum) * (1 << BITS);
      weights[place * most + i] = weight < 0 ? Math.trunc(weight - 0.5) : Math.trunc(weight + 0.5);
    }
    first[place] = low;
    count[place] = high - low;
  }
  return { first, count, weights, most };
}

function level(sum) {
  const value = (sum + (1 << (BITS - 1))) >> BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

function across(source, width) {
  const { data, height, channels } = source;
  const { first, count, weights, most } = weightsOf(source.width, width);
  const result = picture(height, width, channels);
  const out = result.data;
  for (let y = 0; y < height; y++) {
    const row = y * source.width * channels;
    for (let x = 0; x < width; x++) {
      const begin = row + first[x] * channels;
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let i = 0, at = begin + c; i < count[x]; i++, at += channels) {
          sum += data[at] * weights[x * most + i];
        }
        out[(y * width + x) * channels + c] = level(sum);
      }
    }
  }
  return result;
}

function down(source, height) {
  const { data, width, channels } = source;
  const { first, count, weights, most } = weightsOf(source.height, height);
  const result = picture(height, width, channels);
  const wide = width * channels;
  const sums = new Int32Array(wide);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (let i = 0; i < count[y]; i++) {
      const weight = weights[y * most + i];
      const row = (first[y] + i) * wide;
      for (let x = 0; x < wide; x++) sums[x] += data[row + x] * weight;
    }
    const to = y * wide;
    for (let x = 0; x < wide; x++) result.data[to + x] = level(sums[x]);
  }
  return result;
}

// At another size, cubic with antialiasing.
export function resampled(source, height, width) {
  if (source.width !== width) source = across(source, width);
  return source.height === height ? source : down(source, height);
}

export function strokesOf(strokes, size, shortSide) {
  return strokes === 'auto' ? Math.max(1, Math.min(...size) / shortSide) : strokes;
}

// Sizes [height, width] at which a picture is painted coarse to fine, and one before.
export function steps(size, enlarged) {
  const count = Math.max(1, Math.ceil(Math.log2(enlarged) - SPARE_OCTAVES));
  const sizes = [];
  for (let place = 0; place < count + 2; place++) {
    sizes.push(divided(size, enlarged ** ((count + 1 - place) / count)));
  }
  return sizes;
}

function divided(size, by) {
  return size.map((side) => Math.max(1, roundEven(side / by)));
}

// `network` is a pass, from a picture to a promise of one; `most` the pixels that it may take at
// once: what is larger gets the photograph's detail instead of painted detail. `tell` gets how far
// it is, 0 to 1.
export async function painted(network, photo, enlarged, most, tell = () => {}) {
  const full = [photo.height, photo.width];
  if (enlarged <= 1) {
    const larger = resampled(photo, ...divided(full, enlarged));
    if (larger.height * larger.width > most) return painted(network, photo, Math.sqrt(full[0] * full[1] / most), most, tell);
    return resampled(await network(larger), ...full);
  }
  const sizes = steps(full, enlarged);
  const works = sizes.slice(1).map(([height, width]) => height * width);
  const all = works.reduce((a, b) => a + b);
  let done = works[0];
  let result = await network(resampled(photo, ...sizes[1]));
  tell(done / all);
  for (let place = 2; place < sizes.length; place++) {
    const size = sizes[place];
    if (size[0] * size[1] > most) {
      return withDetail(result, photo);
    }
    const grid = sizes[place - 2];
    const coarse = resampled(result, ...grid);
    result = await network(withDetail(coarse, resampled(photo, ...size)));
    putCoarse(result, coarse);
    done += works[place - 1];
    tell(done / all);
  }
  return result;
}

// `coarse`, enlarged, with what the photograph's luminance has beyond it.
export function withDetail(coarse, photo) {
  const { height, width, data } = photo;
  const light = picture(height, width, 1);
  for (let i = 0, at = 0; i < light.data.length; i++, at += 3) {
    light.data[i] = (data[at] * 19595 + data[at + 1] * 38470 + data[at + 2] * 7471 + 0x8000) >> 16;
  }
  const below = resampled(resampled(light, coarse.height, coarse.width), height, width);
  const result = resampled(coarse, height, width);
  const out = result === coarse ? new Uint8ClampedArray(result.data) : result.data;
  for (let i = 0, at = 0; i < light.data.length; i++) {
    const detail = light.data[i] - below.data[i];
    for (let c = 0; c < 3; c++, at++) out[at] += detail;
  }
  return picture(height, width, 3, out);
}

// Replace in `result` what is as coarse as `coarse`.
function putCoarse(result, coarse) {
  const { height, width } = result;
  const own = resampled(resampled(result, coarse.height, coarse.width), height, width).data;
  const wanted = resampled(coarse, height, width).data;
  for (let i = 0; i < own.length; i++) result.data[i] += wanted[i] - own[i];
}

// Strength (0 the photograph, 1 the style) and the photograph's colours, into RGBA.
export function blended(photo, style, strength, keepColours, rgba) {
  const before = photo.data;
  const after = style.data;
  const share = Math.fround(strength);
  for (let i = 0, at = 0; at < before.length; i += 4, at += 3) {
    let r = after[at] - before[at];
    let g = after[at + 1] - before[at + 1];
    let b = after[at + 2] - before[at + 2];
    if (keepColours) {
      const light = LUMA[0] * r + LUMA[1] * g + LUMA[2] * b;
      r = limited(before[at] + light) - before[at];
      g = limited(before[at + 1] + light) - before[at + 1];
      b = limited(before[at + 2] + light) - before[at + 2];
    }
    // A clamped array rounds halves to the even number, as NumPy does.
    rgba[i] = Math.fround(before[at] + Math.fround(r * share));
    rgba[i + 1] = Math.fround(before[at + 1] + Math.fround(g * share));
    rgba[i + 2] = Math.fround(before[at + 2] + Math.fround(b * share));
    rgba[i + 3] = 255;
  }
  return rgba;
}

function limited(value) {
  return value < 0 ? 0 : value > 255 ? 255 : value;
}
