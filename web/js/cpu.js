/** The CPU path, in a worker where there are any, so that a page stays alive while it computes. */
import { TomeError, typed } from "./errors.js";

/** Opens a network on the CPU. Bytes that are the package's `own` move to the worker instead of being copied. */
export async function openCpu(files, own) {
  const worker = await started();
  if (!worker) return (await import("./cpu-here.js")).openHere(files);
  const engine = new InWorker(worker);
  try {
    const buffers = files.flatMap(([, chunks]) => chunks.map((chunk) => chunk.buffer));
    engine.about = await engine.call("open", [files], own ? [...new Set(buffers)] : []);
  } catch (error) {
    engine.free();
    throw error;
  }
  return engine;
}

/** A worker that has loaded, or none where there cannot be one. */
function started() {
  if (typeof Worker === "undefined") return undefined;
  let worker;
  try {
    worker = new Worker(new URL("./cpu-worker.js", import.meta.url), { type: "module" });
  } catch {
    // From another origin, as from a content delivery network.
    return undefined;
  }
  return new Promise((settle) => {
    worker.onmessage = () => settle(worker);
    worker.onerror = (event) => {
      event.preventDefault();
      worker.terminate();
      settle(undefined);
    };
  });
}

/** An {@link Engine} in a worker. */
class InWorker {
  #worker;
  #waiting = new Map();
  #next = 0;

  constructor(worker) {
    this.#worker = worker;
    worker.onmessage = ({ data: { id, value, error } }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) reject(new TomeError(error.kind ?? "bug", error.message));
      else resolve(value);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#end(new TomeError("bug", `the worker of the CPU path has ended: ${event.message}`));
    };
  }

  call(name, args, transfer = []) {
    if (!this.#worker) return Promise.reject(this.ended);
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      this.#waiting.set(id, { resolve, reject });
      try {
        this.#worker.postMessage({ id, name, args }, transfer);
      } catch (error) {
        this.#waiting.delete(id);
        reject(typed(error));
      }
    });
  }

  fit(picture) {
    return this.call("fit", [picture]);
  }

  run(pictures, merging, want) {
    return this.call("run", [pictures, merging, want]);
  }

  plan(merging, batch, want) {
    return this.call("plan", [merging, batch, want]);
  }

  free() {
    this.#end(new TomeError("input", "the network has been freed"));
  }

  #end(error) {
    this.ended = error;
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
