/** A network in this thread, by one of the two modules. */
import { TomeError, typed } from "./errors.js";

/** A module's JavaScript once it is running, and what ends it. */
const running = new Map();

/**
 * Starts a module (`glue` is what wasm-bindgen made). What was started before is taken, but for one that a panic has ended: it is
 * begun anew.
 */
function start(glue) {
  const before = running.get(glue);
  if (before && !before.ended) return before.started;
  if (before) glue.__wbg_reset_state();
  const module = { ended: false };
  module.panic = new Promise((_, reject) => {
    module.end = (message) => {
      module.ended = true;
      reject(new TomeError("bug", `a defect of tome-wgpu, please report it: ${message}`));
    };
  });
  // Whoever calls is told; where nobody does it is no error of the page's.
  module.panic.catch(() => {});
  module.started = Promise.resolve(before ? undefined : glue.default()).then(
    () => {
      glue.onPanic(module.end);
      return module;
    },
    (error) => {
      running.delete(glue);
      throw typed(error, "network", "tome-wgpu's own module cannot be loaded");
    },
  );
  running.set(glue, module);
  return module.started;
}

export class Engine {
  #glue;
  #module;
  #network;

  /**
   * Opens a network from its files, `[[name, chunks], ...]`. `lost` is called with the reason when the device is lost. What is
   * known of it stands in `about` then.
   */
  static async open(glue, files, precision, lost) {
    const engine = new Engine();
    engine.#glue = glue;
    engine.#module = await start(glue);
    engine.#network = await engine.#call(() => {
      const handed = new glue.Files();
      for (const [name, chunks] of files) handed.add(name, chunks);
      return glue.Network.open(handed, precision, lost);
    });
    engine.about = JSON.parse(engine.#network.about());
    return engine;
  }

  /** RGBA pixels of a picture as the network sees it. */
  fit(picture) {
    return this.#call(() => this.#network.fit(picture));
  }

  /** Results of all pictures one behind the other, by their names; `merged` tokens each. */
  run(pictures, merging, want) {
    return this.#call(() => this.#network.run(pictures, merging, want));
  }

  async plan(merging, batch, want) {
    return JSON.parse(await this.#call(() => this.#network.plan(merging, batch, want)));
  }

  free() {
    const network = this.#network;
    this.#network = undefined;
    if (!network || this.#module.ended) return;
    network.destroy();
    network.free();
  }

  /** Calls the module; whatever is on its way when a panic ends it is rejected. */
  async #call(what) {
    if (this.#module.ended) return this.#module.panic;
    try {
      return await Promise.race([what(), this.#module.panic]);
    } catch (error) {
      // The trap behind the panic, whose message says more.
      if (this.#module.ended) return this.#module.panic;
      throw typed(error);
    }
  }
}
