// Chromium without a window, with WebGPU on its software driver.
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const COMMON = ["--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"];

/** Files that may be missing, which browsers write to the console: those that a network may do without. */
const OPTIONAL =
  /\/favicon\.ico$|\/(preprocessor_config|processor_config|open_clip_config|fitted|config)\.json$|\/labels\.txt$|\/(open_clip_)?model\.safetensors(\.index\.json)?$/;

/**
 * Starts Chromium (that of `CHROMIUM`, else Debian's) with a profile of its own. `webgpu: false` leaves it without an adapter;
 * `args` are more of its flags.
 *
 * `open(url)` gives a page; what it says on its console as an error, and what nobody catches there, is collected in
 * `page.errors` and told by `page.check()`, which throws. `close()` ends the browser and removes the profile.
 */
export async function launch({ webgpu = true, args = [], ...options } = {}) {
  const executablePath = process.env.CHROMIUM ?? PLACES.find((place) => existsSync(place));
  if (!executablePath) throw new Error(`no Chromium in ${PLACES.join(", ")}; install one or set CHROMIUM`);
  const profile = await mkdtemp(join(tmpdir(), "tome-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    args: [...COMMON, ...(webgpu ? WEBGPU : ["--disable-features=WebGPU,WebGPUService"]), ...args],
    ...options,
  });
  return {
    context,
    async open(url) {
      const page = await context.newPage();
      watch(page);
      await page.goto(url);
      return page;
    },
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

/** Collects a page's errors. */
function watch(page) {
  page.errors = [];
  page.on("console", (message) => {
    const url = message.location().url;
    const missing = /status of 404/.test(message.text()) && OPTIONAL.test(new URL(url || "http://none/").pathname);
    if (message.type() === "error" && !missing) page.errors.push(`${message.text()} (${url})`);
  });
  page.on("pageerror", (error) => page.errors.push(String(error.stack ?? error)));
  page.check = () => {
    const errors = page.errors.splice(0);
    if (errors.length > 0) throw new Error(`the page has errors:\n${errors.join("\n")}`);
  };
}
