// Styles as a group of radio buttons; one's own beside those that came with the page.

import { Told } from "./pictures.mjs";

const MOST_BYTES = 100_000_000;

export class Gallery {
  styles = [];

  // `caption` says which style is chosen.
  constructor(grid, caption, chosen) {
    this.grid = grid;
    this.caption = caption;
    this.chosen = chosen;
  }

  async fetch() {
    const answer = await fetch("styles.json");
    if (!answer.ok) throw new Told("The list of styles can’t be loaded; is the server still there?");
    const { styles } = await answer.json();
    for (const row of styles) this.#show(fetched(row));
    this.select(this.styles[0]);
  }

  get style() {
    const place = [...this.grid.querySelectorAll("input")].findIndex((input) => input.checked);
    return this.styles[place];
  }

  select(style) {
    const input = this.grid.querySelectorAll("input")[this.styles.indexOf(style)];
    input.checked = true;
    input.closest("label").scrollIntoView({ block: "nearest", inline: "nearest" });
    this.caption.textContent = named(style);
  }

  #choose(style) {
    this.caption.textContent = named(style);
    this.chosen(style);
  }

  // A file of one's own; `check` fails for one that is no model.
  async add(file, check) {
    if (/\.(ckpt|pth?|model)$/i.test(file.name)) {
      throw new Told(`${file.name} is a checkpoint; make a model file of it: fastnst export ${file.name}`);
    }
    if (file.size === 0) throw new Told(`${file.name} is empty (0 bytes).`);
    if (file.size > MOST_BYTES) throw new Told(`${file.name} is too large for a model (over 100 MB).`);
    const name = file.name.replace(/\.onnx$/i, "");
    const style = {
      name, title: name.replaceAll("_", " "), painter: "your own", thumbnail: "",
      key: `${file.name} ${file.size} ${file.lastModified}`,
      model: () => file.arrayBuffer(),
    };
    const known = this.styles.find((one) => one.key === style.key);
    if (known) return known;
    await check(style);
    this.#show(style);
    return style;
  }

  #show(style) {
    this.styles.push(style);
    const label = document.createElement("label");
    label.className = "style";
    const input = document.createElement("input");
    input.type = "radio";
    input.name = "style";
    input.value = style.name;
    input.setAttribute("aria-label", named(style));
    input.addEventListener("change", () => this.#choose(style));
    label.title = named(style);
    label.append(input, thumbnail(style), spanOf("name", style.label ?? style.title));
    this.grid.append(label);
  }
}

// Titles may say where they may be broken.
const whole = (title) => title.replaceAll("\u00ad", "");

function fetched(row) {
  return {
    ...row,
    title: whole(row.title),
    label: row.title,
    key: row.sha256,
    async model() {
      const answer = await fetch(row.file);
      if (!answer.ok) throw new Told(`The style ${row.title} can’t be loaded; is the server still there?`);
      return answer.arrayBuffer();
    },
  };
}

const named = ({ title, painter }) => (painter ? `${title}, ${painter}` : title);

function thumbnail({ title, thumbnail: address }) {
  if (!address) return spanOf("thumb", title.slice(0, 1).toUpperCase());
  const image = document.createElement("img");
  Object.assign(image, { className: "thumb", src: address, alt: "", width: 200, height: 200 });
  return image;
}

function spanOf(kind, text) {
  const span = document.createElement("span");
  span.className = kind;
  span.textContent = text;
  return span;
}
