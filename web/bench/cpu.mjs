// CPU seconds of Chromium's processes, which say more than the clock on a machine that has other work. Linux only.
import { readFileSync, readdirSync } from "node:fs";

/** Hertz of the times in /proc, the same on all of Linux's architectures. */
const TICKS = 100;

/** What stands behind the name in /proc/PID/stat: parent at 1, user and system time at 11 and 12. */
const stat = (pid) => readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "").split(" ").map(Number);

function isOurs(pid) {
  for (let at = pid; at > 1; at = stat(at)[1]) if (at === process.pid) return true;
  return false;
}

/** Seconds so far of all processes of one type that this program has started: `gpu-process` or `renderer`. */
export function seconds(type) {
  let all = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number)) {
    try {
      const ours = readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`--type=${type}`) && isOurs(pid);
      if (ours) all += (stat(pid)[11] + stat(pid)[12]) / TICKS;
    } catch {
      // It has ended.
    }
  }
  return all;
}
