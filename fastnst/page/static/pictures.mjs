// Files to pixels and back.

// Pixels of a picture, beyond which canvases fail here and there.
export const MOST_PIXELS = 50_000_000;
const MOST_BYTES = 200_000_000;
const SUFFIXES = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp" };

// What can be told to the user as it is.
export class Told extends Error {}

// {photo, alpha, isFirst}: RGB bytes over white, upright; a byte of transparency a pixel, or null;
// whether an animation goes on after this picture, where the browser tells.
export async function decoded(file) {
  const name = file.name || "the picture";
  if (file.size === 0) throw new Told(`${name} is empty (0 bytes).`);
  if (file.size > MOST_BYTES) throw new Told(`${name} is too large for this page (over 200 MB).`);
  const broken = `${name} can’t be read: it is damaged, or no picture that this browser knows.`;
  // A file of some kilobytes may hold more pixels than there is memory for.
  const pixels = await pixelsOf(file).catch(() => {
    throw new Told(broken);
  });
  if (pixels > MOST_PIXELS) {
    const million = Math.round(pixels / 1e6);
    throw new Told(
      `${name} has ${million} million pixels; this page takes up to 50 million, fastnst apply more.`,
    );
  }
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => {
    throw new Told(broken);
  });
  const { width, height } = bitmap;
  try {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    const isFirst = await isAnimated(file);
    return { ...split(context.getImageData(0, 0, width, height).data, height, width), isFirst };
  } catch {
    throw new Told(`${name} is too large for this browser’s memory.`);
  } finally {
    bitmap.close();
  }
}

// From the file's head, without decoding the rest.
async function pixelsOf(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await new Promise((resolve, reject) => Object.assign(image, { onload: resolve, onerror: reject }));
    return image.naturalWidth * image.naturalHeight;
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

async function isAnimated(file) {
  if (!/gif|png|webp|avif/.test(file.type) || !("ImageDecoder" in self)) return false;
  const decoder = new ImageDecoder({ data: file.stream(), type: file.type });
  try {
    await decoder.completed;
    return decoder.tracks.selectedTrack.frameCount > 1;
  } catch {
    return false;
  } finally {
    decoder.close();
  }
}

function split(rgba, height, width) {
  const data = new Uint8Array(height * width * 3);
  let alpha = null;
  for (let from = 3, at = 0; from < rgba.length; from += 4, at++) {
    if (rgba[from] !== 255) {
      alpha = new Uint8Array(height * width);
      break;
    }
  }
  for (let from = 0, to = 0, at = 0; from < rgba.length; from += 4, to += 3, at++) {
    const opaque = rgba[from + 3];
    for (let channel = 0; channel < 3; channel++) {
      const value = rgba[from + channel];
      data[to + channel] = opaque === 255 ? value : Math.round((value * opaque) / 255 + 255 - opaque);
    }
    if (alpha) alpha[at] = opaque;
  }
  return { photo: { data, height, width }, alpha };
}

export function put(canvas, rgba, height, width) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
}

// A file of RGBA bytes; JPEG has no transparency, so that it lies over white there.
export async function encoded(rgba, height, width, type) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.putImageData(new ImageData(rgba, width, height), 0, 0);
  if (type === "image/jpeg") {
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
  }
  const blob = await canvas.convertToBlob({ type, quality: 0.92 });
  if (blob.type !== type) throw new Told("This browser can’t write that format; take PNG.");
  return blob;
}

export function fileName(photo, style, type) {
  const stem = photo.replace(/\.[^.]*$/, "") || "picture";
  return `${stem}-${style}.${SUFFIXES[type]}`;
}
