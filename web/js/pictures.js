/** Pictures as pixels, as a file's bytes have them: without a colour profile's corrections. */
import { TomeError } from "./errors.js";

/** The longest side and the most pixels that every browser draws. */
const LONGEST = 16384;
const MOST = 1 << 27;

/** A picture as ImageData. `exif` says whether one from a file is turned upright as its camera says. */
export async function pixelsOf(picture, exif) {
  if (typeof ImageData !== "undefined" && picture instanceof ImageData) return picture;
  const bitmap = await bitmapOf(picture, exif);
  try {
    const { width, height } = bitmap;
    if (Math.max(width, height) > LONGEST || width * height > MOST) {
      throw new TomeError("picture", `${width} x ${height} pixels are too many for a browser; make the picture smaller`);
    }
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    return context.getImageData(0, 0, width, height);
  } finally {
    if (bitmap !== picture) bitmap.close();
  }
}

async function bitmapOf(picture, exif) {
  if (typeof ImageBitmap !== "undefined" && picture instanceof ImageBitmap) {
    if (picture.width === 0) throw new TomeError("picture", "the ImageBitmap has been closed");
    return picture;
  }
  const address = typeof picture === "string" || picture instanceof URL ? String(picture) : undefined;
  const source = address === undefined ? picture : await fetched(address);
  const about = address ?? (picture?.name || picture?.currentSrc || "the picture");
  try {
    if (typeof source?.decode === "function" && !source.complete) await source.decode();
    return await createImageBitmap(source, {
      imageOrientation: exif ? "from-image" : "none",
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
  } catch (error) {
    const why = error instanceof TypeError ? "is nothing that a browser draws" : "cannot be decoded by this browser";
    throw new TomeError("picture", `${shown(about)} ${why}: ${error.message}`, { cause: error });
  }
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
