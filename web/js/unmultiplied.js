/** Pixels of a picture with transparent parts. A canvas multiplies colours by their alpha and loses them; WebGL does not. */
import { TomeError } from "./errors.js";

export function unmultiplied(bitmap) {
  const { width, height } = bitmap;
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2");
  if (!gl) {
    throw new TomeError("picture", "the picture is transparent in parts, which this browser cannot read; save it without alpha");
  }
  try {
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
    gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, gl.getParameter(gl.TEXTURE_BINDING_2D), 0);
    const pixels = new ImageData(width, height);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(pixels.data.buffer));
    const error = gl.getError();
    if (error !== gl.NO_ERROR) throw new TomeError("picture", `the picture, transparent in parts, cannot be read (WebGL ${error})`);
    return pixels;
  } finally {
    gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}
