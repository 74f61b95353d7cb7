// The worker: all computing. In: {type: "start", id}, {type: "load", id, model}, {type: "run", id, photo,
// strokes, view}. Out: {type: "ready", id, backend, threads}, {type: "step", id, ...}, {type: "done",
// id, ...}, {type: "failed", id, why}. Buffers are transferred.

import { computing, load, pass, start } from "./network.mjs";
import { painted } from "./paint.mjs";
import { resampled } from "./resample.mjs";

// Pixels of one pass of the network: 12 million took 2.5 GB, and WebAssembly ends at 4.
const MOST = navigator.userAgent.includes("Mobile") ? 1_000_000 : 4_000_000;

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
  const { result, size } = await painted(MOST, pass, own, strokes, (...told) => {
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
      self.postMessage({ type: "ready", id: message.id, ...computing() });
    } catch (error) {
      const why = String(error?.message ?? error);
      self.postMessage({ type: "failed", id: message.id, why, during: message.type });
    }
  });
};
