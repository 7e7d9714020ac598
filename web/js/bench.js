/** Pictures per second for some r, in turns, so that what else the machine does is shared by all. */
import { TomeError } from "./errors.js";

/** At least so many turns. */
const TURNS = 3;

export async function bench(tome, rs, { schedule, batch, seconds }) {
  if (!Array.isArray(rs) || rs.length === 0) throw new TomeError("input", "bench wants an array of r");
  const [height, width] = tome.config.imageSize;
  const pictures = Array.from({ length: batch }, () => new ImageData(width, height));
  const rows = [];
  for (const r of rs) {
    const { promisedSpeedup } = await tome.plan({ r, schedule }, batch);
    rows.push({ r, times: [], promisedSpeedup });
  }
  const run = (r) => tome.run(pictures, { r, schedule, want: ["features"] });
  // The first of each is no measure.
  for (const { r } of rows) await run(r);
  const until = performance.now() + 1000 * seconds;
  for (let turn = 0; turn < TURNS || performance.now() < until; turn++) {
    for (const { r, times } of rows) {
      const [{ ms }] = await run(r);
      times.push(ms);
    }
  }
  const speeds = rows.map(({ times }) => (1000 * batch) / median(times));
  return rows.map(({ r, promisedSpeedup }, i) => ({
    r,
    imagesPerSecond: speeds[i],
    speedup: speeds[i] / speeds[0],
    promisedSpeedup: promisedSpeedup / rows[0].promisedSpeedup,
  }));
}

function median(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
