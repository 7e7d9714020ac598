// What the tests of the package share: a browser, a server of the built package and of networks, and calls in a page.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { launch } from "./browser.mjs";
import { drawing, png } from "./files.mjs";
import { ROOT } from "./native.mjs";
import { serve } from "./server.mjs";

/**
 * Starts a server and a browser. `files` is a folder that is served as `/files/`, with a picture of 224 x 224 pixels in it.
 * `page()` opens a page, in which `call` runs functions.
 */
export async function start({ answer, ...options } = {}) {
  const files = mkdtempSync(join(tmpdir(), "tome-web-"));
  writeFileSync(join(files, "drawing.png"), png(224, 224, drawing(224, 224)));
  const folders = { "/": join(ROOT, "web"), "/models/": join(ROOT, "models"), "/files/": files };
  const server = await serve(folders, { answer });
  const browser = await launch(options);
  return {
    server,
    browser,
    files,
    page: () => browser.open(`${server.url}/tests/blank.html`),
    async close() {
      await browser.close();
      await server.close();
      rmSync(files, { recursive: true, force: true });
    },
  };
}

/**
 * Runs a function in a page with the package and an argument: `({ Tome, plain }, argument) => ...`. `plain` makes arrays of typed
 * arrays. What is thrown comes back as `{ error: { name, kind, message } }`.
 */
export async function call(page, what, argument) {
  return page.evaluate(
    async ([what, argument]) => {
      const plain = (value) => {
        if (ArrayBuffer.isView(value)) return Array.from(value);
        if (Array.isArray(value)) return value.map(plain);
        if (value === null || typeof value !== "object") return value;
        return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
      };
      try {
        const { Tome, TomeError } = await import("/dist/tome.js");
        return plain(await (0, eval)(`(${what})`)({ Tome, TomeError, plain }, argument));
      } catch (error) {
        return { error: { name: error.name, kind: error.kind, message: error.message, stack: error.stack } };
      }
    },
    [String(what), argument],
  );
}
