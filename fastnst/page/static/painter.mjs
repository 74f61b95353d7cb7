// The chosen photograph, painted: one at a time, and of what is wished the newest counts.

import { at } from "./elements.mjs";
import { Cancelled } from "./engine.mjs";
import { Told } from "./pictures.mjs";
import { complain, explain, note, offerAgain, say, showWork } from "./status.mjs";

// Work on pictures up to this size ends soon enough for the next to wait; larger is cancelled.
const SHORT_WORK = 1_000_000;

export class Painter {
  // The network is lent to the camera, or paints all photographs for a zip.
  isLent = false;
  working = false;
  stopped = false;
  #wanted = 0; // of how many wishes the last is the one that counts
  #refused;

  // `refused` gets a photograph whose file is no picture.
  constructor(studio, album, view, settings, refused) {
    Object.assign(this, { studio, album, view, settings });
    this.#refused = refused;
  }

  async update() {
    const { chosen } = this.album;
    if (this.isLent || !chosen || !this.settings().style) return;
    this.#wanted++;
    this.stopped = false;
    if (this.working) {
      if (chosen.source && chosen.pixels > SHORT_WORK) this.studio.engine.cancel();
      return;
    }
    this.working = true;
    let done = 0;
    while (done !== this.#wanted && !this.stopped) {
      done = this.#wanted;
      await this.#paint(this.album.chosen);
    }
    this.working = false;
  }

  // What the sliders wish: of what went wrong before nothing is said any more.
  wish() {
    complain("");
    return this.update();
  }

  stop() {
    this.stopped = true;
    this.studio.engine.cancel();
    showWork("");
    say("Stopped.");
    offerAgain();
  }

  async #paint(one) {
    const began = this.#wanted;
    try {
      showWork(`Painting ${one.name} …`);
      const source = await one.decode();
      if (!one.view) this.view.showPhoto(source.photo);
      await this.studio.paint(one, this.settings(), (step) => {
        if (began !== this.#wanted || one !== this.album.chosen) return;
        this.view.show(step);
        say(`Painting ${one.name}: pass ${step.step + 1} of ${step.count} …`);
      });
      if (one !== this.album.chosen) return;
      showWork("");
      this.view.show(one.view);
      this.#describe(one);
      at("pair").hidden = false;
    } catch (error) {
      showWork("");
      if (error instanceof Cancelled) return;
      if (error instanceof Told && !one.source) this.#refused(one);
      say("");
      complain(explain(error));
    }
  }

  #describe(one) {
    const { photo, isFirst } = one.source;
    const seconds = (one.ms / 1000).toFixed(1);
    say(`${this.settings().style.title}, ${photo.width} × ${photo.height} pixels, in ${seconds} s.`);
    const [height, width] = one.painted;
    const notes = [];
    if (height < photo.height || width < photo.width) {
      notes.push(
        `Painted at ${width} × ${height} pixels, as many as a browser’s memory takes, and enlarged ` +
          "with the photograph’s detail.",
      );
    }
    if (isFirst) notes.push("Of the animation this is the first picture.");
    note(notes.join(" "));
    tellBackend(this.studio.engine);
  }
}

function tellBackend({ backend, threads }) {
  const how = threads > 1 ? `, ${threads} threads` : "";
  at("backend").textContent =
    backend === "webgpu" ? "It runs on your GPU (WebGPU)." : `It runs on WebAssembly${how}.`;
}
