// What is compared, in a page: `open(engine, case)` loads an engine and gives a function that runs the pictures once and
// returns their logits. All compute in f32, on one thread where they run on the CPU.

const NETWORK = "/network/";
const MODULES = "/bench/node_modules/";

const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());

/** The pictures as networks are given them: what the package itself makes of them. */
async function input(batch) {
  const values = new Float32Array((await bytes(`${NETWORK}input.f32`)).buffer);
  return Float32Array.from({ length: batch * values.length }, (_, i) => values[i % values.length]);
}

async function tome(device, { batch, r }) {
  const { Tome } = await import("/dist/tome.js");
  const network = await Tome.load(NETWORK, { device, cache: false });
  if (network.device.kind !== device) throw new Error(`it runs on ${network.device.kind}: ${network.device.why}`);
  const [height, width] = network.config.imageSize;
  const rgba = new Uint8ClampedArray(await bytes(`${NETWORK}picture.rgba`));
  const pictures = Array.from({ length: batch }, () => new ImageData(rgba.slice(), width, height));
  return async () => (await network.run(pictures, { r, want: ["logits"] })).flatMap(({ logits }) => Array.from(logits));
}

const graph = ({ batch, r }) => (r === 0 ? "plain" : `r${r}b${batch}`);

async function onnxruntime(provider, one) {
  const dist = `${MODULES}onnxruntime-web/dist/`;
  const ort = await import(`${dist}ort.${provider}.bundle.min.mjs`);
  Object.assign(ort.env.wasm, { wasmPaths: dist, numThreads: 1 });
  const model = await bytes(`${NETWORK}onnx/${graph(one)}.onnx`);
  const session = await ort.InferenceSession.create(model, { executionProviders: [provider], graphOptimizationLevel: "all" });
  const pixel_values = new ort.Tensor("float32", await input(one.batch), [one.batch, 3, 224, 224]);
  return async () => Array.from(await (await session.run({ pixel_values })).logits.getData());
}

async function transformers(device, one) {
  const { AutoModel, Tensor, env } = await import(`${MODULES}@huggingface/transformers/dist/transformers.web.min.js`);
  Object.assign(env, { localModelPath: "/", allowLocalModels: true, allowRemoteModels: false, useBrowserCache: false });
  const dist = `${location.origin}${MODULES}@huggingface/transformers/node_modules/onnxruntime-web/dist/`;
  Object.assign(env.backends.onnx.wasm, { wasmPaths: dist, numThreads: 1 });
  const options = { device, dtype: "fp32", subfolder: "", model_file_name: graph(one) };
  const model = await AutoModel.from_pretrained("network/onnx", options);
  const pixel_values = new Tensor("float32", await input(one.batch), [one.batch, 3, 224, 224]);
  return async () => Array.from((await model({ pixel_values })).logits.data);
}

const ENGINES = {
  "tome-wgpu webgpu": (one) => tome("webgpu", one),
  "tome-wgpu cpu": (one) => tome("cpu", one),
  "onnxruntime-web webgpu": (one) => onnxruntime("webgpu", one),
  "onnxruntime-web wasm": (one) => onnxruntime("wasm", one),
  "transformers.js webgpu": (one) => transformers("webgpu", one),
  "transformers.js wasm": (one) => transformers("wasm", one),
};

/** Loads an engine and runs it once: what it computes, and the milliseconds from nothing to there. */
export async function open(engine, one) {
  const start = performance.now();
  const run = await ENGINES[engine](one);
  const logits = await run();
  globalThis.run = run;
  return { logits, first: performance.now() - start };
}

/** Milliseconds of one more run. */
export async function again() {
  const start = performance.now();
  await globalThis.run();
  return performance.now() - start;
}

/** What the package makes of the picture, as floats `[3, height, width]`. */
export async function prepare() {
  const { Tome } = await import("/dist/tome.js");
  const network = await Tome.load(NETWORK, { device: "cpu", cache: false });
  const [height, width] = network.config.imageSize;
  const rgba = new Uint8ClampedArray(await bytes(`${NETWORK}picture.rgba`));
  const { data } = await network.fit(new ImageData(rgba, width, height));
  const plane = height * width;
  return Array.from({ length: 3 * plane }, (_, i) => data[4 * (i % plane) + Math.floor(i / plane)] / 127.5 - 1);
}
