// Every shader that a browser may be given goes through Tint, Chromium's compiler, without a message. Dawn's null backend
// checks modules and pipelines against WebGPU's own limits and needs no driver. The texts are those that
// `cargo test --release --test shaders written` leaves in target/shaders.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { before, test } from "node:test";

import { create, globals } from "webgpu";

const ROOT = join(import.meta.dirname, "../..");
const SHADERS = join(resolve(ROOT, process.env.CARGO_TARGET_DIR ?? "target"), "shaders");

// Kernels by whole subgroups' matrices are for native devices alone.
const MATRICES = "enable wgpu_cooperative_matrix;";

Object.assign(globalThis, globals);
// Kept for as long as there are devices: Dawn crashes where it is collected before them.
const gpu = create(["backend=null"]);
let device;
/** Each text with the name of the first file that has it; and all names. */
const [texts, names] = [new Map(), []];

before(async () => {
  assert.ok(existsSync(SHADERS), `no ${SHADERS}: run cargo test --release --test shaders written`);
  for (const variant of readdirSync(SHADERS)) {
    for (const file of readdirSync(join(SHADERS, variant)).filter((file) => file.endsWith(".wgsl"))) {
      const text = readFileSync(join(SHADERS, variant, file), "utf8");
      if (text.includes(MATRICES)) continue;
      names.push(join(variant, file));
      if (!texts.has(text)) texts.set(text, names.at(-1));
    }
  }
  const adapter = await gpu.requestAdapter();
  device = await adapter.requestDevice({ requiredFeatures: ["shader-f16", "subgroups"] });
});

/** What Tint and Dawn say of a shader: nothing where it is well. */
async function messages(text) {
  // What naga does not know of yet and browsers insist on.
  const code = /\bsubgroup/.test(text) ? `enable subgroups;\n${text}` : text;
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code });
  const found = (await module.getCompilationInfo()).messages.map(({ lineNum, message, type }) => {
    return `${type}: ${message}: ${code.split("\n")[lineNum - 1]}`;
  });
  if (found.length === 0) device.createComputePipeline({ layout: "auto", compute: { module } });
  const error = await device.popErrorScope();
  return found.length === 0 && error ? [error.message] : found;
}

test("every text of every variant compiles without a message", async () => {
  const bad = [];
  for (const [text, name] of texts) bad.push(...(await messages(text)).map((message) => `${name}: ${message}`));
  assert.deepEqual(bad, []);
});

test("none is left out", () => {
  const found = new Set(names.map((name) => basename(name).split(".")[0]));
  const kernels = readdirSync(join(ROOT, "shaders")).filter((name) => name !== "lib");
  const missing = kernels.map((name) => basename(name, ".wgsl")).filter((name) => !found.has(name));
  assert.deepEqual(missing, []);
  const variants = new Set(names.map((name) => dirname(name)));
  for (const element of ["f32", "f16"]) {
    for (const lane of ["tree", "subgroup"]) {
      for (const tile of ["direct", "workgroup"]) assert.ok(variants.has(`${element}-${lane}-${tile}`), `${element}-${lane}-${tile}`);
    }
  }
  assert.ok(texts.size >= 800, `${texts.size} texts`);
});

test("what is wrong has a message", async () => {
  for (const [wrong, message] of [
    ["@compute @workgroup_size(1) fn main() { var a = 1 || 2; }", /operator \|\|/],
    ["@compute @workgroup_size(1, 300) fn main() {}", /workgroup/],
  ]) {
    assert.match((await messages(wrong)).join("\n"), message);
  }
});
