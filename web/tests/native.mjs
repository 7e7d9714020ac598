// What the command computes, to compare with.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { readTensors } from "./files.mjs";

/** The project's folder. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const target = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
const COMMAND = process.env.TOME ?? join(target, "release", "tome");

/** Results of `tome infer` on the CPU for one picture, by their names; `source` without the tokens before the patches. */
export function infer(model, picture, r, want = "logits,source,size") {
  if (!existsSync(COMMAND)) throw new Error(`no ${COMMAND}: cargo build --release, or set TOME`);
  const folder = mkdtempSync(join(tmpdir(), "tome-native-"));
  const output = join(folder, "out.safetensors");
  const args = ["infer", "--model", model, "--input", picture, "--output", output, "--device", "cpu", "--r", r, "--want", want];
  try {
    execFileSync(COMMAND, args, { stdio: ["ignore", "ignore", "pipe"] });
    return Object.fromEntries(Object.entries(readTensors(output)).map(([name, { values }]) => [name, Array.from(values)]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The largest difference of two lists of numbers by the largest of them. */
export function apart(a, b) {
  if (a.length !== b.length || a.length === 0) return Infinity;
  const scale = Math.max(...b.map(Math.abs));
  return Math.max(...a.map((value, i) => Math.abs(value - b[i]))) / scale;
}
