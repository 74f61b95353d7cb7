// The network, by onnxruntime-web: on a GPU where that gives what a processor gives, else by
// WebAssembly, with threads where the page is isolated.

import { hasGpu } from "./gpu.mjs";

const MOST_THREADS = 8;
const CHECKED = 64; // pixels of a side
// Levels that two backends may be apart, at most and on average.
const APART = 3;
const APART_ON_AVERAGE = 0.1;
const NO_MODEL = "not a model of fastnst export";

let ort = null;
let backend = "";
let session = null;
let isBytes = true;

const place = (name) => new URL(`runtime/${name}`, self.location.href).href;

// {backend, threads}, once a model is loaded.
export const computing = () => ({ backend, threads: ort.env.wasm.numThreads || 1 });

export async function start() {
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

export async function load(model) {
  if (session !== null) await session.release();
  session = null;
  await start();
  if (backend === "") backend = (await agrees(model)) ? "webgpu" : "wasm";
  await open(model, backend);
}

async function open(model, provider) {
  const found = await ort.InferenceSession.create(new Uint8Array(model), {
    executionProviders: provider === "webgpu" ? ["webgpu", "wasm"] : ["wasm"],
    graphOptimizationLevel: "all",
    logSeverityLevel: 3,
  });
  if (found.inputNames[0] !== "image" || found.outputNames[0] !== "stylized") {
    throw new Error(NO_MODEL);
  }
  session = found;
  const type = found.inputMetadata?.[0]?.type;
  isBytes = type === undefined || type === "uint8";
}

// Whether a GPU gives what a processor gives.
async function agrees(model) {
  const data = Uint8Array.from({ length: CHECKED * CHECKED * 3 }, (_, i) => (i * 31 + (i >> 5) * 17) & 255);
  const results = [];
  try {
    for (const provider of ["wasm", "webgpu"]) {
      await open(model, provider);
      results.push((await pass({ data: data.slice(), height: CHECKED, width: CHECKED })).data);
      await session.release();
    }
  } catch {
    return false;
  } finally {
    session = null;
  }
  const [wasm, gpu] = results;
  const apart = wasm.map((value, i) => Math.abs(value - gpu[i]));
  const sum = apart.reduce((total, one) => total + one, 0);
  return Math.max(...apart) <= APART && sum / apart.length <= APART_ON_AVERAGE;
}

// A picture of RGB bytes, painted in one pass.
export async function pass(photo) {
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
