// The worker as promises. Cancelling ends the worker and starts another.

export class Cancelled extends Error {}

export class Engine {
  constructor(settings) {
    this.settings = settings;
    this.models = new Map();
    this.begin();
  }

  begin() {
    this.waiting = new Map();
    this.loaded = new Set();
    this.count = 0;
    this.worker = new Worker(new URL('./worker.mjs', import.meta.url), { type: 'module' });
    this.worker.onmessage = ({ data }) => this.answered(data);
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.end(new Error(event.message || 'the computing part of the page did not start'));
    };
    this.started = this.ask('start', this.settings);
    this.started.catch(() => {});
  }

  ask(kind, message, transfer = [], progress = undefined) {
    const id = ++this.count;
    return new Promise((done, failed) => {
      this.waiting.set(id, { done, failed, progress });
      this.worker.postMessage({ ...message, kind, id }, transfer);
    });
  }

  answered({ id, progress, done, failed }) {
    const waiting = this.waiting.get(id);
    if (!waiting) return;
    if (progress !== undefined) return void waiting.progress?.(progress);
    this.waiting.delete(id);
    failed === undefined ? waiting.done(done) : waiting.failed(new Error(failed));
  }

  end(error) {
    this.worker.terminate();
    for (const { failed } of this.waiting.values()) failed(error);
    this.waiting.clear();
  }

  get busy() {
    return this.waiting.size > 0;
  }

  // Let go of whatever is being computed.
  cancel() {
    if (!this.busy) return;
    this.end(new Cancelled());
    this.begin();
  }

  add(name, bytes) {
    this.models.set(name, bytes);
  }

  async load(name, url) {
    const worker = this.worker;
    if (!this.models.has(name)) {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`the style could not be fetched (${response.status})`);
      this.models.set(name, await response.arrayBuffer());
    }
    if (worker !== this.worker) throw new Cancelled();
    await this.ask('load', { name, bytes: new Uint8Array(this.models.get(name)) });
  }

  // Paint { data, height, width }; `small` at the preview's size.
  async paint(name, photo, { strokes, small }, progress) {
    const { height, width } = photo;
    const data = new Uint8ClampedArray(photo.data);
    const message = { name, height, width, data, strokes, small };
    return this.ask('paint', message, [data.buffer], progress);
  }
}
