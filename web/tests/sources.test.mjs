// Where networks come from: with progress, kept for the next visit, from the hub, from a page's visitor; and in which places.
import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";

import { ROOT } from "./native.mjs";
import { call, start } from "./setup.mjs";

const DIGITS = join(ROOT, "models/digits");
const SHA = "0123456789abcdef0123456789abcdef01234567";

let home, page;
before(async () => {
  home = await start();
});
after(() => home?.close());
beforeEach(async () => {
  await page?.close();
  page = await home.page();
  await call(page, ({ Tome }) => Tome.clearCache());
});

/** Loads a network and tells the stages of its weights. */
function load(source, options = {}) {
  return call(
    page,
    async ({ Tome }, { source, options }) => {
      const events = [];
      const tome = await Tome.load(source, { device: "cpu", onProgress: (event) => events.push(event), ...options });
      const { top } = await tome.run("/models/digits/digit_3.png");
      const stages = new Set(events.filter(({ file }) => file === "model.safetensors").map(({ stage }) => stage));
      tome.free();
      return { events, stages: [...stages], top: top[0].label, warnings: tome.warnings, labels: tome.config.labels };
    },
    { source, options },
  );
}

test("progress counts the bytes of all files", async () => {
  const { events, top } = await load("/models/digits", { cache: false });
  assert.equal(top, "3");
  const size = (name) => readFileSync(join(DIGITS, name)).length;
  const all = size("config.json") + size("model.safetensors");
  const loaded = events.map((event) => event.loaded);
  assert.deepEqual(loaded, [...loaded].sort((a, b) => a - b));
  assert.equal(events.find(({ file }) => file === "config.json").total, undefined);
  assert.deepEqual(events.at(-2), { file: "model.safetensors", stage: "download", loaded: all, total: all });
  assert.deepEqual(events.at(-1), { file: "", stage: "prepare", loaded: all, total: all });
});

test("files are kept until the server has others, also without it", async () => {
  const folder = join(home.files, "kept");
  cpSync(DIGITS, folder, { recursive: true });
  assert.deepEqual((await load("/files/kept")).stages, ["download"]);
  const before = home.server.requests.length;
  assert.deepEqual((await load("/files/kept")).stages, ["cache"]);
  const asked = home.server.requests.slice(before).filter((request) => request.includes("/kept/"));
  assert.ok(asked.includes("HEAD /files/kept/model.safetensors") && !asked.includes("GET /files/kept/model.safetensors"), asked.join());

  const config = JSON.parse(readFileSync(join(folder, "config.json")));
  config.label_names[3] = "three";
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  const changed = await load("/files/kept");
  assert.deepEqual([changed.stages, changed.top], [["cache"], "three"]);

  await page.route("**/files/kept/**", (route) => route.abort());
  const offline = await load("/files/kept");
  assert.deepEqual([offline.error, offline.stages, offline.top], [undefined, ["cache"], "three"]);
  assert.equal((await load("/files/kept", { cache: false })).error?.kind, "network");
  await call(page, ({ Tome }) => Tome.clearCache());
  assert.equal((await load("/files/kept")).error?.kind, "network");
});

/** A hub that has the digits network, at a commit. */
async function hub(sha, files = ["README.md", "config.json", "model.safetensors"]) {
  const asked = [];
  const cors = { "access-control-allow-origin": "*", "access-control-allow-headers": "authorization" };
  await page.unrouteAll();
  await page.route("https://huggingface.co/**", async (route) => {
    const { pathname } = new URL(route.request().url());
    asked.push(pathname);
    const [, resolved, name] = pathname.match(/^\/someone\/digits\/resolve\/([^/]+)\/(.*)$/) ?? [];
    if (pathname === "/api/models/someone/digits/revision/main") {
      return route.fulfill({ json: { sha, siblings: files.map((rfilename) => ({ rfilename })) }, headers: cors });
    }
    if (resolved === sha && files.includes(name)) return route.fulfill({ path: join(DIGITS, name), headers: cors });
    return route.fulfill({ status: 401, body: "Invalid username or password.", headers: cors });
  });
  return asked;
}

test("a network of the hub, kept by its commit", async () => {
  let asked = await hub(SHA);
  const first = await load("hf-hub:someone/digits");
  assert.deepEqual([first.error, first.stages, first.top], [undefined, ["download"], "3"]);
  assert.ok(!asked.some((path) => /fitted|labels|processor|README/.test(path)), asked.join());
  asked = await hub(SHA);
  assert.deepEqual((await load("hf-hub:someone/digits")).stages, ["cache"]);
  assert.deepEqual(asked, ["/api/models/someone/digits/revision/main"]);

  const later = SHA.replace("0", "f");
  await hub(later);
  assert.deepEqual((await load("hf-hub:someone/digits")).stages, ["download"]);
  const kept = await call(page, async () => (await (await caches.open("tome-wgpu-1")).keys()).map(({ url }) => url));
  assert.ok(kept.length > 0 && !kept.some((url) => url.includes(SHA)), kept.join());

  await page.unrouteAll();
  await page.route("https://huggingface.co/**", (route) => route.abort());
  assert.deepEqual((await load("hf-hub:someone/digits")).stages, ["cache"]);
});

test("what the hub has not, or not for everybody", async () => {
  await hub(SHA, ["config.json", "pytorch_model.bin"]);
  const weights = (await load("hf-hub:someone/digits")).error;
  assert.deepEqual(weights.kind, "file");
  assert.match(weights.message, /hf-hub:someone\/digits: has neither.*pytorch_model.bin/);
  const other = (await load("hf-hub:someone/else")).error;
  assert.equal(other.kind, "network");
  assert.match(other.message, /hf-hub:someone\/else: .*give a token/);
  assert.equal((await load("hf-hub:../../etc")).error?.kind, "input");
});

test("files by name, as a visitor drops them", async () => {
  const got = await call(page, async ({ Tome }) => {
    const bytes = async (name) => (await fetch(`/models/digits/${name}`)).arrayBuffer();
    const [config, weights] = [await bytes("config.json"), await bytes("model.safetensors")];
    const label = async (source) => {
      const tome = await Tome.load(source, { device: "cpu" });
      return [(await tome.run("/models/digits/digit_3.png")).top[0].label, ...tome.warnings];
    };
    const named = await label({ "config.json": new Blob([config]), "model.safetensors": new Uint8Array(weights) });
    const files = [new File([config], "config.json"), new File([weights], "mine.safetensors"), new File(["x"], "notes.md")];
    // They are the caller's still.
    return [named, await label(files), weights.byteLength > 0, await label({ "config.json": config, "model.safetensors": weights })];
  });
  assert.deepEqual(got, [["3"], ["3", "mine.safetensors is taken for the network's weights"], true, ["3"]]);
});

test("without an adapter the CPU takes over and says why", async () => {
  const other = await start({ webgpu: false });
  try {
    const bare = await other.page();
    const got = await call(bare, async ({ Tome }) => {
      const tome = await Tome.load("/models/digits", { precision: "f16" });
      const refused = await Tome.load("/models/digits", { device: "webgpu" }).then(String, ({ kind }) => kind);
      return { device: tome.device, warnings: tome.warnings, top: (await tome.run("/models/digits/digit_3.png", { r: 16 })).top[0].label, refused };
    });
    assert.equal(got.error, undefined, got.error?.stack);
    assert.deepEqual([got.device.kind, got.device.precision, got.top, got.refused], ["cpu", "f32", "3", "no-device"]);
    assert.match(got.device.why, /no WebGPU/);
    assert.match(got.warnings.join(), /computes in f32, not in f16/);
    bare.check();
  } finally {
    await other.close();
  }
});

test("a software driver is passed over, and taken where it is asked for", async () => {
  const got = await call(page, async ({ Tome }) => {
    const devices = [];
    for (const device of ["auto", "webgpu"]) devices.push((await Tome.load("/models/digits", { device })).device);
    // It has no shader-f16.
    devices.push(await Tome.load("/models/digits", { device: "webgpu", precision: "f16" }).then(String, ({ kind, message }) => ({ kind, why: message })));
    return devices;
  });
  assert.deepEqual(got.map(({ kind }) => kind), ["cpu", "webgpu", "no-device"]);
  assert.match(got[2].why, /no shader-f16/);
  assert.match(got[0].why, /software driver/);
  assert.equal(got[1].why, "asked for");
});

test("in a module worker", async () => {
  const got = await page.evaluate(async () => {
    const worker = new Worker("/tests/worker.js", { type: "module" });
    const answer = new Promise((answered) => (worker.onmessage = ({ data }) => answered(data)));
    return answer;
  });
  assert.deepEqual(got, [["webgpu", "3"], ["cpu", "3"]]);
  page.check();
});
