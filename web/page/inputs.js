/** How pictures and networks reach the page: dropped, pasted, chosen, and from the camera. */

/** Files of a drop: those dropped, or those of a dropped folder. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const folder = entries.find((entry) => entry.isDirectory);
  if (!folder) return { files: [...transfer.files] };
  const reader = folder.createReader();
  const files = [];
  // A reader hands out a hundred at a time, then none.
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    for (const entry of some) {
      if (entry.isFile) files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    }
  }
  return { files, folder: folder.name };
}

const isPartOfNetwork = (file) => /\.(safetensors|json|bin|pt|pth|ckpt|onnx)$/i.test(file.name);

/** Calls `onPicture(file)` or `onNetwork(files, name)` for what is dropped on the page or pasted. */
export function receive({ frame, onPicture, onNetwork, onError }) {
  const over = (is) => frame.toggleAttribute("data-over", is);
  let depth = 0;
  addEventListener("dragenter", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    depth += 1;
    over(true);
  });
  addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    if (!depth) over(false);
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    depth = 0;
    over(false);
    try {
      const { files, folder } = await dropped(event.dataTransfer);
      if (folder || files.some(isPartOfNetwork)) onNetwork(files, folder ?? files.map((file) => file.name).join(", "));
      else if (files.length) onPicture(files[0]);
      else onError("Nothing in that drop is a file: save the picture first, or paste it.");
    } catch (error) {
      onError(`What was dropped cannot be read: ${error.message}`);
    }
  });
  addEventListener("paste", (event) => {
    const item = [...(event.clipboardData?.items ?? [])].find((item) => item.type.startsWith("image/"));
    const file = item?.getAsFile();
    if (file) onPicture(file);
    else if (!event.target.closest?.("input, textarea")) onError("There is no picture in the clipboard.");
  });
}

const REFUSED = {
  NotAllowedError: "The camera is not allowed on this page. The browser's address bar has a switch for it.",
  NotFoundError: "This device has no camera that the browser can see.",
  NotReadableError: "The camera is in use by another program.",
};

/** Frames of the camera, one after the other: the next is taken when `onFrame` is done with the last. */
export class Camera {
  #stream;
  #video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });

  get isOn() {
    return this.#stream !== undefined;
  }

  /** Rejected in words; `onEnd` is called with the reason when the camera ends by itself. */
  async start(onFrame, onEnd) {
    if (!navigator.mediaDevices) throw new Error("Browsers give the camera to pages from https or localhost only.");
    const video = { facingMode: "environment", width: { ideal: 640 }, height: { ideal: 480 } };
    const stream = await navigator.mediaDevices.getUserMedia({ video }).catch((error) => {
      throw new Error(REFUSED[error.name] ?? `The camera does not start: ${error.message}`);
    });
    this.#stream = stream;
    stream.getVideoTracks()[0].onended = () => {
      this.stop();
      onEnd(new Error("The camera was switched off or unplugged."));
    };
    this.#video.srcObject = stream;
    await this.#video.play();
    this.#next(stream, onFrame, onEnd);
  }

  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = undefined;
    this.#video.srcObject = null;
  }

  #next(stream, onFrame, onEnd) {
    const take = async () => {
      if (this.#stream !== stream) return;
      try {
        await onFrame(await createImageBitmap(this.#video));
        this.#next(stream, onFrame, onEnd);
      } catch (error) {
        this.stop();
        onEnd(new Error(`The camera's frames cannot be read: ${error.message}`));
      }
    };
    if (this.#video.requestVideoFrameCallback) this.#video.requestVideoFrameCallback(take);
    else requestAnimationFrame(take);
  }
}
