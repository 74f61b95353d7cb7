// Cubic resampling with antialiasing, to the same bytes as Pillow's resize(BICUBIC), which
// `fastnst apply` uses. Pictures are {data: Uint8Array, height, width, channels}, rows first.

const BITS = 22; // of a weight's fraction, as Pillow has it
const HALF = 1 << (BITS - 1);

export function picture(height, width, channels = 3) {
  return { data: new Uint8Array(height * width * channels), height, width, channels };
}

function cubic(x) {
  const a = -0.5;
  x = Math.abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

// For each position of a side of `to`: the first position of `from` that it sees, how many, and
// their weights as integers.
function weights(from, to) {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = 2 * stretch;
  const most = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const values = new Int32Array(to * most);
  const exact = new Float64Array(most);
  for (let place = 0; place < to; place++) {
    const centre = (place + 0.5) * scale;
    const low = Math.max(0, Math.trunc(centre - support + 0.5));
    const high = Math.min(from, Math.trunc(centre + support + 0.5));
    let sum = 0;
    for (let i = 0; i < high - low; i++) {
      exact[i] = cubic((i + low - centre + 0.5) / stretch);
      sum += exact[i];
    }
    for (let i = 0; i < high - low; i++) {
      const weight = (exact[i] / sum) * (1 << BITS);
      values[place * most + i] = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    first[place] = low;
    count[place] = high - low;
  }
  return { first, count, values, most };
}

function level(sum) {
  const value = sum >> BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

function across(source, width) {
  const { data, height, channels } = source;
  const result = picture(height, width, channels);
  const { first, count, values, most } = weights(source.width, width);
  for (let row = 0; row < height; row++) {
    const start = row * source.width * channels;
    let put = row * width * channels;
    for (let column = 0; column < width; column++) {
      const base = column * most;
      const end = count[column];
      for (let channel = 0; channel < channels; channel++) {
        let sum = HALF;
        let at = start + first[column] * channels + channel;
        for (let i = 0; i < end; i++, at += channels) sum += data[at] * values[base + i];
        result.data[put++] = level(sum);
      }
    }
  }
  return result;
}

function down(source, height) {
  const { data, width, channels } = source;
  const result = picture(height, width, channels);
  const { first, count, values, most } = weights(source.height, height);
  const stride = width * channels;
  const sums = new Int32Array(stride);
  for (let row = 0; row < height; row++) {
    sums.fill(HALF);
    for (let i = 0; i < count[row]; i++) {
      const weight = values[row * most + i];
      const start = (first[row] + i) * stride;
      for (let at = 0; at < stride; at++) sums[at] += data[start + at] * weight;
    }
    const put = row * stride;
    for (let at = 0; at < stride; at++) result.data[put + at] = level(sums[at]);
  }
  return result;
}

export function resampled(source, [height, width]) {
  let result = source;
  if (source.width !== width) result = across(result, width);
  if (source.height !== height) result = down(result, height);
  return result;
}
