// Files to pixels and back.

// Browsers draw no larger pictures.
export const MOST_PIXELS = 100e6;
const SPARE_ALPHA = new Set(['image/jpeg', 'image/bmp']);

// A file as { name, height, width, data (RGB over white), alpha (or null), bitmap }. What it throws
// is one plain sentence.
export async function decoded(file) {
  if (!file.size) throw new Error(`${file.name} is empty.`);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' });
  } catch {
    throw new Error(`${file.name} is no picture that this browser can read.`);
  }
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) {
    const size = Math.round((width * height) / 1e6);
    bitmap.close();
    throw new Error(
      `${file.name} has ${size} megapixels; the page takes up to ${MOST_PIXELS / 1e6}, fastnst apply takes any.`,
    );
  }
  const rgba = pixelsOf(bitmap);
  const alpha = SPARE_ALPHA.has(file.type) ? null : alphaOf(rgba);
  const data = new Uint8ClampedArray(width * height * 3);
  for (let i = 0, at = 0; at < data.length; i += 4, at += 3) {
    const share = rgba[i + 3];
    for (let c = 0; c < 3; c++) {
      // As Pillow lays a picture over white.
      data[at + c] = share === 255 ? rgba[i + c] : Math.round((rgba[i + c] * share + 255 * (255 - share)) / 255);
    }
  }
  bitmap.close();
  const moves = file.type === 'image/gif';
  return { name: file.name, height, width, data, alpha, moves };
}

export function canvasOf(width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

function pixelsOf(bitmap) {
  const canvas = canvasOf(bitmap.width, bitmap.height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('This browser can’t draw a picture of that size.');
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height).data;
}

function alphaOf(rgba) {
  let opaque = true;
  for (let i = 3; i < rgba.length && opaque; i += 4) opaque = rgba[i] === 255;
  if (opaque) return null;
  const alpha = new Uint8ClampedArray(rgba.length / 4);
  for (let i = 0; i < alpha.length; i++) alpha[i] = rgba[4 * i + 3];
  return alpha;
}

export function rgbaOf({ data, width, height }) {
  const image = new ImageData(width, height);
  for (let i = 0, at = 0; at < data.length; i += 4, at += 3) {
    image.data[i] = data[at];
    image.data[i + 1] = data[at + 1];
    image.data[i + 2] = data[at + 2];
    image.data[i + 3] = 255;
  }
  return image;
}

// ImageData as a file's blob.
export async function encoded(image, type) {
  const canvas = canvasOf(image.width, image.height);
  canvas.getContext('2d').putImageData(image, 0, 0);
  const blob = await new Promise((done) => canvas.toBlob(done, type, 0.95));
  if (!blob || blob.type !== type) throw new Error('This browser can’t write that format; choose another.');
  return blob;
}

export function offer(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
