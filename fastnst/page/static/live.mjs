// The camera's button: while the camera runs, its picture is the page's.

import { startCamera } from "./camera.mjs";
import { at } from "./elements.mjs";
import { Cancelled } from "./engine.mjs";
import { complain, explain, note, say, showStop } from "./status.mjs";

const LIVE = "The camera, painted as it comes. Nothing is recorded.";

export class Live {
  #camera = null;
  #asking = false;
  #painter;
  #ended;

  // `ended` gets the picture that was taken, or null, once the page is as it was.
  constructor(painter, ended) {
    this.#painter = painter;
    this.#ended = ended;
    if (!navigator.mediaDevices?.getUserMedia) return;
    at("camera").hidden = false;
    at("camera").addEventListener("click", () => this.#press());
  }

  get isRunning() {
    return this.#camera !== null;
  }

  stop() {
    this.#camera.stop();
  }

  tell() {
    say(LIVE);
  }

  async #press() {
    if (this.#camera) return this.#camera.take();
    const painter = this.#painter;
    if (this.#asking || painter.isLent) return;
    this.#asking = true;
    complain("");
    if (painter.working) painter.studio.engine.cancel();
    try {
      this.#camera = await startCamera(at("video"), painter.studio.engine, {
        settings: painter.settings,
        show: (view) => painter.view.show(view),
        started: () => this.#begin(),
        told: tell,
        ended: (file, error) => this.#end(file, error),
      });
    } catch (error) {
      complain(explain(error));
    }
    this.#asking = false;
  }

  #begin() {
    this.#painter.isLent = true;
    at("camera").lastElementChild.textContent = "Take the picture";
    at("pair").hidden = at("all").hidden = at("progress").hidden = true;
    note("");
    showStop(true);
    this.tell();
  }

  #end(file, error) {
    this.#camera = null;
    this.#painter.isLent = false;
    at("camera").lastElementChild.textContent = "Camera";
    note("");
    showStop(false);
    say("");
    this.#ended(file);
    if (error && !(error instanceof Cancelled)) complain(explain(error));
  }
}

// Not in the status, which screen readers read out each time.
function tell({ frames, rate, height, width }) {
  const each = rate < 10 ? rate.toFixed(1) : rate.toFixed(0);
  note(`${frames} pictures so far, ${each} a second, at ${width} × ${height}.`);
}
