// The package as npm packs it, installed in an empty Vite project.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { launch } from "./browser.mjs";
import { ROOT } from "./native.mjs";
import { serve } from "./server.mjs";

const MAIN = `import { Tome } from "tome-wgpu";
const results: string[] = [];
for (const device of ["webgpu", "cpu"] as const) {
  const tome = await Tome.load("/models/digits", { device });
  const { top } = await tome.run("/models/digits/digit_3.png", { r: 16 });
  results.push(tome.device.kind + " " + top[0].label);
}
document.title = results.join(", ");
`;

test("in a Vite project that installs the package", { timeout: 480_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "tome-vite-"));
  const run = (command, ...args) => execFileSync(command, args, { cwd: folder, stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" });
  const browser = await launch();
  let server;
  try {
    const [{ filename, files }] = JSON.parse(execFileSync("npm", ["pack", "--json", "--pack-destination", folder], { cwd: join(ROOT, "web"), encoding: "utf8" }));
    const names = files.map(({ path }) => path);
    for (const name of ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "dist/tome.js", "dist/tome-wgpu.d.ts", "dist/wasm/gpu_bg.wasm", "dist/wasm/cpu_bg.wasm"]) {
      assert.ok(names.includes(name), `${filename} lacks ${name}: ${names}`);
    }
    assert.ok(!names.some((name) => /test|\.rs$|Cargo/.test(name)), `${filename} has ${names}`);
    mkdirSync(join(folder, "src"));
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));
    writeFileSync(join(folder, "index.html"), '<!doctype html><title>.</title><script type="module" src="/src/main.ts"></script>');
    writeFileSync(join(folder, "src/main.ts"), MAIN);
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({ compilerOptions: { strict: true, noEmit: true, target: "esnext", module: "esnext", moduleResolution: "bundler", lib: ["esnext", "dom"] }, include: ["src"] }),
    );
    run("npm", "install", "--no-fund", "--no-audit", "--save-dev", "vite", "typescript", `./${filename}`);
    // The types hold together, also by themselves.
    run("npx", "tsc", "--skipLibCheck", "false");
    run("npx", "vite", "build", "--target", "esnext", "--logLevel", "warn");
    server = await serve({ "/": join(folder, "dist"), "/models/": join(ROOT, "models") });
    const page = await browser.open(server.url);
    await page.waitForFunction(() => document.title !== ".", undefined, { timeout: 120_000 });
    assert.equal(await page.title(), "webgpu 3, cpu 3");
    page.check();
  } finally {
    await browser.close();
    await server?.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
