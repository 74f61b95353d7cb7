// The photographs in a row, and which of them is chosen.

import { at } from "./elements.mjs";
import { Item } from "./studio.mjs";

export class Album {
  items = [];
  chosen = null;
  #demo = null; // what the page begins with
  #choose;

  // `choose` gets the photograph whose button was pressed.
  constructor(choose) {
    this.#choose = choose;
  }

  get isUntouched() {
    return this.chosen === this.#demo;
  }

  // Whether the photograph that the page begins with is shown: there may be others already.
  begin(demo) {
    this.#demo = demo;
    if (this.items.length) return false;
    this.#reset();
    return true;
  }

  // The first of the photographs that came.
  add(files) {
    const added = files.map((file) => new Item(file));
    this.items = [...this.items.filter((one) => one !== this.#demo), ...added];
    return added[0];
  }

  // A file that is no picture is taken off again; its neighbour takes its place, or the demo does.
  remove(one) {
    const place = this.items.indexOf(one);
    this.items = this.items.filter((other) => other !== one);
    URL.revokeObjectURL(one.address);
    if (!this.items.length) this.#reset();
    else if (this.chosen === one) this.chosen = this.items[Math.min(place, this.items.length - 1)];
    this.#list();
  }

  select(one) {
    this.chosen = one;
    this.#list();
  }

  #reset() {
    this.chosen = this.#demo;
    this.items = this.#demo ? [this.#demo] : [];
  }

  #list() {
    at("strip").hidden = at("all").hidden = this.items.length < 2;
    const focused = at("strip").contains(document.activeElement);
    at("strip").replaceChildren(...this.items.map((one) => this.#row(one)));
    if (focused) at("strip").querySelector("[aria-current=true]")?.focus();
  }

  #row(one) {
    const row = document.createElement("li");
    const button = document.createElement("button");
    const image = document.createElement("img");
    button.type = "button";
    button.setAttribute("aria-label", one.name);
    button.setAttribute("aria-current", String(one === this.chosen));
    button.addEventListener("click", () => this.#choose(one));
    one.address ??= URL.createObjectURL(one.file);
    Object.assign(image, { src: one.address, alt: "" });
    button.append(image);
    row.append(button);
    return row;
  }
}
