/** Pictures decoded by the browser, their bytes as a file has them: no colours are converted, no alpha is multiplied. */
import { TomeError } from "./errors.js";
import { asStored } from "./orientation.js";
import { unmultiplied } from "./unmultiplied.js";

/** The longest side and the most pixels that every browser draws. */
const LONGEST = 16384;
const MOST = 1 << 28;

/** A picture as ImageData. `exif` says whether one from a file is turned upright as its camera says. */
export async function pixelsOf(picture, exif) {
  const bitmap = await bitmapOf(picture, exif);
  if (isPixels(bitmap)) return bitmap;
  try {
    const { width, height } = bitmap;
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    const pixels = context.getImageData(0, 0, width, height);
    return isOpaque(pixels) ? pixels : unmultiplied(bitmap);
  } finally {
    if (bitmap !== picture) bitmap.close();
  }
}

/** A picture as ImageBitmap; ImageData stays what it is. */
export async function bitmapOf(picture, exif) {
  if (isPixels(picture)) return checked(picture, "the ImageData");
  if (typeof ImageBitmap !== "undefined" && picture instanceof ImageBitmap) {
    return readable(checked(picture, "the ImageBitmap"), "the ImageBitmap");
  }
  const address = typeof picture === "string" || picture instanceof URL ? String(picture) : undefined;
  let source = address === undefined ? picture : await fetched(address);
  const about = shown(address ?? (picture?.name || picture?.currentSrc || "the picture"));
  let bitmap;
  try {
    if (typeof source?.decode === "function") await source.decode();
    // An element is what the page shows.
    if (!exif && source instanceof Blob) source = await asStored(source);
    bitmap = await createImageBitmap(source, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch (error) {
    const why = error instanceof TypeError ? "is nothing that a browser draws" : "cannot be decoded by this browser";
    throw new TomeError("picture", `${about} ${why}: ${error.message}`, { cause: error });
  }
  checked(bitmap, about);
  return source instanceof Blob ? bitmap : readable(bitmap, about);
}

/** Refuses what a page may show and not read. Workers are never given such a thing. */
function readable(bitmap, about) {
  if (!globalThis.document) return bitmap;
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0, 1, 1, 0, 0, 1, 1);
  try {
    context.getImageData(0, 0, 1, 1);
  } catch (error) {
    const why = "is from another site, which does not let it be read; its server has to allow it (CORS), and an element wants crossorigin";
    throw new TomeError("picture", `${about} ${why}`, { cause: error });
  }
  return bitmap;
}

function isPixels(picture) {
  return typeof ImageData !== "undefined" && picture instanceof ImageData;
}

function checked(picture, about) {
  const { width, height } = picture;
  if (width === 0 || height === 0) throw new TomeError("picture", `${about} has no pixels, or has been closed`);
  if (Math.max(width, height) > LONGEST || width * height > MOST) {
    throw new TomeError("picture", `${about}: ${width} x ${height} pixels are too many for a browser; make it smaller`);
  }
  return picture;
}

function isOpaque({ data }) {
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return false;
  return true;
}

async function fetched(address) {
  let response;
  try {
    response = await fetch(address);
  } catch (error) {
    throw new TomeError("picture", `${shown(address)}: ${error.message}`, { cause: error });
  }
  if (!response.ok) throw new TomeError("picture", `${shown(address)}: the server answers ${response.status}`);
  return response.blob();
}

/** Without the content of a data URL. */
function shown(about) {
  return about.length > 200 ? `${about.slice(0, 200)}...` : about;
}
