// The package in a browser against the command: the same numbers, the same tokens merged.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { writeVitTiny } from "./files.mjs";
import { apart, infer, ROOT } from "./native.mjs";
import { call, start } from "./setup.mjs";

/** Sums in another order; the largest seen is 1e-6. */
const TOLERANCE = 1e-5;

let home, page;
before(async () => {
  home = await start();
  page = await home.page();
});
after(() => home?.close());

/** Loads a network and runs a picture by some ways of merging. */
async function runs(device, model, picture, mergings) {
  const results = await call(
    page,
    async ({ Tome }, { device, model, picture, mergings }) => {
      const tome = await Tome.load(model, { device });
      const results = [];
      for (const merging of mergings) results.push(await tome.run(picture, { ...merging, want: ["logits", "source", "size"] }));
      tome.free();
      return { kind: tome.device.kind, results };
    },
    { device, model, picture, mergings },
  );
  assert.equal(results.error, undefined, results.error?.stack);
  assert.equal(results.kind, device);
  page.check();
  return results.results;
}

function assertSame(result, native, prefix) {
  const error = apart(result.logits, native.logits);
  assert.ok(error < TOLERANCE, `logits differ by ${error}`);
  assert.deepEqual(result.source, native.source.slice(prefix));
  assert.deepEqual(result.size, native.size);
}

for (const device of ["webgpu", "cpu"]) {
  test(`digits on ${device}: the command's logits and merged tokens`, async () => {
    const [picture, model] = ["models/digits/digit_3.png", "models/digits"];
    const results = await runs(device, `/${model}`, `/${picture}`, [{ r: 0 }, { r: 16 }]);
    for (const [i, r] of ["0", "16"].entries()) {
      assertSame(results[i], infer(join(ROOT, model), join(ROOT, picture), r), 1);
    }
    assert.equal(results[1].top[0].label, "3");
    assert.equal(results[1].top.length, 5);
  });

  test(`clutter on ${device}: schedules and what was fitted`, async () => {
    const [picture, model] = ["models/clutter/heldout/A/00.png", "models/clutter"];
    const list = [0, 8, 0, 24, 0, 1, 2, 3];
    const mergings = [{ r: 12, schedule: "rising" }, { r: 12, schedule: "falling" }, { r: list }, { schedule: "fitted" }];
    const results = await runs(device, `/${model}`, `/${picture}`, mergings);
    for (const [i, r] of ["12:1", "12:-1", list.join(","), "fitted"].entries()) {
      assertSame(results[i], infer(join(ROOT, model), join(ROOT, picture), r), 1);
    }
  });

  test(`ViT-Ti with random weights on ${device}: the command's logits and merged tokens`, async () => {
    const model = join(home.files, "tiny");
    writeVitTiny(model);
    const results = await runs(device, "/files/tiny", "/files/drawing.png", [{ r: 0 }, { r: 16 }]);
    for (const [i, r] of ["0", "16"].entries()) {
      assertSame(results[i], infer(model, join(home.files, "drawing.png"), r), 1);
    }
  });
}

test("a network in shards is the same network", async () => {
  const [whole, shards] = [join(home.files, "tiny"), join(home.files, "shards")];
  writeVitTiny(whole);
  writeVitTiny(shards, 2);
  const [result] = await runs("cpu", "/files/shards/", "/files/drawing.png", [{ r: 16 }]);
  assertSame(result, infer(whole, join(home.files, "drawing.png"), "16"), 1);
});

test("what is asked for comes, and what it is called", async () => {
  const got = await call(page, async ({ Tome }) => {
    const tome = await Tome.load("/models/digits", { device: "cpu" });
    const picture = "/models/digits/digit_5.png";
    const all = await tome.run(picture, { want: ["probabilities", "features"], top: 2 });
    const few = await tome.run([picture, "/models/digits/digit_8.png"], { r: 8, want: ["source"] });
    const plan = await tome.plan({ r: 8 }, 2);
    const rows = await tome.bench([0, 16], { seconds: 0.1 });
    return { all, few, plan, rows, config: tome.config, fitted: tome.isFitted, warnings: tome.warnings };
  });
  assert.equal(got.error, undefined, got.error?.stack);
  assert.deepEqual(Object.keys(got.all).sort(), ["features", "ms", "probabilities", "top"]);
  assert.ok(Math.abs(got.all.probabilities.reduce((a, b) => a + b) - 1) < 1e-6);
  assert.deepEqual(got.all.top.map(({ label }) => label)[0], "5");
  assert.equal(got.all.top.length, 2);
  assert.equal(got.all.features.length, 64);
  assert.deepEqual(got.few.map(({ top, source }) => [top.length, source.length]), [[0, 196], [0, 196]]);
  assert.deepEqual([got.plan.tokens, got.plan.tokensPerBlock], [197, [189, 181, 173, 165, 157, 149, 141, 133]]);
  assert.ok(got.plan.promisedSpeedup > 1.1 && /197 tokens become 133/.test(got.plan.text), got.plan.text);
  assert.deepEqual(got.rows.map(({ r }) => r), [0, 16]);
  assert.ok(got.rows[0].speedup === 1 && got.rows[1].promisedSpeedup > 1.2 && got.rows[1].imagesPerSecond > 0);
  assert.deepEqual([got.config.imageSize, got.config.grid, got.config.prefixTokens], [[56, 56], [14, 14], 1]);
  assert.deepEqual([got.fitted, got.warnings], [false, []]);
});

test("calls made at once do not disturb one another", async () => {
  const got = await call(page, async ({ Tome }) => {
    const tome = await Tome.load("/models/digits", { device: "webgpu" });
    const asked = [0, 16, 4, 16, 0, 8].map((r, i) => [`/models/digits/digit_${[0, 3, 5, 8][i % 4]}.png`, { r, want: ["logits"] }]);
    const together = await Promise.all(asked.map(([picture, options]) => tome.run(picture, options)));
    const apart = [];
    for (const [picture, options] of asked) apart.push(await tome.run(picture, options));
    return [together, apart].map((results) => results.map(({ logits }) => logits));
  });
  assert.equal(got.error, undefined, got.error?.stack);
  assert.deepEqual(got[0], got[1]);
  page.check();
});

test("the page stays alive while the CPU computes", async () => {
  const got = await call(page, async ({ Tome }) => {
    const tome = await Tome.load("/models/clutter", { device: "cpu" });
    const picture = new ImageData(64, 64);
    let [longest, last] = [0, performance.now()];
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 5);
    const start = performance.now();
    await tome.run(Array(40).fill(picture));
    clearInterval(timer);
    return { longest, all: performance.now() - start };
  });
  assert.equal(got.error, undefined, got.error?.stack);
  // One call of all pictures, of which the page's thread has no part.
  assert.ok(got.longest < got.all / 2, `${got.longest} ms of ${got.all} without a turn`);
});
