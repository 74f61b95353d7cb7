// Colours and strength, each pixel by itself: the network need not run again. In float32, rounded
// as `fastnst apply` does. Pictures are RGB bytes; `finished` gives RGBA bytes for a canvas.

import { rounded } from "./paint.mjs";

const f = Math.fround;
const LUMA = [f(0.299), f(0.587), f(0.114)];

// `alpha` (a byte a pixel, or null) is the photograph's own. `photo` lies over white.
export function finished(photo, result, strength, keepColors, alpha = null) {
  const pixels = photo.length / 3;
  const data = new Uint8ClampedArray(pixels * 4);
  const share = f(strength);
  const plain = strength === 1 && !keepColors;
  const after = [0, 0, 0];
  for (let i = 0, from = 0, to = 0; i < pixels; i++, from += 3, to += 4) {
    after[0] = result[from];
    after[1] = result[from + 1];
    after[2] = result[from + 2];
    if (!plain) {
      if (keepColors) withColorsOf(after, photo, from);
      for (let channel = 0; channel < 3; channel++) {
        const before = photo[from + channel];
        after[channel] = mixed(before, after[channel], share);
      }
    }
    data[to] = after[0];
    data[to + 1] = after[1];
    data[to + 2] = after[2];
    data[to + 3] = alpha === null ? 255 : alpha[i];
  }
  return data;
}

function mixed(before, after, share) {
  if (share === 1) return rounded(after);
  return rounded(f(before + f(f(after - before) * share)));
}

function withColorsOf(after, photo, from) {
  let luminance = 0;
  for (let channel = 0; channel < 3; channel++) {
    luminance = f(luminance + f((after[channel] - photo[from + channel]) * LUMA[channel]));
  }
  for (let channel = 0; channel < 3; channel++) {
    const value = f(photo[from + channel] + luminance);
    after[channel] = value < 0 ? 0 : value > 255 ? 255 : value;
  }
}
