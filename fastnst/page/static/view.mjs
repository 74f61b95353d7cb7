// What the page shows: a picture before and after, blended as the sliders have it.

import { finished } from "./blend.mjs";
import { at } from "./elements.mjs";
import { put } from "./pictures.mjs";

export class View {
  #settings;
  #drawing = 0;

  constructor(settings) {
    this.#settings = settings;
    at("divider").addEventListener("input", ({ target }) => {
      at("frame").style.setProperty("--at", `${target.value}%`);
    });
  }

  // RGB bytes of the photograph and of what was painted of it.
  show({ height, width, photo, result }) {
    const { strength, keepColors } = this.#settings();
    frame(height, width, false);
    put(at("before"), finished(photo, photo, 1, false), height, width);
    put(at("after"), finished(photo, result, strength, keepColors), height, width);
  }

  // Before anything is painted of it.
  showPhoto({ data, height, width }) {
    frame(height, width, true);
    put(at("after"), finished(data, data, 1, false), height, width);
  }

  // Where a slider moves: once a frame of the screen.
  blend(item) {
    cancelAnimationFrame(this.#drawing);
    this.#drawing = requestAnimationFrame(() => item?.view && this.show(item.view));
  }
}

function frame(height, width, only) {
  at("frame").style.setProperty("--ratio", width / height);
  at("frame").classList.toggle("only", only);
}
