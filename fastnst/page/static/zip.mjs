// A ZIP archive of files that are packed already: stored as they are (PKWARE's APPNOTE, 4.3).

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

function record(fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    size === 2 ? view.setUint16(at, value, true) : view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

// `files` are { name, blob }; equal names get numbers.
export async function zipped(files) {
  const parts = [];
  const entries = [];
  const seen = new Set();
  let offset = 0;
  for (const { name, blob } of files) {
    let unique = name;
    for (let n = 2; seen.has(unique); n++) unique = name.replace(/(\.[^.]*)?$/, `-${n}$1`);
    seen.add(unique);
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const called = new TextEncoder().encode(unique);
    // Version, flags (names in UTF-8), stored, 1 January 1980.
    const common = [
      [2, 20], [2, 0x800], [2, 0], [2, 0], [2, 33], [4, crc32(bytes)],
      [4, bytes.length], [4, bytes.length], [2, called.length], [2, 0],
    ];
    entries.push(
      record([[4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]]),
      called,
    );
    const head = record([[4, 0x04034b50], ...common]);
    parts.push(head, called, bytes);
    offset += head.length + called.length + bytes.length;
  }
  const size = entries.reduce((sum, part) => sum + part.length, 0);
  const end = record([
    [4, 0x06054b50], [2, 0], [2, 0], [2, seen.size], [2, seen.size], [4, size], [4, offset], [2, 0],
  ]);
  return new Blob([...parts, ...entries, end], { type: 'application/zip' });
}
