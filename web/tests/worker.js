// Classifies a digit within a module worker.
import { Tome } from "/dist/tome.js";

try {
  const answers = [];
  for (const device of ["webgpu", "cpu"]) {
    const tome = await Tome.load("/models/digits", { device });
    const { top } = await tome.run("/models/digits/digit_3.png", { r: 16 });
    answers.push([tome.device.kind, top[0].label]);
  }
  postMessage(answers);
} catch (error) {
  postMessage(String(error.stack));
}
