// Steeper edges, as `with_edges` of fastnst/stylize/coarse_to_fine.py has them and explains them.

import { picture } from "./resample.mjs";

const CHANNELS = 3;

// Of each value `combine`'s of it and those up to `halo` pixels before and after it, along columns
// or rows; the last ones go on beyond the edge. It gets the values, a place in them, steps from
// there to the others by their list, and where in the list.
function along(isColumn, { data, height, width }, halo, Values, combine) {
  const [length, step] = isColumn ? [height, width * CHANNELS] : [width, CHANNELS];
  const steps = Array.from({ length: 2 * halo + 1 }, (_, shift) =>
    Int32Array.from({ length }, (_, at) => {
      const other = Math.min(Math.max(at + shift - halo, 0), length - 1);
      return (other - at) * step;
    }),
  );
  const result = new Values(data.length);
  let at = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const place = isColumn ? y : x;
      for (let channel = 0; channel < CHANNELS; channel++, at++) {
        result[at] = combine(data, at, steps, place);
      }
    }
  }
  return { data: result, height, width };
}

function both(one, halo, Values, combine) {
  return along(false, along(true, one, halo, Values, combine), halo, Values, combine).data;
}

// Weights of 1, 4, 6, 4, 1: after columns and rows 256 all together.
const blur = (data, at, [a, b, , d, e], i) =>
  data[at + a[i]] + data[at + e[i]] + 4 * (data[at + b[i]] + data[at + d[i]]) + 6 * data[at];

const extreme =
  (choose) =>
  (data, at, [a, , c], i) =>
    choose(data[at + a[i]], data[at], data[at + c[i]]);

export function withEdges(before, amount) {
  const { data, height, width } = before;
  const blurred = both(before, 2, Uint16Array, blur);
  const least = both(before, 1, Uint8Array, extreme(Math.min));
  const most = both(before, 1, Uint8Array, extreme(Math.max));
  const result = picture(height, width, CHANNELS);
  // Clamped bytes round as NumPy does, a half to the even number, and its floats are of 32 bits.
  const bytes = new Uint8ClampedArray(result.data.buffer);
  const share = Math.fround(amount);
  for (let at = 0; at < data.length; at++) {
    const added = Math.fround((data[at] - blurred[at] / 256) * share);
    const steeper = Math.fround(data[at] + added);
    bytes[at] = Math.min(Math.max(steeper, least[at]), most[at]);
  }
  return result;
}
