/** What a link holds: everything that can be chosen, and nothing of yours. */

export const SCHEDULES = ["constant", "rising", "falling", "fitted"];
export const PRECISIONS = ["f32", "f16"];
export const DEVICES = ["auto", "webgpu", "cpu"];

export const FIRST = { network: "digits", r: 16, schedule: "constant", precision: "f32", device: "auto", picture: "" };

/** The state in a link's hash, and what in it could not be used, in words. */
export function read(hash, known) {
  const asked = new URLSearchParams(hash.replace(/^#/, ""));
  const state = { ...FIRST };
  const problems = [];
  const take = (name, fits) => {
    const value = asked.get(name);
    if (value === null) return;
    if (fits(value)) state[name] = value;
    else problems.push(`The link asks for ${name} “${value.slice(0, 80)}”, which there is not; this is with ${state[name] || "another"}.`);
  };
  take("network", (value) => known.network(value));
  take("r", (value) => /^\d{1,4}$/.test(value));
  take("schedule", (value) => SCHEDULES.includes(value));
  take("precision", (value) => PRECISIONS.includes(value));
  take("device", (value) => DEVICES.includes(value));
  take("picture", (value) => known.picture(value));
  state.r = Number(state.r);
  return { state, problems };
}

/** The hash of a state: what is as at first is left out. */
export function write(state) {
  const kept = Object.keys(FIRST).filter((name) => state[name] !== FIRST[name] && state[name] !== "");
  const words = kept.map((name) => `${name}=${encodeURIComponent(state[name]).replaceAll("%3A", ":").replaceAll("%2F", "/").replaceAll("%40", "@")}`);
  return words.length ? `#${words.join("&")}` : "";
}
