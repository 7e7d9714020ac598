// The page in Chromium, as people use it. Wants web/dist (web/build); puts the page together itself.
//
// TOME_WRITE_SCREENSHOT=1 writes web/page/page.png, the README's picture. TOME_SCREENSHOTS=FOLDER keeps all of them there.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";

const WEB = join(import.meta.dirname, "..");
const DIGITS = join(WEB, "../models/digits");
const read = (name) => readFileSync(join(DIGITS, name));
const READY = "#frame:not([data-busy])";
const CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];

let server;
/** With SwiftShader, which is a fallback adapter: `auto` takes the CPU. */
let browser;

before(async () => {
  execFileSync(join(WEB, "page/build"), { stdio: "inherit" });
  server = await serve({ "/": join(WEB, "page/dist") });
  browser = await launch({ args: CAMERA, viewport: { width: 1280, height: 900 }, permissions: ["clipboard-read", "clipboard-write"] });
});

after(async () => {
  await browser?.close();
  await server?.close();
});

/** A page at a state, when its first answer is there. */
async function open(hash = "", from = browser) {
  const page = await from.open(`${server.url}/${hash}`);
  await page.waitForSelector(READY, { timeout: 60000 });
  return page;
}

const text = (page, id) => page.locator(`#${id}`).innerText();
const first = (page) => page.locator("#answer li:first-child .label").innerText();
const left = async (page) => Number((await text(page, "left")).match(/^\d+/)[0]);
const drawn = async (page) => createHash("sha256").update(await page.evaluate(() => document.getElementById("picture").toDataURL())).digest("hex");
const holds = (page, condition, argument) => page.waitForFunction(condition, argument, { timeout: 60000 });
const says = (page, id, words) => holds(page, ([id, words]) => document.getElementById(id).innerText.includes(words), [id, words]);

const runs = (page) => page.evaluate(() => performance.getEntriesByName("input to picture").length);

/** Sets r as a drag does, and waits until its picture is drawn and that many tokens are left. */
async function drag(page, r, tokens) {
  const before = await runs(page);
  await page.locator("#r").evaluate((slider, r) => {
    slider.value = r;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  }, r);
  await holds(page, (before) => performance.getEntriesByName("input to picture").length > before, before);
  if (tokens) await says(page, "left", `${tokens} of 197`);
}

/** Drops files on the page, or pastes them. */
const give = (page, kind, files) =>
  page.evaluate(([kind, files]) => {
    const transfer = new DataTransfer();
    for (const { name, type, bytes } of files) transfer.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name, { type }));
    const event = kind === "drop"
      ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
      : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true });
    document.body.dispatchEvent(event);
  }, [kind, files.map(({ bytes, ...file }) => ({ type: "", ...file, bytes: Buffer.from(bytes).toString("base64") }))]);

async function shot(page, name) {
  const folder = process.env.TOME_SCREENSHOTS;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

const AXE = readFileSync(join(WEB, "node_modules/axe-core/axe.min.js"), "utf8");

/** What axe finds wrong for people who hear the page, or see it badly: nothing. */
async function isForAll(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => axe.run());
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join("; ")}`), []);
}

test("a digit is read at r = 16 and at r = 0", async () => {
  const page = await open();
  assert.equal(await first(page), "3");
  assert.equal(await left(page), 69);
  await drag(page, 0, 197);
  assert.equal(await first(page), "3");
  assert.match(await text(page, "promised"), /^1\.00/);
  await page.locator("[data-picture=digit_8]").click();
  await holds(page, () => document.querySelector("#answer .label").innerText === "8");
  assert.equal(await page.evaluate(() => location.hash), "#r=0&picture=digit_8");
  page.check();
  await page.close();
});

test("dragging r: the picture changes, tokens fall, and it takes little more than the network", async () => {
  const page = await open("#r=0");
  const pictures = new Set();
  let tokens = 197;
  for (let r = 1; r <= 24; r++) {
    await drag(page, r, r <= 21 ? 197 - 8 * r : undefined);
    const now = await left(page);
    assert.ok(now < tokens, `${now} tokens left at r = ${r}, ${tokens} before`);
    tokens = now;
    pictures.add(await drawn(page));
  }
  assert.equal(pictures.size, 24, "every r has its own picture");
  const measures = await page.evaluate(() => performance.getEntriesByName("input to picture").map(({ duration, detail }) => [duration, detail.network]));
  assert.ok(measures.length === 24, `${measures.length} measures`);
  // The first compiles and allocates; W5 is about those after it.
  const beside = measures.slice(1).map(([all, network]) => all - network).sort((a, b) => a - b);
  const networks = measures.slice(1).map(([, network]) => network).sort((a, b) => a - b);
  const middle = (values) => values[values.length >> 1].toFixed(1);
  console.log(`from input to picture, beside the network: ${middle(beside)} ms (median), ${beside.at(-1).toFixed(1)} ms (most); the network: ${middle(networks)} ms`);
  assert.ok(Number(middle(beside)) < 50, `${middle(beside)} ms beside the network's own time`);

  // Quicker than the network: what runs is the newest, and the last one wins.
  await page.locator("#r").evaluate((slider) => {
    for (let step = 0; step < 200; step++) {
      slider.value = step % 20;
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    }
    slider.value = 3;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  });
  await says(page, "left", "173 of 197");
  const ran = (await runs(page)) - measures.length;
  assert.ok(ran <= 3, `201 inputs at once made ${ran} runs`);
  page.check();
  await page.close();
});

test("schedules are taken; a fitted one where the network has one", async () => {
  const page = await open();
  await page.locator("[value=falling]").check();
  await holds(page, () => document.getElementById("tokens").getAttribute("aria-label").includes("197 at first; after each block 165"));
  assert.ok(await page.locator("[value=fitted]").isDisabled());
  await page.locator("#network").selectOption("clutter");
  await says(page, "left", "of 257");
  await page.locator("[value=fitted]").check();
  await says(page, "r-value", "fitted");
  assert.ok(await page.locator("#r").isDisabled());
  page.check();
  await page.close();
});

test("a picture is dropped, pasted, opened", async () => {
  const page = await open("#picture=digit_3");
  await give(page, "drop", [{ name: "eight.png", type: "image/png", bytes: read("digit_8.png") }]);
  await holds(page, () => document.querySelector("#answer .label").innerText === "8");
  assert.equal(await page.locator("#shipped [aria-pressed=true]").count(), 0);
  await give(page, "paste", [{ name: "zero.png", type: "image/png", bytes: read("digit_0.png") }]);
  await holds(page, () => document.querySelector("#answer .label").innerText === "0");
  await page.locator("#file").setInputFiles(join(DIGITS, "digit_5.png"));
  await holds(page, () => document.querySelector("#answer .label").innerText === "5");
  await give(page, "paste", []);
  await says(page, "picture-error", "no picture in the clipboard");
  page.check();
  await page.close();
});

test("a large picture is made smaller once, and that is said", async () => {
  const page = await open();
  const large = await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(3000, 2000);
    canvas.getContext("2d").fillRect(0, 0, 10, 10);
    return [...new Uint8Array(await (await canvas.convertToBlob({ type: "image/jpeg" })).arrayBuffer())];
  });
  await give(page, "drop", [{ name: "large.jpg", type: "image/jpeg", bytes: large }]);
  await says(page, "picture-note", "from 3000 × 2000 to 1536 × 1024");
  page.check();
  await page.close();
});

test("a broken picture and a broken network are said where they arose, and what was there stays", async () => {
  const page = await open();
  await give(page, "drop", [{ name: "half.png", type: "image/png", bytes: read("digit_8.png").subarray(0, 60) }]);
  await says(page, "picture-error", "half.png cannot be read as a picture");
  await isForAll(page);
  await page.waitForSelector("[data-picture=digit_3][aria-pressed=true]");
  await page.locator("[data-picture=digit_5]").click();
  await holds(page, () => document.querySelector("#answer .label").innerText === "5" && document.getElementById("picture-error").hidden);
  const broken = read("model.safetensors").subarray(0, 5000);
  await give(page, "drop", [{ name: "config.json", bytes: read("config.json") }, { name: "model.safetensors", bytes: broken }]);
  await says(page, "network-error", "The network before stays");
  const said = await text(page, "network-error");
  assert.match(said, /model\.safetensors/);
  await drag(page, 4, 165);
  assert.equal(await first(page), "5");
  assert.equal(await page.locator("#network").inputValue(), "digits");
  page.check();
  await page.close();
});

test("a network of one's own: files dropped, and from the hub", async () => {
  const alone = await launch({ webgpu: false, serviceWorkers: "block" });
  try {
    const page = await open("", alone);
    await give(page, "drop", [{ name: "config.json", bytes: read("config.json") }, { name: "model.safetensors", bytes: read("model.safetensors") }]);
    await says(page, "about", "read from this computer");
    await page.locator("summary").click();
    await page.locator("#repository").fill("someone/nothing");
    await alone.context.route("https://huggingface.co/**", (route) => route.fulfill({ status: 404, body: "no" }));
    await page.locator("#hub button").click();
    await says(page, "network-error", "someone/nothing");
    await alone.context.unroute("https://huggingface.co/**");
    const files = ["config.json", "model.safetensors"];
    await alone.context.route("https://huggingface.co/**", (route) => {
      const path = new URL(route.request().url()).pathname;
      const headers = { "access-control-allow-origin": "*" };
      const name = path.split("/").at(-1);
      if (path.startsWith("/api/models/")) route.fulfill({ headers, json: { sha: "0".repeat(40), siblings: files.map((rfilename) => ({ rfilename })) } });
      else if (files.includes(name)) route.fulfill({ headers, body: read(name) });
      else route.fulfill({ status: 404, headers, body: "no" });
    });
    await page.locator("#repository").fill("someone/digits");
    await page.locator("#hub button").click();
    await says(page, "about", "someone/digits, from the Hugging Face hub");
    assert.equal(await page.evaluate(() => location.hash), "#network=hf-hub:someone/digits&picture=chelsea");
    await page.locator("[data-picture=coffee]").click();
    await holds(page, () => location.hash.endsWith("picture=coffee"));
    page.errors.length = 0; // the browser's own words for the answers 404
    await page.close();
  } finally {
    await alone.close();
  }
});

test("frames of the camera, one after the other", async () => {
  const page = await open();
  const before = await drawn(page);
  await page.locator("#camera").click();
  await holds(page, () => document.getElementById("camera").innerText.startsWith("Stop"));
  await holds(page, (before) => document.getElementById("picture").toDataURL() !== before, before);
  const pictures = new Set();
  for (let look = 0; look < 100 && pictures.size < 3; look++) {
    await page.waitForTimeout(100);
    pictures.add(await drawn(page));
  }
  assert.equal(pictures.size, 3, "the fake camera moves, so the picture does");
  await drag(page, 20, 37);
  await page.locator("#camera").click();
  await holds(page, () => document.getElementById("camera").innerText === "Camera");
  page.check();
  await page.close();
});

test("a camera that is refused is said", async () => {
  const refusing = await launch({ webgpu: false, args: ["--deny-permission-prompts"] });
  try {
    const page = await open("", refusing);
    await page.locator("#camera").click();
    await says(page, "camera-error", "camera");
    page.check();
  } finally {
    await refusing.close();
  }
});

test("without an adapter it runs on the CPU, and says so", async () => {
  const without = await launch({ webgpu: false });
  try {
    const page = await open("", without);
    assert.match(await text(page, "notice"), /runs on the CPU/);
    assert.match(await text(page, "device"), /^CPU/);
    assert.equal(await first(page), "3");
    await page.locator("[value=webgpu]").click();
    await says(page, "network-error", "The network before stays");
    assert.ok(await page.locator("[name=device][value=auto]").isChecked());
    await page.locator("[value=f16]").click();
    await says(page, "why", "f16 wants WebGPU with shader-f16");
    assert.ok(await page.locator("[value=f32]").isChecked());
    page.check();
  } finally {
    await without.close();
  }
});

test("WebGPU where it is asked for", async () => {
  const page = await open("#device=webgpu");
  assert.match(await text(page, "device"), /^WebGPU/);
  assert.equal(await first(page), "3");
  assert.ok(await page.locator("#notice").isHidden());
  await drag(page, 20, 37);
  assert.equal(await first(page), "3");
  page.check();
  await page.close();
});

test("the page opens again without a server", async () => {
  const own = await launch({ webgpu: false });
  const gone = await serve({ "/": join(WEB, "page/dist") });
  try {
    const page = await own.open(gone.url);
    await page.waitForSelector(READY);
    await page.evaluate(async () => {
      await navigator.serviceWorker.ready;
      // Ready is said before it has taken over this page.
      if (!navigator.serviceWorker.controller) await new Promise((taken) => navigator.serviceWorker.addEventListener("controllerchange", taken));
    });
    await gone.close();
    await page.reload();
    await page.waitForSelector(READY);
    assert.equal(await first(page), "3");
    await page.locator("#network").selectOption("clutter");
    await says(page, "left", "of 257");
    page.check();
  } finally {
    await own.close();
    await gone.close();
  }
});

test("a link holds the state", async () => {
  const page = await open("#network=clutter&r=8&schedule=falling&picture=letter_K");
  assert.equal(await page.locator("#r").inputValue(), "8");
  assert.ok(await page.locator("[value=falling]").isChecked());
  assert.equal(await page.locator("#network").inputValue(), "clutter");
  assert.equal(await first(page), "K");
  await page.locator("#share").click();
  await says(page, "shared", "Copied");
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(copied, `${server.url}/#network=clutter&r=8&schedule=falling&picture=letter_K`);
  await page.evaluate(() => { location.hash = "#schedule=sideways&r=4"; });
  await says(page, "trouble", "sideways");
  await says(page, "left", "165 of 197");
  page.check();
  await page.close();
});

test("measured here, beside what is promised", async () => {
  const page = await open();
  await page.locator("#measure").click();
  await page.waitForSelector("#measured:not([hidden])", { timeout: 60000 });
  const rows = await page.locator("#speed-table tbody tr").allInnerTexts();
  assert.equal(rows.length, 5);
  assert.match(rows[0], /^0\s+[\d.]+\s+1\.00×\s+1\.00×$/);
  const promised = rows.map((row) => Number(row.match(/([\d.]+)×$/)[1]));
  assert.ok(promised.every((value, index) => index === 0 || value > promised[index - 1]), promised.join());
  assert.equal(await page.locator("#speed .point").count(), 5);
  assert.match(await page.locator("#speed").getAttribute("aria-label"), /r = 24: .* measured, .* promised/);
  await isForAll(page);
  await shot(page, "measured");
  page.check();
  await page.close();
});

test("the keyboard reaches everything", async () => {
  const page = await open();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "r", "the first stop leads to the slider");
  await page.keyboard.press("ArrowRight");
  await says(page, "left", "61 of 197");
  await holds(page, () => /61 of 197 tokens left/.test(document.getElementById("live").textContent));
  await page.locator("#picture").focus();
  await page.keyboard.press("ArrowRight");
  assert.match(await text(page, "patch"), /^Row 8, column 8: one /);
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowUp");
  const corner = await text(page, "patch");
  assert.match(corner, /^Row 7, column 1: one token of \d+ patches\.$/);
  await shot(page, "patch");
  await page.keyboard.press("Escape");
  assert.match(await text(page, "patch"), /^Point at/);
  const reached = new Set();
  for (let step = 0; step < 60; step++) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.name || document.activeElement.tagName));
  }
  for (const id of ["opacity", "schedule", "open", "camera", "measure", "batch", "network", "device", "precision", "share"]) assert.ok(reached.has(id), `${id} among ${[...reached]}`);
  page.check();
  await page.close();
});

test("pointing shows a token; touching does too", async () => {
  const page = await open();
  const plain = await drawn(page);
  await page.locator("#picture").hover({ position: { x: 5, y: 5 } });
  assert.match(await text(page, "patch"), /^Row 1, column 1: one token of \d+ patches/);
  assert.notEqual(await drawn(page), plain);
  await page.mouse.move(0, 0);
  await holds(page, () => document.getElementById("patch").innerText.startsWith("Point"));
  assert.equal(await drawn(page), plain);
  await page.locator("#opacity").fill("0");
  assert.notEqual(await drawn(page), plain);
  page.check();
  await page.close();
});

test("networks are changed while r is dragged", async () => {
  const page = await open();
  await page.evaluate(async () => {
    const slider = document.getElementById("r");
    const select = document.getElementById("network");
    for (const id of ["clutter", "digits", "clutter", "digits", "clutter"]) {
      select.value = id;
      select.dispatchEvent(new Event("change"));
      for (let step = 0; step < 30; step++) {
        slider.value = (step * 7) % 25;
        slider.dispatchEvent(new Event("input", { bubbles: true }));
        await new Promise((next) => setTimeout(next, 10));
      }
    }
  });
  await drag(page, 8);
  await says(page, "left", "193 of 257");
  assert.match(await first(page), /^[A-Z]$/);
  await page.locator("#picture").focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("End");
  assert.match(await text(page, "patch"), /column 16/);
  for (const id of ["picture-error", "network-error", "trouble"]) assert.equal(await text(page, id), "");
  page.check();
  await page.close();
});

test("a lost device is said, and the network loads again", async () => {
  const own = await launch();
  try {
    const page = await open("#device=webgpu", own);
    const protocol = await own.context.newCDPSession(page);
    await protocol.send("Browser.crashGpuProcess");
    await says(page, "network-error", "lost");
    await page.locator("#reload").click();
    await holds(page, () => document.getElementById("network-error").hidden && document.getElementById("loading").hidden);
    await drag(page, 20, 37);
    assert.equal(await first(page), "3");
  } finally {
    await own.close();
  }
});

for (const [name, options] of Object.entries({
  desktop: { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 360, height: 740 }, colorScheme: "light", deviceScaleFactor: 2, hasTouch: true, isMobile: true },
  "phone in the dark": { viewport: { width: 360, height: 740 }, colorScheme: "dark", deviceScaleFactor: 2, hasTouch: true, isMobile: true, reducedMotion: "reduce" },
})) {
  test(`nothing stands in anybody's way: ${name}`, async () => {
    const own = await launch({ webgpu: false, ...options });
    try {
      const page = await open("", own);
      await page.locator("summary").click();
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= options.viewport.width, `${wide} pixels wide`);
      await isForAll(page);
      if (options.hasTouch) {
        await page.locator("#picture").tap({ position: { x: 5, y: 5 } });
        assert.match(await text(page, "patch"), /^Row 1, column 1: /);
        await page.locator("h1").tap();
      }
      await shot(page, name);
      page.check();
    } finally {
      await own.close();
    }
  });
}

test("the README's picture", async () => {
  const own = await launch({ viewport: { width: 1120, height: 860 }, colorScheme: "light" });
  try {
    const page = await open("#device=webgpu&r=18&picture=digit_5", own);
    await page.evaluate(() => Promise.all([...document.images].map((image) => image.decode())));
    const png = await page.screenshot();
    assert.ok(png.length < 200_000, `${png.length} bytes`);
    if (process.env.TOME_WRITE_SCREENSHOT) writeFileSync(join(WEB, "page/page.png"), png);
    page.check();
  } finally {
    await own.close();
  }
});
