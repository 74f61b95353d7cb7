// The camera, painted: one frame at a time in the worker, the newest wins, its size such that some
// frames come a second. Stops where the page is hidden.

const SMALLEST = 128;
const LARGEST = 512;
// Milliseconds of a frame that are aimed at, between which the size stays.
const FAST = 90;
const SLOW = 200;

// `engine.paint` paints; `shown` has settings(), show(view), say(text) and ended(file), which gets
// the picture that was taken. Rejects where there is no camera, or it is refused.
export async function startCamera(video, engine, shown) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" } });
  video.srcObject = stream;
  await video.play();
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let running = true;
  let side = 256;

  function grab(short) {
    const shrink = Math.min(1, short / Math.min(video.videoWidth, video.videoHeight));
    const [width, height] = [video.videoWidth, video.videoHeight].map((s) => Math.round(s * shrink));
    Object.assign(canvas, { width, height });
    context.drawImage(video, 0, 0, width, height);
    const rgba = context.getImageData(0, 0, width, height).data;
    const data = new Uint8Array(width * height * 3);
    for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
      data[to] = rgba[from];
      data[to + 1] = rgba[from + 1];
      data[to + 2] = rgba[from + 2];
    }
    return { data, height, width };
  }

  function adapt(ms) {
    if (ms > SLOW) side = Math.max(SMALLEST, Math.round(side * 0.8));
    else if (ms < FAST) side = Math.min(LARGEST, Math.round(side * 1.1));
  }

  async function loop() {
    while (running) {
      const { style } = shown.settings();
      const photo = grab(side);
      const done = await engine.paint(style, photo, 1, LARGEST * 4, () => {});
      if (!running) return;
      shown.show(done.view);
      shown.say(`Camera at ${photo.width} × ${photo.height}, ${(1000 / done.ms).toFixed(0)} pictures a second.`);
      adapt(done.ms);
      await new Promise(requestAnimationFrame);
    }
  }

  function end(file) {
    if (!running) return;
    running = false;
    document.removeEventListener("visibilitychange", hidden);
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
    shown.ended(file);
  }

  function hidden() {
    if (document.hidden) end(null);
  }

  document.addEventListener("visibilitychange", hidden);
  loop().catch(() => end(null));
  return {
    async stop() {
      grab(Infinity);
      const blob = await canvas.convertToBlob({ type: "image/png" });
      end(new File([blob], "camera.png", { type: "image/png" }));
    },
  };
}
