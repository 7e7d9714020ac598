/** The CPU path in a worker of its own: calls come as `{id, name, args}`, answers go as `{id, value}` or `{id, error}`. */
import { openHere } from "./cpu-here.js";

let engine;

const calls = {
  async open(files) {
    engine = await openHere(files);
    return engine.about;
  },
  fit: (...args) => engine.fit(...args),
  run: (...args) => engine.run(...args),
  plan: (...args) => engine.plan(...args),
};

self.onmessage = async ({ data: { id, name, args } }) => {
  try {
    self.postMessage({ id, value: await calls[name](...args) });
  } catch (error) {
    self.postMessage({ id, error: { kind: error.kind, message: error.message } });
  }
};
self.postMessage({ ready: true });
