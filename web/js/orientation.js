/** Pictures as they are stored: a browser turns them as their EXIF data says, whatever it is asked for. */

/** EXIF's tag of the orientation. */
const ORIENTATION = 0x0112;

/** The same file with an orientation that turns nothing. */
export async function asStored(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let changed = false;
  for (const [start, end] of exifIn(bytes)) changed = setUpright(bytes, start, end) || changed;
  return changed ? new Blob([bytes], { type: blob.type }) : blob;
}

/** Where EXIF data lie in a JPEG, PNG or WebP. */
function* exifIn(bytes) {
  const view = new DataView(bytes.buffer);
  const text = (at, length) => String.fromCharCode(...bytes.subarray(at, at + length));
  if (text(0, 2) === "\xff\xd8") {
    // Segments until the picture itself begins.
    for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda; at += 2 + view.getUint16(at + 2)) {
      const end = Math.min(at + 2 + view.getUint16(at + 2), bytes.length);
      if (bytes[at + 1] === 0xe1 && text(at + 4, 6) === "Exif\0\0") yield [at + 10, end];
    }
  } else if (text(0, 8) === "\x89PNG\r\n\x1a\n") {
    // Its checksum is wrong afterwards, and the chunk is passed over.
    for (let at = 8; at + 8 <= bytes.length; at += 12 + view.getUint32(at)) {
      if (text(at + 4, 4) === "eXIf") yield [at + 8, Math.min(at + 8 + view.getUint32(at), bytes.length)];
    }
  } else if (text(0, 4) === "RIFF" && text(8, 4) === "WEBP") {
    for (let at = 12; at + 8 <= bytes.length; ) {
      const length = view.getUint32(at + 4, true);
      const start = at + 8 + (text(at + 8, 6) === "Exif\0\0" ? 6 : 0);
      if (text(at, 4) === "EXIF") yield [start, Math.min(at + 8 + length, bytes.length)];
      at += 8 + length + (length % 2);
    }
  }
}

/** Sets the orientation in EXIF data, if there is one. */
function setUpright(bytes, start, end) {
  if (end - start < 14) return false;
  const view = new DataView(bytes.buffer, start, end - start);
  const little = view.getUint16(0) === 0x4949;
  const first = view.getUint32(4, little);
  if (first + 2 > view.byteLength) return false;
  const count = view.getUint16(first, little);
  for (let at = first + 2; at < first + 2 + 12 * count && at + 12 <= view.byteLength; at += 12) {
    if (view.getUint16(at, little) !== ORIENTATION) continue;
    if (view.getUint16(at + 8, little) === 1) return false;
    view.setUint16(at + 8, 1, little);
    return true;
  }
  return false;
}
