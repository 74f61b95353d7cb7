// Coarse to fine, as fastnst/stylize/coarse_to_fine.py has it and explains it: the network first paints
// the picture small, and what it painted, enlarged and with the photograph's detail, again larger.

import { withEdges } from "./edges.mjs";
import { picture, resampled } from "./resample.mjs";

export const SHORT_SIDE = 512;
const SPARE_OCTAVES = 0.6;

// Python's round: a half goes to the even number.
export function rounded(x) {
  const low = Math.floor(x);
  const part = x - low;
  if (part !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

export function divided(size, by) {
  return size.map((side) => Math.max(1, rounded(side / by)));
}

// Sizes at which a picture is painted, and one before.
export function steps(size, enlarged) {
  const count = Math.max(1, Math.ceil(Math.log2(enlarged) - SPARE_OCTAVES));
  return Array.from({ length: count + 2 }, (_, place) =>
    divided(size, enlarged ** ((count + 1 - place) / count)),
  );
}

// So many times as broad as `--stroke-size auto` has them.
export function enlargedFor(size, strokes) {
  return strokes * Math.max(1, Math.min(...size) / SHORT_SIDE);
}

const sizeOf = (one) => [one.height, one.width];
const clipped = (value) => (value < 0 ? 0 : value > 255 ? 255 : value);

function light(photo) {
  const result = picture(photo.height, photo.width, 1);
  const { data } = photo;
  for (let i = 0, at = 0; i < result.data.length; i++, at += 3) {
    result.data[i] = (data[at] * 19595 + data[at + 1] * 38470 + data[at + 2] * 7471 + 32768) >> 16;
  }
  return result;
}

// `coarse`, enlarged, with what the photograph's luminance has beyond `grid`.
export function withDetail(coarse, photo, grid) {
  const size = sizeOf(photo);
  const lit = light(photo);
  const below = resampled(resampled(lit, grid), size);
  const result = resampled(coarse, size);
  const data = result === coarse ? (result.data = result.data.slice()) : result.data;
  for (let i = 0, at = 0; i < lit.data.length; i++) {
    const detail = lit.data[i] - below.data[i];
    for (let channel = 0; channel < 3; channel++, at++) data[at] = clipped(data[at] + detail);
  }
  return result;
}

// Replace in `result` what is as coarse as `coarse`.
function putCoarse(result, coarse) {
  const size = sizeOf(result);
  const own = resampled(resampled(result, sizeOf(coarse)), size);
  const wanted = resampled(coarse, size);
  const { data } = result;
  for (let at = 0; at < data.length; at++) {
    data[at] = clipped(data[at] + wanted.data[at] - own.data[at]);
  }
}

// The sizes up to the first of more than `most` pixels, and that one as large as `most` allows.
function within(most, sizes) {
  const beyond = sizes.findIndex(([height, width]) => height * width > most);
  if (beyond < 0) return sizes;
  const [height, width] = sizes[beyond];
  const last = divided([height, width], Math.sqrt((height * width) / most));
  return [...sizes.slice(0, beyond), last];
}

// `network` makes a picture of a picture, asynchronously; `seen` gets what was painted so far. A
// pass has at most so many pixels: what is larger is enlarged with the photograph's detail. Also
// gives the size that was painted.
export async function painted(most, network, photo, strokes, seen = () => {}) {
  const full = sizeOf(photo);
  const enlarged = enlargedFor(full, strokes);
  const planned = enlarged > 1 ? steps(full, enlarged) : [[1, 1], divided(full, enlarged)];
  const sizes = within(most, planned);
  let result = await network(resampled(photo, sizes[1]));
  for (let place = 2; place < sizes.length; place++) {
    seen(result, place - 1, sizes.length - 1);
    const [grid, size] = [sizes[place - 2], sizes[place]];
    const coarse = resampled(result, grid);
    result = await network(withDetail(coarse, resampled(photo, size), grid));
    putCoarse(result, coarse);
  }
  if (enlarged > 1) result = withEdges(result, Math.min(1, Math.log2(enlarged)));
  const last = sizes.at(-1);
  const isWhole = last[0] >= full[0] && last[1] >= full[1];
  result = isWhole ? resampled(result, full) : withDetail(result, photo, last);
  return { result, size: isWhole ? full : last };
}
