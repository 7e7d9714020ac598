import { $, measured, say, sentence } from "./view.js";

/** Measures on a click, since it takes all that the device can do: a few r from none to all, beside what is promised. */
export function offerMeasuring(engine, present) {
  $("measure").onclick = async () => {
    say("measure-error", "");
    const { current, state } = present();
    if (!current) return say("measure-error", "No network is loaded.");
    const most = Number($("r").max);
    const rs = [...new Set([0, 0.25, 0.5, 0.75, 1].map((part) => Math.round(part * most)))];
    const batch = Number($("batch").value);
    // A fitted schedule has no r.
    const schedule = state.schedule === "fitted" ? "constant" : state.schedule;
    $("measure").disabled = true;
    $("measuring").textContent = `Measuring r = ${rs.join(", ")} in turns.`;
    try {
      measured(await engine.bench(rs, { schedule, batch }));
      const where = current.device.kind === "cpu" ? "the CPU" : "WebGPU";
      $("measuring").textContent = `${current.wanted.name.split(",")[0]} on ${where}, ${current.device.precision}, ${schedule} schedule, ${batch} at once.`;
    } catch (error) {
      $("measuring").textContent = "";
      say("measure-error", sentence(error));
    } finally {
      $("measure").disabled = false;
    }
  };
}
