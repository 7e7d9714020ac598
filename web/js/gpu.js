/** Where a network runs, and the engine on WebGPU. */
import { Engine } from "./engine.js";
import { TomeError } from "./errors.js";

/** The adapter that a module's request will be given, as the browser describes it; none where there is none. */
async function adapter() {
  const gpu = globalThis.navigator?.gpu;
  if (!gpu) return { missing: "this browser has no WebGPU, or the page is not served by https" };
  try {
    const found = await gpu.requestAdapter({ powerPreference: "high-performance" });
    return found ?? { missing: "the browser finds no WebGPU adapter" };
  } catch (error) {
    return { missing: `the browser gives no WebGPU adapter (${error.message})` };
  }
}

function nameOf({ vendor, architecture, device, description }) {
  const name = description || [vendor, architecture, device].filter(Boolean).join(" ");
  return name || "a GPU that the browser does not name";
}

/** Chooses a device: its kind, its name, and why it. */
export async function choose(wanted, precision) {
  if (!["auto", "webgpu", "cpu"].includes(wanted)) {
    throw new TomeError("input", `device: "${wanted}" is none of "auto", "webgpu" and "cpu"`);
  }
  const cpu = (why) => ({ kind: "cpu", name: "CPU", precision: "f32", why });
  if (wanted === "cpu") return cpu("asked for");
  const found = await adapter();
  const name = found.missing ? undefined : nameOf(found.info ?? {});
  const lacks = precision === "f16" && !found.missing && !found.features.has("shader-f16");
  if (wanted === "webgpu") {
    if (found.missing) throw new TomeError("no-device", found.missing);
    if (lacks) throw new TomeError("no-device", `${name} has no shader-f16; load the network in f32`);
    return { kind: "webgpu", name, precision, why: "asked for" };
  }
  const fallback = found.info?.isFallbackAdapter ?? found.isFallbackAdapter;
  if (!found.missing && !fallback) {
    if (!lacks) return { kind: "webgpu", name, precision, why: "the adapter that the browser prefers" };
    const why = "the adapter that the browser prefers; in f32, as it has no shader-f16";
    return { kind: "webgpu", name, precision: "f32", why };
  }
  const why = found.missing ?? `the only adapter is a software driver (${name}), slower than the CPU path`;
  return cpu(precision === "f16" ? `${why}; it computes in f32` : why);
}

/** Opens a network on WebGPU. */
export async function openGpu(files, precision, lost) {
  return Engine.open(await import("./wasm/gpu.js"), files, precision, lost);
}
