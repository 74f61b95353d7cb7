// Photographs and what was painted of them: decoded when needed, kept while there is room.

import { finished } from "./blend.mjs";
import { Engine } from "./engine.mjs";
import { decoded, encoded, fileName } from "./pictures.mjs";

// Pixels of pictures kept in memory beside the one that is shown; others are made again.
const KEPT_PIXELS = 40_000_000;
// Longest side that is blended while a slider moves.
export const VIEW = Math.min(1600, Math.ceil(Math.max(screen.width, screen.height) * devicePixelRatio));

export class Item {
  source = null; // {photo, alpha, isFirst}
  result = null; // RGB bytes
  view = null; // {height, width, photo, result}
  painted = null; // rows and columns that the network painted
  key = ""; // of the settings that `result` was painted with
  ms = 0;

  constructor(file, name = file.name) {
    this.file = file;
    this.name = name || "pasted.png";
  }

  get pixels() {
    const { height, width } = this.source.photo;
    return height * width;
  }

  async decode() {
    this.source ??= await decoded(this.file);
    return this.source;
  }

  forget() {
    this.source = this.result = this.view = this.painted = null;
    this.key = "";
  }
}

export class Studio {
  engine = new Engine();
  #recent = [];

  key({ style, strokes }) {
    return `${style.key} ${strokes}`;
  }

  // Paint `item` unless it is painted so already; `step` gets what was painted so far.
  async paint(item, settings, step) {
    const { photo } = await item.decode();
    this.#keep(item);
    const key = this.key(settings);
    if (item.key === key) return;
    const { style, strokes } = settings;
    const done = await this.engine.paint(style, photo, strokes, VIEW, step);
    Object.assign(item, { result: done.result, view: done.view, painted: done.painted, ms: done.ms, key });
  }

  // A file of the whole picture, painted with these settings.
  async file(item, settings, type) {
    await this.paint(item, settings, () => {});
    const { photo, alpha } = item.source;
    const rgba = finished(photo.data, item.result, settings.strength, settings.keepColors, alpha);
    const blob = await encoded(rgba, photo.height, photo.width, type);
    return { name: fileName(item.name, settings.style.name, type), blob };
  }

  #keep(item) {
    this.#recent = [item, ...this.#recent.filter((one) => one !== item)];
    let room = KEPT_PIXELS;
    this.#recent = this.#recent.filter((one, place) => {
      room -= one.pixels;
      if (place === 0 || room >= 0) return true;
      one.forget();
      return false;
    });
  }
}
