// All computing. In: {type: "start", id}, {type: "load", id, model}, {type: "run", id, photo,
// strokes, view}. Out: {type: "ready", id, backend, threads}, {type: "step", id, ...}, {type: "done",
// id, ...}, {type: "failed", id, why}. Buffers are transferred.

import { painted } from "./paint.mjs";
import { resampled } from "./resample.mjs";

// Pixels of one pass of the network: 12 million took 2.5 GB, and WebAssembly ends at 4.
const MOST = navigator.userAgent.includes("Mobile") ? 1_000_000 : 4_000_000;
const MOST_THREADS = 8;
const CHECKED = 64;
// Levels that two backends may be apart, at most and on average.
const APART = 3;
const APART_ON_AVERAGE = 0.1;
const NO_MODEL = "not a model of fastnst export";

let ort = null;
let backend = "";
let session = null;
let isBytes = true;

const place = (name) => new URL(`runtime/${name}`, self.location.href).href;

async function start() {
  if (ort !== null) return;
  const gpu = await hasGpu();
  const [library, files] = gpu
    ? ["ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify"]
    : ["ort.wasm.min.mjs", "ort-wasm-simd-threaded"];
  ort = await import(place(library));
  ort.env.logLevel = "error";
  ort.env.wasm.wasmPaths = { mjs: place(`${files}.mjs`), wasm: place(`${files}.wasm`) };
  const cores = navigator.hardwareConcurrency || 1;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(cores, MOST_THREADS) : 1;
  backend = gpu ? "" : "wasm";
  // The runtime has no call that only starts it: it starts before it refuses what is no model.
  await ort.InferenceSession.create(new Uint8Array(1), { logSeverityLevel: 4 }).catch(() => {});
}

// A GPU, and none that a processor plays.
async function hasGpu() {
  try {
    const adapter = await navigator.gpu?.requestAdapter();
    if (!adapter) return false;
    const info = adapter.info ?? {};
    if (adapter.isFallbackAdapter || info.isFallbackAdapter) return false;
    return !/swiftshader|llvmpipe|lavapipe/i.test(`${info.vendor} ${info.architecture} ${info.description}`);
  } catch {
    return false;
  }
}

async function opened(model, provider) {
  const found = await ort.InferenceSession.create(new Uint8Array(model), {
    executionProviders: provider === "webgpu" ? ["webgpu", "wasm"] : ["wasm"],
    graphOptimizationLevel: "all",
    logSeverityLevel: 3,
  });
  if (found.inputNames[0] !== "image" || found.outputNames[0] !== "stylized") {
    throw new Error(NO_MODEL);
  }
  return found;
}

// On a GPU only where it gives what a processor gives.
async function load(model) {
  if (session !== null) await session.release();
  session = null;
  await start();
  if (backend === "") backend = (await agrees(model)) ? "webgpu" : "wasm";
  session = await opened(model, backend);
  isBytes = takesBytes(session);
}

function takesBytes(one) {
  const type = one.inputMetadata?.[0]?.type;
  return type === undefined || type === "uint8";
}

async function agrees(model) {
  const one = { data: new Uint8Array(CHECKED * CHECKED * 3), height: CHECKED, width: CHECKED };
  one.data.forEach((_, i) => (one.data[i] = (i * 31 + (i >> 5) * 17) & 255));
  try {
    const results = [];
    for (const provider of ["wasm", "webgpu"]) {
      session = await opened(model, provider);
      isBytes = takesBytes(session);
      results.push((await network({ ...one, data: one.data.slice() })).data);
      await session.release();
    }
    const [wasm, gpu] = results;
    let most = 0;
    let sum = 0;
    wasm.forEach((value, i) => {
      const apart = Math.abs(value - gpu[i]);
      most = Math.max(most, apart);
      sum += apart;
    });
    return most <= APART && sum / wasm.length <= APART_ON_AVERAGE;
  } catch {
    return false;
  } finally {
    session = null;
  }
}

async function network(photo) {
  const { height, width } = photo;
  const input = isBytes
    ? new ort.Tensor("uint8", photo.data, [height, width, 3])
    : new ort.Tensor("float32", planes(photo), [1, 3, height, width]);
  const { stylized } = await session.run({ image: input });
  const values = await stylized.getData();
  if (values.constructor !== input.data.constructor || values.length !== photo.data.length) {
    throw new Error(NO_MODEL);
  }
  const data = isBytes ? values.slice() : levels(values, height * width);
  stylized.dispose();
  return { data, height, width, channels: 3 };
}

function planes({ data, height, width }) {
  const size = height * width;
  const values = new Float32Array(3 * size);
  for (let i = 0; i < size; i++) {
    for (let channel = 0; channel < 3; channel++) {
      values[channel * size + i] = data[i * 3 + channel] / 255;
    }
  }
  return values;
}

function levels(values, size) {
  const data = new Uint8Array(3 * size);
  for (let i = 0; i < size; i++) {
    for (let channel = 0; channel < 3; channel++) {
      data[i * 3 + channel] = Math.round(values[channel * size + i] * 255);
    }
  }
  return data;
}

// A picture no larger than a screen shows it.
function forView(one, side) {
  const longest = Math.max(one.height, one.width);
  if (longest <= side) return one;
  const fit = (value) => Math.max(1, Math.round((value * side) / longest));
  return resampled(one, [fit(one.height), fit(one.width)]);
}

async function run({ id, photo, strokes, view }) {
  const began = performance.now();
  const own = { ...photo, channels: 3 };
  const seen = (result, step, count) => {
    const { height, width } = result;
    const before = resampled(own, [height, width]);
    self.postMessage({ type: "step", id, step, count, height, width,
      result: result.data.slice(), photo: before.data });
  };
  let passes = 0;
  const { result, size } = await painted(MOST, network, own, strokes, (...told) => {
    passes++;
    seen(...told);
  });
  const [small, before] = [forView(result, view), forView(own, view)];
  const copy = (one, whole) => (one === whole ? one.data.slice() : one.data);
  const shown = { height: small.height, width: small.width,
    result: copy(small, result), photo: copy(before, own) };
  self.postMessage(
    { type: "done", id, ms: performance.now() - began, passes: passes + 1, painted: size,
      result: result.data, view: shown },
    [result.data.buffer, shown.result.buffer, shown.photo.buffer],
  );
}

// A message waits for the one before: a session takes one picture at a time.
let last = Promise.resolve();
self.onmessage = ({ data: message }) => {
  last = last.then(async () => {
    try {
      if (message.type === "run") return await run(message);
      await (message.type === "start" ? start() : load(message.model));
      const threads = ort.env.wasm.numThreads || 1;
      self.postMessage({ type: "ready", id: message.id, backend, threads });
    } catch (error) {
      const why = String(error?.message ?? error);
      self.postMessage({ type: "failed", id: message.id, why, during: message.type });
    }
  });
};
