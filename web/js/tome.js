/** The package: a network, ready to run. Its types and what they mean stand in `tome-wgpu.d.ts`. */
import { bench } from "./bench.js";
import { clearCache } from "./cache.js";
import { openCpu } from "./cpu.js";
import { TomeError } from "./errors.js";
import { choose, openGpu } from "./gpu.js";
import { mergingOf } from "./merging.js";
import { bitmapOf, pixelsOf } from "./pictures.js";
import { neededFor, resultsOf } from "./results.js";
import { filesOf } from "./sources.js";

export { TomeError };

/** What a network's own files are to blame for, so that another device does not help. */
const OF_FILES = ["file", "config", "unsupported", "weight", "input", "network"];
const MADE = Symbol("made by load");

export class Tome {
  #engine;
  #about;
  #device;
  #warnings;
  #lost;
  /** Rejected when the device is lost or given up. */
  #end;

  constructor(made, { engine, device, warnings, end }) {
    if (made !== MADE) throw new TypeError("a Tome is made by Tome.load");
    this.#engine = engine;
    this.#about = engine.about;
    this.#device = Object.freeze(device);
    this.#warnings = Object.freeze([...warnings, ...engine.about.warnings]);
    this.#end = end;
    this.#lost = new Promise((settle) => {
      end.promise.catch((error) => {
        if (error.kind === "device-lost") settle(error);
      });
    });
  }

  static async load(source, options = {}) {
    const { precision = "f32", device: wanted = "auto", signal } = options;
    if (!["f32", "f16"].includes(precision)) throw new TomeError("input", `precision: "${precision}" is neither "f32" nor "f16"`);
    signal?.throwIfAborted();
    const chosen = await choose(wanted, precision);
    const { name, files, own, warnings, download } = await filesOf(source, options);
    signal?.throwIfAborted();
    download.progress("", "prepare");
    let opened;
    try {
      opened = await open(files, own, chosen, wanted);
    } catch (error) {
      if (OF_FILES.includes(error.kind)) throw new TomeError(error.kind, `${name}: ${error.message}`, { cause: error });
      throw error;
    }
    const { engine, device, end } = opened;
    if (signal?.aborted) {
      engine.free();
      throw signal.reason;
    }
    if (device.kind !== chosen.kind) warnings.push(`it runs on the CPU: ${device.why}`);
    if (device.precision !== precision) warnings.push(`it computes in ${device.precision}, not in ${precision}: ${device.why}`);
    return new Tome(MADE, { engine, device, warnings, end });
  }

  static clearCache() {
    return clearCache();
  }

  get config() {
    return this.#about.config;
  }

  get device() {
    return this.#device;
  }

  get warnings() {
    return this.#warnings;
  }

  get isFitted() {
    return this.#about.fitted;
  }

  get lost() {
    return this.#lost;
  }

  async run(pictures, options = {}) {
    const start = performance.now();
    const { want = ["probabilities"], top = 5 } = options;
    const all = Array.isArray(pictures) ? pictures : [pictures];
    const [merging, needed] = [mergingOf(options, this.config.blocks), neededFor(want)];
    if (all.length === 0) throw new TomeError("input", "there are no pictures to run");
    this.#check();
    const outputs = await this.#withPictures(all, (shown) => this.#alive((engine) => engine.run(shown, merging, needed)));
    const results = resultsOf(outputs, all.length, { want, top, about: this.#about });
    const ms = performance.now() - start;
    results.forEach((result) => (result.ms = ms));
    return Array.isArray(pictures) ? results : results[0];
  }

  async fit(picture) {
    this.#check();
    const pixels = await pixelsOf(picture, this.#about.exif);
    const fitted = await this.#alive((engine) => engine.fit(pixels));
    const [height, width] = this.config.imageSize;
    return new ImageData(new Uint8ClampedArray(fitted), width, height);
  }

  async plan({ want = ["probabilities"], ...merging } = {}, batch = 1) {
    const text = mergingOf(merging, this.config.blocks);
    if (!Number.isInteger(batch) || batch < 1) throw new TomeError("input", `batch: ${batch} is no whole number from 1 on`);
    return this.#alive((engine) => engine.plan(text, batch, neededFor(want)));
  }

  async bench(rs, { schedule, batch = 1, seconds = 2 } = {}) {
    return bench(this, rs, { schedule, batch, seconds });
  }

  free() {
    this.#end.reject(new TomeError("input", "the network has been freed"));
    this.#engine.free();
  }

  /** Hands pictures over as the device takes them, and gives up what was made of them. */
  async #withPictures(pictures, use) {
    const decode = this.#device.kind === "webgpu" ? bitmapOf : pixelsOf;
    const made = await Promise.allSettled(pictures.map((picture) => decode(picture, this.#about.exif)));
    try {
      const failed = made.find(({ status }) => status === "rejected");
      if (failed) throw failed.reason;
      return await use(made.map(({ value }) => value));
    } finally {
      made.forEach(({ value }, i) => value !== pictures[i] && value?.close?.());
    }
  }

  #check() {
    if (this.#end.error) throw this.#end.error;
  }

  /** A call of the engine, which ends when the device is lost. */
  async #alive(call) {
    this.#check();
    try {
      return await Promise.race([call(this.#engine), this.#end.promise]);
    } catch (error) {
      // What a lost device makes of a call says less than that it is lost.
      this.#check();
      throw error;
    }
  }
}

/** Opens a network on the device that was chosen; on the CPU where that fails and was not asked for. */
async function open(files, own, device, wanted) {
  if (device.kind === "cpu") return { engine: await openCpu(files, own), device, end: ending() };
  try {
    return { ...(await openWatched(files, device.precision)), device };
  } catch (error) {
    if (wanted !== "auto" || OF_FILES.includes(error.kind)) throw error;
    const why = `${device.name} failed: ${error.message}`;
    return open(files, own, { kind: "cpu", name: "CPU", precision: "f32", why }, wanted);
  }
}

/** Opens a network on WebGPU, and sees to it that it has not been in vain: shaders compile with the first plan. */
async function openWatched(files, precision) {
  const end = ending();
  const lost = (why) => {
    const said = why || "the browser does not say why";
    end.reject(new TomeError("device-lost", `the device was lost: ${said}; load the network again`));
  };
  const engine = await Promise.race([openGpu(files, precision, lost), end.promise]);
  try {
    await Promise.race([engine.plan("0", 1, "logits"), end.promise]);
  } catch (error) {
    engine.free();
    throw error;
  }
  return { engine, end };
}

/** A promise that is rejected once, with the error at hand then. */
function ending() {
  const end = { error: undefined };
  end.promise = new Promise((_, reject) => {
    end.reject = (error) => {
      end.error ??= error;
      reject(end.error);
    };
  });
  // Nobody need be waiting.
  end.promise.catch(() => {});
  return end;
}
