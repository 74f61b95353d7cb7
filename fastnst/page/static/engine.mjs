// The page's end of the worker: models are loaded, pictures run, work is cancelled by ending it.

const TESTED = 16; // pixels of a side

export class Cancelled extends Error {}

export class Engine {
  #worker = null;
  #waiting = new Map();
  #next = 0;
  #loaded = "";
  #turn = Promise.resolve();
  #busy = false;
  backend = "";
  threads = 1;

  // What the worker answers to one message; `step` gets what comes before that.
  #ask(message, transferred = [], step = () => {}) {
    this.#worker ??= this.#started();
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, step });
      this.#worker.postMessage({ ...message, id }, transferred);
    });
  }

  #started() {
    const worker = new Worker(new URL("worker.mjs", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => {
      const asked = this.#waiting.get(data.id);
      if (!asked) return;
      if (data.type === "step") return asked.step(data);
      this.#waiting.delete(data.id);
      if (data.type !== "failed") return asked.resolve(data);
      const error = new Error(data.why);
      error.during = data.during;
      asked.reject(error);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#end(new Error(event.message || "the worker did not start"));
    };
    return worker;
  }

  #end(error) {
    this.#worker?.terminate();
    this.#worker = null;
    this.#loaded = "";
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(error);
  }

  cancel() {
    this.#end(new Cancelled());
  }

  // One after the other: between a model and its picture no other model may come.
  #alone(work) {
    this.#busy = true;
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => {});
    return mine;
  }

  // Fetch and compile the runtime before there is a wish, and, where there is none by then, a style.
  async start(style) {
    await this.#ask({ type: "start" });
    if (!this.#busy) await this.load(await style);
  }

  // `style.model()` gives its file's bytes.
  load(style) {
    return this.#alone(() => this.#load(style));
  }

  // Of `photo` {data, height, width} the worker gets a copy: it may be ended at any time. `view` is
  // the longest side of what is shown.
  paint(style, photo, strokes, view, step) {
    return this.#alone(async () => {
      await this.#load(style);
      const copy = { ...photo, data: photo.data.slice() };
      const message = { type: "run", photo: copy, strokes, view };
      try {
        return await this.#ask(message, [copy.data.buffer], step);
      } catch (error) {
        // What failed may have left its memory behind.
        if (!(error instanceof Cancelled)) this.#end(error);
        throw error;
      }
    });
  }

  // Rejects unless a small picture comes out of the style as one.
  test(style) {
    const photo = { data: new Uint8Array(TESTED * TESTED * 3), height: TESTED, width: TESTED };
    return this.paint(style, photo, 1, TESTED, () => {});
  }

  async #load(style) {
    if (this.#loaded === style.key) return;
    this.#loaded = "";
    const model = await style.model();
    const { backend, threads } = await this.#ask({ type: "load", model });
    this.#loaded = style.key;
    [this.backend, this.threads] = [backend, threads];
  }
}
