/** What the network says, written on the page. */
import { megabytes, milliseconds, operations, rate, speed, times, tokens } from "./charts.js";

export const $ = (id) => document.getElementById(id);

/** Shows words in a place for them, or hides it. */
export function say(id, words) {
  const place = $(id);
  place.textContent = words || "";
  place.hidden = !words;
}

const percent = (probability) => {
  const value = 100 * probability;
  if (value > 0 && value < 0.05) return "< 0.1 %";
  return value > 99.9 && value < 100 ? "> 99.9 %" : `${value >= 10 || value === 0 ? value.toFixed(value >= 99 ? 1 : 0) : value.toFixed(1)} %`;
};

/** The classes with their bars; the places stay, so that bars glide. */
export function answer(top, channels) {
  const list = $("answer");
  while (list.children.length > top.length) list.lastChild.remove();
  while (list.children.length < top.length) {
    const row = list.appendChild(document.createElement("li"));
    row.innerHTML = '<span class="label"></span><span class="percent"></span><span class="track" aria-hidden="true"><i></i></span>';
  }
  top.forEach(({ label, index, probability }, place) => {
    const [name, share, track] = list.children[place].children;
    name.textContent = label || `class ${index}`;
    share.textContent = percent(probability);
    track.firstChild.style.width = `${100 * probability}%`;
  });
  $("answer-note").textContent = top.length ? "" : `This network has no classes: it describes a picture by ${channels} numbers. The tokens show how it looks.`;
}

/** Tokens, operations and time. */
export function figures(plan, result) {
  $("left").innerHTML = `<b>${plan.tokensPerBlock.at(-1)}</b> of ${plan.tokens} tokens left`;
  tokens($("tokens"), plan);
  $("promised").textContent = times(plan.promisedSpeedup);
  $("flops").textContent = operations(plan.flops);
  $("took").textContent = milliseconds(result.ms);
}

/** What the screen reader is told once things are at rest. */
export function announce(top, plan) {
  const [first] = top;
  const said = first ? `${first.label || `class ${first.index}`}, ${percent(first.probability)}; ` : "";
  $("live").textContent = `${said}${plan.tokensPerBlock.at(-1)} of ${plan.tokens} tokens left.`;
}

/** The measured rows, as a chart and as a table. */
export function measured(rows) {
  $("measured").hidden = false;
  speed($("speed"), rows);
  const body = $("speed-table").tBodies[0];
  body.replaceChildren(...rows.map((row) => {
    const line = document.createElement("tr");
    const cells = [row.r, rate(row.imagesPerSecond), times(row.speedup), times(row.promisedSpeedup)];
    cells.forEach((cell, index) => {
      const node = line.appendChild(document.createElement(index ? "td" : "th"));
      if (!index) node.scope = "row";
      node.textContent = cell;
    });
    return line;
  }));
}

/** What the network runs on, and why; `asked` is the precision that was wished for. */
export function device({ kind, name, precision, why }, asked) {
  const gpu = kind === "webgpu";
  $("device").textContent = `${gpu ? "WebGPU" : "CPU"} · ${precision}`;
  $("device").dataset.kind = kind;
  $("device").hidden = false;
  $("why").textContent = `Runs on ${gpu ? name || "WebGPU" : "the CPU"}: ${why}.`;
  if (asked !== precision) $("why").textContent += ` In ${precision}: ${asked} wants WebGPU with shader-f16.`;
}

/** How far loading is. */
export function progress({ file, stage, loaded, total }) {
  const doing = { download: "Downloading", cache: "Reading from this browser's store:", prepare: "Getting ready" }[stage];
  $("loading-text").textContent = `${doing} ${file ? `${file}, ` : ""}${file || loaded ? megabytes(loaded) : ""}${total && stage !== "prepare" ? ` of ${megabytes(total)}` : ""}`.trim();
  if (total) Object.assign($("progress"), { max: total, value: loaded });
  else $("progress").removeAttribute("value");
}

/** A network's dimensions. */
export const facts = ({ blocks, channels, imageSize, grid, classes }) =>
  `${blocks} blocks, ${channels} channels, ${imageSize[1]} × ${imageSize[0]} pixels in ${grid[1]} × ${grid[0]} patches, ${classes ? `${classes} classes` : "no classes"}.`;

/** Says plainly where there is no WebGPU; `chosen` is the device that was asked for. */
export function notice({ kind, why }, chosen) {
  const isFallen = kind === "cpu" && chosen === "auto";
  say("notice", isFallen ? `No WebGPU here, so the network runs on the CPU: ${why}. The answers are the same, only slower.` : "");
}

/** An error's message as a sentence. */
export function sentence(error) {
  const words = error.message.trim();
  // A file's name stays as it is.
  const begun = /^[a-z]+[\s,]/.test(words) ? words[0].toUpperCase() + words.slice(1) : words;
  return begun + (/[.!?]$/.test(words) ? "" : ".");
}
