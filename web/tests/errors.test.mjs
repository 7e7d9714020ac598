// What goes wrong in a browser is told by an error with a kind, and what comes after works again.
import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";

import { ROOT } from "./native.mjs";
import { call, start } from "./setup.mjs";

const DIGITS = join(ROOT, "models/digits");
const PAGE = "<!doctype html><title>Welcome</title>";

let home, page;
before(async () => {
  // What a server says below /odd/ instead of a file.
  home = await start({ answer: odd });
});
after(() => home?.close());
beforeEach(async () => {
  await page?.close();
  page = await home.page();
});

function odd(request, response) {
  const [, name, file] = request.url.match(/^\/odd\/([a-z-]+)\/(.*)$/) ?? [];
  const answers = {
    // A page for whatever it does not have, as servers of applications do.
    app: () => ["text/html", readOr(file, PAGE)],
    page: () => ["text/html", PAGE],
    cut: () => ["application/octet-stream", file.endsWith("model.safetensors") ? readOr(file).subarray(0, 20000) : readOr(file)],
  };
  if (name === "refused") return response.writeHead(403).end(), true;
  const [type, content] = answers[name]?.() ?? [];
  if (type && content) return response.writeHead(200, { "content-type": type }).end(content), true;
  return false;
}

function readOr(file, otherwise) {
  try {
    return readFileSync(join(DIGITS, file));
  } catch {
    return otherwise;
  }
}

/** The error of a load, which has to come. */
async function failed(source, options = { device: "cpu" }) {
  const got = await call(page, ({ Tome }, [source, options]) => Tome.load(source, options).then(() => "loaded"), [source, options]);
  assert.equal(got.error?.name, "TomeError", JSON.stringify(got));
  return got.error;
}

test("a folder that is not there, and a server that refuses", async () => {
  const missing = await failed("/files/nowhere");
  assert.equal(missing.kind, "file");
  assert.match(missing.message, /\/files\/nowhere\/: has neither model.safetensors nor/);
  const refused = await failed("/odd/refused/");
  assert.equal(refused.kind, "network");
  assert.match(refused.message, /\/odd\/refused\/config.json: the server answers 403/);
});

test("a page instead of a file is told, or passed over where the file may be missing", async () => {
  const error = await failed("/odd/page/");
  assert.equal(error.kind, "file");
  assert.match(error.message, /\/odd\/page\/.*HTML page/);
  const got = await call(page, async ({ Tome }) => (await Tome.load("/odd/app/", { device: "cpu", cache: false })).config.labels);
  assert.deepEqual(got, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
});

test("files that are broken", async () => {
  const cut = await failed("/odd/cut/");
  assert.equal(cut.kind, "file");
  assert.match(cut.message, /\/odd\/cut\/: model.safetensors: is truncated: its header promises \d+ bytes/);

  const folder = join(home.files, "broken");
  cpSync(DIGITS, folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), '{"architecture": "resnet50"}');
  const config = await failed("/files/broken");
  assert.match(config.message, /\/files\/broken\/: .*resnet50/);
  assert.ok(["config", "unsupported"].includes(config.kind), config.kind);

  writeFileSync(join(folder, "config.json"), "[]");
  assert.match((await failed("/files/broken")).message, /config.json: is no JSON object/);

  cpSync(join(DIGITS, "config.json"), join(folder, "config.json"));
  writeFileSync(join(folder, "fitted.json"), "{}");
  const fitted = await failed("/files/broken");
  assert.equal(fitted.kind, "file");
  assert.match(fitted.message, /fitted.json: is no file of `tome fit`/);
});

test("a download is ended by a signal, with its reason", async () => {
  const got = await call(page, async ({ Tome }) => {
    const end = new AbortController();
    const reason = new Error("changed my mind");
    const onProgress = ({ file }) => file === "model.safetensors" && end.abort(reason);
    const options = { device: "cpu", cache: false, signal: end.signal, onProgress };
    return Tome.load("/models/digits", options).then(() => "loaded", (error) => error === reason);
  });
  assert.equal(got, true);
});

test("what makes no sense as an option", async () => {
  const load = { precision: "f8", device: "npu" };
  for (const [name, value] of Object.entries(load)) {
    const error = await failed("/models/digits", { [name]: value });
    assert.equal(error.kind, "input");
    assert.match(error.message, new RegExp(`${name}.*${value}`));
  }
  const asked = [
    [{ r: -1 }, /-1 is no whole number/],
    [{ r: 1.5 }, /1.5 is no whole number/],
    [{ r: [1, 2] }, /2 numbers, and the network 8 blocks/],
    [{ schedule: "up" }, /"up"/],
    [{ schedule: "fitted" }, /fitted.json/],
    [{ want: ["colour"] }, /"colour"/],
  ];
  const got = await call(page, async ({ Tome }, asked) => {
    const tome = await Tome.load("/models/digits", { device: "cpu" });
    const told = [];
    for (const options of asked) told.push(await tome.run("/models/digits/digit_0.png", options).then(String, ({ kind, message }) => [kind, message]));
    told.push(await tome.run([]).then(String, ({ kind, message }) => [kind, message]));
    return told;
  }, asked.map(([options]) => options));
  for (const [i, [kind, message]] of got.entries()) {
    assert.equal(kind, "input", message);
    assert.match(message, asked[i]?.[1] ?? /no pictures/);
  }
});

test("pictures that are none", async () => {
  writeFileSync(join(home.files, "text.png"), "this is no picture");
  const got = await call(page, async ({ Tome }) => {
    const tome = await Tome.load("/models/digits", { device: "cpu" });
    const told = [];
    for (const picture of ["/files/text.png", "/files/none.png", 7, new Blob(["x"])]) {
      told.push(await tome.run(picture).then(String, ({ kind, message }) => [kind, message]));
    }
    return told;
  });
  assert.deepEqual(got.map(([kind]) => kind), ["picture", "picture", "picture", "picture"], JSON.stringify(got));
  assert.match(got[0][1], /\/files\/text.png cannot be decoded/);
  assert.match(got[1][1], /\/files\/none.png: the server answers 404/);
  assert.match(got[2][1], /nothing that a browser draws/);
});

test("a shader that does not compile is a typed error, and loading works again", async () => {
  const got = await call(page, async ({ Tome }) => {
    const create = GPUDevice.prototype.createShaderModule;
    GPUDevice.prototype.createShaderModule = function (descriptor) {
      const code = descriptor.code.replace("fn layer_norm(", "fn layer_norm(nonsense: nothing, ");
      return create.call(this, { ...descriptor, code });
    };
    const broken = await Tome.load("/models/digits", { device: "webgpu" }).then(String, ({ name, kind, message }) => [name, kind, message]);
    GPUDevice.prototype.createShaderModule = create;
    const tome = await Tome.load("/models/digits", { device: "webgpu" });
    return { broken, top: (await tome.run("/models/digits/digit_8.png")).top[0].label };
  });
  assert.equal(got.error, undefined, got.error?.stack);
  assert.deepEqual(got.broken.slice(0, 2), ["TomeError", "shader"]);
  assert.match(got.broken[2], /layer_norm: shader does not compile/);
  assert.equal(got.top, "8");
  page.check();
});

test("where the device was not asked for, the CPU stands in for a broken one and says so", async () => {
  const got = await call(page, async ({ Tome }) => {
    // A software driver that does not say that it is one.
    Object.defineProperty(GPUAdapterInfo.prototype, "isFallbackAdapter", { get: () => false });
    const create = GPUDevice.prototype.createShaderModule;
    const broken = (descriptor) => ({ ...descriptor, code: descriptor.code.replace("fn layer_norm(", "fn layer_norm(nonsense: nothing, ") });
    const load = async () => {
      const tome = await Tome.load("/models/digits");
      const { device, warnings } = tome;
      return { device, warnings, top: (await tome.run("/models/digits/digit_3.png")).top[0].label };
    };
    const good = await load();
    GPUDevice.prototype.createShaderModule = function (descriptor) {
      return create.call(this, broken(descriptor));
    };
    return { good, bad: await load() };
  });
  assert.equal(got.error, undefined, got.error?.stack);
  assert.deepEqual([got.good.device.kind, got.good.warnings], ["webgpu", []]);
  assert.deepEqual([got.bad.device.kind, got.good.top, got.bad.top], ["cpu", "3", "3"]);
  assert.match(got.bad.warnings.join(), /runs on the CPU: .* failed: layer_norm: shader does not compile/);
});

test("a lost device is told, and loading works again", async () => {
  const got = await call(page, async ({ Tome }) => {
    const devices = [];
    const request = GPUAdapter.prototype.requestDevice;
    GPUAdapter.prototype.requestDevice = async function (...args) {
      devices.push(await request.apply(this, args));
      return devices.at(-1);
    };
    const picture = "/models/digits/digit_3.png";
    const tome = await Tome.load("/models/digits", { device: "webgpu" });
    const told = ({ name, kind, message }) => [name, kind, message];
    const running = tome.run(picture, { r: 16 }).then(String, told);
    devices.at(-1).destroy();
    const lost = told(await tome.lost);
    const later = [await tome.run(picture).then(String, told), await tome.plan({ r: 4 }).then(String, told)];
    const again = await Tome.load("/models/digits", { device: "webgpu" });
    return { running: await running, lost, later, top: (await again.run(picture)).top[0].label };
  });
  assert.equal(got.error, undefined, got.error?.stack);
  assert.deepEqual(got.lost.slice(0, 2), ["TomeError", "device-lost"]);
  for (const told of [got.running, ...got.later]) assert.deepEqual(told.slice(0, 2), ["TomeError", "device-lost"]);
  assert.equal(got.top, "3");
  page.check();
});

test("a panic rejects what is on its way, and loading works again", async () => {
  const got = await call(page, async ({ Tome }) => {
    const told = ({ name, kind, message }) => [name, kind, message];
    const other = await Tome.load("/models/digits", { device: "webgpu" });
    // What wgpu does not expect of a browser.
    const create = GPUDevice.prototype.createBuffer;
    GPUDevice.prototype.createBuffer = () => {
      throw new RangeError("no such thing");
    };
    const broken = await other.run("/models/digits/digit_3.png", { r: 3 }).then(String, told);
    const after = await other.plan().then(String, told);
    GPUDevice.prototype.createBuffer = create;
    const tome = await Tome.load("/models/digits", { device: "webgpu" });
    return { broken, after, top: (await tome.run("/models/digits/digit_8.png")).top[0].label };
  });
  assert.equal(got.error, undefined, got.error?.stack);
  for (const told of [got.broken, got.after]) {
    assert.deepEqual(told.slice(0, 2), ["TomeError", "bug"]);
    assert.match(told[2], /a defect of tome-wgpu.*no such thing/s);
  }
  assert.equal(got.top, "8");
});

test("memory that the device has not is a typed error", async () => {
  const got = await call(page, async ({ Tome }) => {
    const [push, pop] = [GPUDevice.prototype.pushErrorScope, GPUDevice.prototype.popErrorScope];
    const filters = [];
    let full = false;
    GPUDevice.prototype.pushErrorScope = function (filter) {
      filters.push(filter);
      return push.call(this, filter);
    };
    GPUDevice.prototype.popErrorScope = async function () {
      const filter = filters.pop();
      const error = await pop.call(this);
      return full && filter === "out-of-memory" ? new GPUOutOfMemoryError("none left") : error;
    };
    const told = ({ kind, message }) => [kind, message];
    const tome = await Tome.load("/models/digits", { device: "webgpu" });
    full = true;
    const failed = [await tome.run("/models/digits/digit_3.png").then(String, told), await Tome.load("/models/digits", { device: "webgpu" }).then(String, told)];
    full = false;
    return { failed, top: (await tome.run("/models/digits/digit_3.png")).top[0].label };
  });
  assert.equal(got.error, undefined, got.error?.stack);
  assert.deepEqual(got.failed.map(([kind]) => kind), ["out-of-memory", "out-of-memory"], JSON.stringify(got.failed));
  assert.equal(got.top, "3");
});

test("no weights and no pictures pass through buffers that are mapped when they are made, at which browsers throw", async () => {
  const got = await call(page, async ({ Tome }) => {
    const create = GPUDevice.prototype.createBuffer;
    GPUDevice.prototype.createBuffer = function (descriptor) {
      if (descriptor.mappedAtCreation && descriptor.size > 1024) throw new RangeError("createBuffer failed, size is too large");
      return create.call(this, descriptor);
    };
    const tome = await Tome.load("/models/digits", { device: "webgpu" });
    return (await tome.run("/models/digits/digit_3.png")).top[0].label;
  });
  assert.equal(got, "3", JSON.stringify(got));
});

test("a network that is freed", async () => {
  const got = await call(page, async ({ Tome }) => {
    const told = [];
    for (const device of ["webgpu", "cpu"]) {
      const tome = await Tome.load("/models/digits", { device });
      const running = tome.run("/models/digits/digit_3.png");
      tome.free();
      tome.free();
      const calls = [running, tome.run("/models/digits/digit_3.png"), tome.plan()];
      told.push(...(await Promise.all(calls.map((call) => call.then(String, ({ kind, message }) => [kind, message])))));
    }
    return told;
  });
  assert.deepEqual(got, Array(6).fill(["input", "the network has been freed"]));
  page.check();
});
