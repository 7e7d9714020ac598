/** The network, in a worker of its own: the page answers to the finger while the network runs, also on the CPU. */
export class Engine {
  /** Called with the error when the device is lost. */
  onLost = () => {};
  /** Called with the error when the worker itself fails; nothing works any more. */
  onBroken = () => {};
  #worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  #calls = new Map();
  #next = 1;

  constructor() {
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      const error = new Error(`the network's worker did not start${event.message ? `: ${event.message}` : "; is a part of the page missing?"}`);
      for (const { reject } of this.#calls.values()) reject(error);
      this.#calls.clear();
      this.onBroken(error);
    };
  }

  /** Loads a network and takes it in place of the one before, which stays when this fails. */
  load(source, options, onProgress, signal) {
    const call = this.#call("load", { source, options }, [], onProgress);
    signal.addEventListener("abort", () => this.#worker.postMessage({ method: "cancel", id: call.id }));
    return call.promise;
  }

  /**
   * Runs the picture: a new one, or without one the last. Resolves to the result and its plan, and to the picture as the network
   * sees it where that is new.
   */
  look(picture, merging) {
    const transfer = picture instanceof ImageBitmap ? [picture] : [];
    return this.#call("look", { picture, merging }, transfer).promise;
  }

  plan(merging) {
    return this.#call("plan", { merging }).promise;
  }

  bench(rs, options) {
    return this.#call("bench", { rs, options }).promise;
  }

  #call(method, args, transfer = [], onProgress = undefined) {
    const id = this.#next++;
    const promise = new Promise((resolve, reject) => this.#calls.set(id, { resolve, reject, onProgress }));
    this.#worker.postMessage({ id, method, args }, transfer);
    return { id, promise };
  }

  #receive({ id, value, error, progress, lost }) {
    if (lost) return this.onLost(revive(lost));
    const call = this.#calls.get(id);
    if (progress) return call?.onProgress?.(progress);
    this.#calls.delete(id);
    if (error) call?.reject(revive(error));
    else call?.resolve(value);
  }
}

const revive = ({ message, kind, name }) => Object.assign(new Error(message), { kind, name });
