/** Merging as the modules read it: `13`, `16:-1`, `8,4,0`, or `fitted`. */
import { TomeError } from "./errors.js";

const INFLECTIONS = { constant: "", rising: ":1", falling: ":-1" };

export function mergingOf({ r = 0, schedule = "constant" } = {}, blocks) {
  if (schedule === "fitted") return "fitted";
  if (!Object.hasOwn(INFLECTIONS, schedule)) {
    throw new TomeError("input", `schedule: "${schedule}" is none of "constant", "rising", "falling" and "fitted"`);
  }
  if (!Array.isArray(r)) return `${counted(r)}${INFLECTIONS[schedule]}`;
  if (schedule !== "constant") throw new TomeError("input", `an r of each block leaves nothing to be ${schedule}`);
  if (r.length !== blocks) {
    throw new TomeError("input", `r has ${r.length} numbers, and the network ${blocks} blocks`);
  }
  // One number alone would be that of all blocks.
  return `${r.map(counted).join(",")}${blocks === 1 ? ",0" : ""}`;
}

function counted(r) {
  if (Number.isInteger(r) && r >= 0 && r <= 65535) return r;
  throw new TomeError("input", `r: ${r} is no whole number from 0 on`);
}
