// The camera, painted: one frame at a time in the worker. What the camera shows meanwhile is never
// queued; frames get smaller or larger until some come a second. Ends where the page is hidden.

import { Told } from "./pictures.mjs";

const SMALLEST = 128;
const LARGEST = 512;
const FIRST = 256;
// Milliseconds of a frame between which the size stays.
const FAST = 90;
const SLOW = 200;
const SECOND = 1000;

const REFUSED = {
  NotAllowedError: "The browser was not allowed to use the camera.",
  NotFoundError: "No camera was found.",
  NotReadableError: "The camera can’t be used; another program may have it.",
};

// `engine.paint` paints. `shown` has settings(), show(view), started(), told({frames, rate, height,
// width}), about once a second, and ended(file, error), which gets the picture that was taken, or
// what went wrong, or neither. Rejects with what can be told.
export async function startCamera(video, engine, shown) {
  const stream = await opened(video);
  const [track] = stream.getVideoTracks();
  // As in a mirror, unless the camera looks away from the one who holds it.
  const isMirror = track.getSettings().facingMode !== "environment";
  const still = stillsOf(video);
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let running = true;

  async function draw(short, mirrored) {
    const source = await still();
    const shrink = Math.min(1, short / Math.min(video.videoWidth, video.videoHeight));
    const fit = (side) => Math.max(1, Math.round(side * shrink));
    Object.assign(canvas, { width: fit(video.videoWidth), height: fit(video.videoHeight) });
    context.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? canvas.width : 0, 0);
    context.drawImage(source, 0, 0, canvas.width, canvas.height);
  }

  async function grabbed(side) {
    await draw(side, isMirror);
    const { width, height } = canvas;
    return { data: withoutAlpha(context.getImageData(0, 0, width, height).data), height, width };
  }

  async function loop() {
    let side = FIRST;
    let [frames, counted, since] = [0, 0, performance.now()];
    while (running) {
      const began = performance.now();
      const photo = await grabbed(side);
      if (!running) return;
      const done = await engine.paint(shown.settings().style, photo, 1, LARGEST * 4, () => {});
      if (!running) return;
      shown.show(done.view);
      const now = performance.now();
      // The first one waits for the network to be loaded.
      if (++frames === 1) [counted, since] = [1, now];
      else side = adapted(side, now - began);
      if (now - since >= SECOND) {
        const rate = ((frames - counted) * SECOND) / (now - since);
        shown.told({ frames, rate, height: photo.height, width: photo.width });
        [counted, since] = [frames, now];
      }
      await new Promise(requestAnimationFrame);
    }
  }

  function end(file, error = null) {
    if (!running) return;
    running = false;
    document.removeEventListener("visibilitychange", hidden);
    close(video, stream);
    shown.ended(file, error);
  }

  function hidden() {
    if (document.hidden) end(null);
  }

  document.addEventListener("visibilitychange", hidden);
  track.addEventListener("ended", () => end(null, new Told("The camera was switched off.")));
  shown.started();
  loop().catch((error) => end(null, error));
  return {
    stop: () => end(null),
    async take() {
      await draw(Infinity, false);
      const blob = await canvas.convertToBlob({ type: "image/png" });
      end(new File([blob], "camera.png", { type: "image/png" }));
    },
  };
}

// What the video shows now, as something to draw. Without a GPU Chromium shares a video that is drawn
// as it is with its other processes, a megabyte a frame, and frees that late: so its bytes are taken.
function stillsOf(video) {
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let pixels = null;
  return async () => {
    const { videoWidth: width, videoHeight: height } = video;
    if (!("VideoFrame" in self)) return video;
    const frame = new VideoFrame(video);
    const { visibleRect: seen } = frame;
    try {
      // Of a camera held upright the bytes may lie on their side.
      if (frame.rotation || seen.width !== width || seen.height !== height) return video;
      if (pixels?.width !== width || pixels.height !== height) {
        pixels = new ImageData(width, height);
        Object.assign(canvas, { width, height });
      }
      await frame.copyTo(pixels.data, { format: "RGBA" });
      context.putImageData(pixels, 0, 0);
      return canvas;
    } catch {
      return video;
    } finally {
      frame.close();
    }
  };
}

async function opened(video) {
  let stream = null;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" } });
    video.srcObject = stream;
    await video.play();
    return stream;
  } catch (error) {
    if (stream) close(video, stream);
    throw new Told(REFUSED[error.name] ?? "The camera can’t be used.");
  }
}

function close(video, stream) {
  for (const track of stream.getTracks()) track.stop();
  video.srcObject = null;
}

function adapted(side, ms) {
  if (ms > SLOW) return Math.max(SMALLEST, Math.round(side * 0.8));
  if (ms < FAST) return Math.min(LARGEST, Math.round(side * 1.1));
  return side;
}

function withoutAlpha(rgba) {
  const data = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    data[to] = rgba[from];
    data[to + 1] = rgba[from + 1];
    data[to + 2] = rgba[from + 2];
  }
  return data;
}
