/** The CPU path in this thread. */
import { Engine } from "./engine.js";
import * as glue from "./wasm/cpu.js";

export function openHere(files) {
  return Engine.open(glue, files, "f32", () => {});
}
