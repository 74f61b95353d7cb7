// All computing: models, passes of the network, coarse to fine. One request at a time.
import * as ort from './runtime/ort.wasm.min.mjs';
import { painted, picture, resampled, strokesOf } from './paint.mjs';

ort.env.wasm.wasmPaths = new URL('./runtime/', import.meta.url).href;
ort.env.wasm.numThreads = self.crossOriginIsolated
  ? Math.max(1, Math.min(navigator.hardwareConcurrency || 1, 8))
  : 1;
ort.env.logLevel = 'error';

// Models stay ready, the one that was used last at the end.
const KEPT = 2;
const sessions = new Map();
let shortSide = 512;
let mostPixels = 4e6;

async function load(name, bytes) {
  if (!sessions.has(name)) {
    const session = await ort.InferenceSession.create(bytes, { executionProviders: ['wasm'], logSeverityLevel: 3 });
    const fits = session.inputNames.length === 1 && session.inputNames[0] === 'image';
    if (!fits || session.outputNames[0] !== 'stylized') {
      await session.release();
      throw new Error('it is no file of fastnst export');
    }
    sessions.set(name, session);
    while (sessions.size > KEPT) {
      const [oldest, old] = sessions.entries().next().value;
      sessions.delete(oldest);
      await old.release();
    }
  }
}

function networkOf(name) {
  const session = sessions.get(name);
  sessions.delete(name);
  sessions.set(name, session);
  return async (source) => {
    const { height, width, data } = source;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.length);
    const tensor = new ort.Tensor('uint8', bytes, [height, width, 3]);
    const { stylized } = await session.run({ image: tensor });
    const result = new Uint8ClampedArray(stylized.data);
    stylized.dispose?.();
    return picture(height, width, 3, result);
  };
}

const answers = {
  async start(message) {
    ({ shortSide, mostPixels } = message);
    return { threads: ort.env.wasm.numThreads };
  },
  async load({ name, bytes }) {
    await load(name, bytes);
    return {};
  },
  async paint({ id, name, height, width, data, strokes, small }) {
    const began = performance.now();
    const photo = picture(height, width, 3, data);
    const short = Math.min(height, width);
    const tell = (share) => postMessage({ id, progress: share });
    let source = photo;
    let size = strokesOf(strokes, [height, width], shortSide);
    if (small && short > shortSide) {
      const by = short / shortSide;
      source = resampled(photo, Math.round(height / by), Math.round(width / by));
      size = Math.max(size / by, 1 / 3);
    }
    const result = await painted(networkOf(name), source, size, mostPixels, tell);
    return {
      height: result.height, width: result.width, data: result.data,
      ms: performance.now() - began,
      detailed: !small && height * width > mostPixels,
      transfer: [result.data.buffer],
    };
  },
};

let last = Promise.resolve();
self.onmessage = ({ data: message }) => {
  last = last.then(async () => {
    try {
      const { transfer = [], ...answer } = await answers[message.kind](message);
      postMessage({ id: message.id, done: answer }, transfer);
    } catch (error) {
      postMessage({ id: message.id, failed: String(error?.message ?? error) });
    }
  });
};
