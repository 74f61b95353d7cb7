// The sliders beside the style: what they are set to, and that in words.

import { at } from "./elements.mjs";

export function chosen(style) {
  return {
    style,
    strokes: 2 ** (Number(at("strokes").value) / 2),
    strength: Number(at("strength").value) / 100,
    keepColors: at("colors").checked,
  };
}

// `blended` follows what takes no pass of the network, `painted` what takes one.
export function listenToControls(blended, painted) {
  at("strength").addEventListener("input", () => {
    at("strength-shown").textContent = `${at("strength").value} %`;
    blended();
  });
  at("colors").addEventListener("change", blended);
  at("strokes").addEventListener("input", tellStrokes);
  at("strokes").addEventListener("change", painted);
}

// In words, for screen readers too.
function tellStrokes() {
  const times = chosen(null).strokes;
  const word = times < 1 ? "finer" : "broader";
  const text = times === 1 ? "Automatic" : `${Math.max(times, 1 / times).toFixed(1)} times ${word}`;
  at("strokes-shown").textContent = text;
  at("strokes").setAttribute("aria-valuetext", text);
}
