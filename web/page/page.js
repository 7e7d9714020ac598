import { Engine } from "./engine.js";
import { Camera, receive } from "./inputs.js";
import { offerMeasuring } from "./measure.js";
import { HUB, SHIPPED, folder, isNetwork, network, picture } from "./networks.js";
import { idle, newest } from "./newest.js";
import { keepOffline } from "./offline.js";
import { MergePicture } from "./picture.js";
import { read, write } from "./state.js";
import * as view from "./view.js";

const { $, say, sentence } = view;
const known = { network: isNetwork, picture: (id) => Boolean(picture(id)) };

const engine = new Engine();
const camera = new Camera();
const merged = new MergePicture($("picture"), pointed);
let state;
/** What in a link cannot be had, until its network is loaded. */
let problems;
({ state, problems } = read(location.hash, known));
let current; // the network that runs: what it was loaded from, and what it says of itself
let fresh; // a picture that the network has not been shown yet, and who hears how that went
let loading; // what ends it when a newer one begins
let asked; // when the oldest unanswered change of r was made

// ---- running

/** Shows the newest picture with the newest r. */
const look = newest(async () => {
  if (!current) return;
  const shown = fresh;
  const since = asked;
  fresh = undefined;
  asked = undefined;
  let isShown = false;
  const late = setTimeout(() => $("left").toggleAttribute("data-late", true), 150);
  try {
    const { fitted, grid, channels, plan, result, smaller } = await engine.look(shown?.picture, merging());
    if (!result) return;
    if (fitted) merged.show(fitted, grid);
    if (shown) say("picture-note", smaller);
    merged.merge(result.source);
    if (since) performance.measure("input to picture", { start: since, detail: { network: result.ms, r: state.r } });
    view.figures(plan, result);
    view.answer(result.top, channels);
    $("frame").removeAttribute("data-busy");
    isShown = true;
    say("picture-error", "");
    settle(result.top, plan);
  } catch (error) {
    say("picture-error", sentence(error));
    $("waiting").textContent = "";
  } finally {
    clearTimeout(late);
    $("left").removeAttribute("data-late");
    shown?.done(isShown);
    prepare();
  }
});

const merging = () => ({ r: state.r, schedule: state.schedule });

let rest;
function settle(top, plan) {
  clearTimeout(rest);
  rest = setTimeout(() => view.announce(top, plan), 700);
}

/** Plans for the r around the present one, one at a time and only while nothing else is asked for. */
let preparing;
let prepared;
function prepare() {
  if (state.schedule === "fitted" || !current) return;
  // A camera's frames come back here with what is prepared already.
  if (prepared?.r === state.r && prepared.schedule === state.schedule && prepared.network === current) return;
  prepared = { ...merging(), network: current };
  const mine = (preparing = {});
  const around = [1, -1, 2, -2].map((step) => state.r + step).filter((r) => r >= 0 && r <= Number($("r").max));
  const next = () => {
    const r = around.shift();
    if (r === undefined || mine !== preparing) return;
    // One that fails is made again, and its error said, when it is wanted.
    idle(() => mine === preparing && engine.plan({ ...merging(), r }).then(next, () => {}));
  };
  next();
}

function changed(event) {
  asked ??= event?.timeStamp;
  preparing = prepared = undefined;
  // What was wrong with a link has been read.
  if (current) say("trouble", "");
  link();
  look();
}

/** Writes the state into the address. */
const link = () => history.replaceState(null, "", write(state) || location.pathname + location.search);

// ---- the network

async function load(wanted) {
  loading?.abort(new DOMException("another was chosen", "AbortError"));
  const mine = (loading = new AbortController());
  say("network-error", "");
  $("reload").hidden = true;
  const { precision, device } = state;
  const options = { precision, device, cache: !SHIPPED.includes(wanted) };
  busy("Starting");
  try {
    const loaded = await engine.load(wanted.source, options, view.progress, mine.signal);
    if (mine !== loading) return;
    current = { ...loaded, wanted, chosen: device };
    accept();
    look();
  } catch (error) {
    if (mine !== loading) return;
    failed(error, mine.signal.aborted);
  } finally {
    if (mine === loading) {
      loading = undefined;
      busy("");
    }
  }
}

function busy(words) {
  $("loading").hidden = $("progress").hidden = !words;
  $("loading-text").textContent = words;
  if (!words) return;
  $("progress").removeAttribute("value");
  if (!current) $("waiting").textContent = "Loading the network";
}

/** Takes over what a new network says of itself. */
function accept() {
  const { config, device, warnings, isFitted, wanted } = current;
  view.device(device, state.precision);
  state.precision = device.precision;
  view.notice(device, current.chosen);
  const slider = $("r");
  slider.max = Math.max(1, Math.floor((config.grid[0] * config.grid[1] + config.prefixTokens) / config.blocks));
  if (state.r > slider.max) {
    problems?.push(`The link asks for r = ${state.r}; with this network everything is merged at ${slider.max}.`);
    state.r = Number(slider.max);
  }
  if (state.schedule === "fitted" && !isFitted) {
    problems?.push("The link asks for a fitted schedule, which this network has not; this is with a constant r.");
    state.schedule = "constant";
  }
  if (problems) say("trouble", problems.join(" "));
  problems = undefined;
  document.querySelector("[name=schedule][value=fitted]").disabled = !isFitted;
  $("about").textContent = `${wanted.about} ${view.facts(config)}`;
  $("warnings").replaceChildren(...warnings.map((words) => Object.assign(document.createElement("li"), { textContent: words })));
  $("warnings").hidden = !warnings.length;
  $("measured").hidden = true;
  offer(wanted);
  controls();
  link();
}

/** The network before stays, and so do its settings. */
function failed(error, isAborted) {
  say("network-error", isAborted ? "Cancelled." : `${sentence(error)}${current ? " The network before stays." : ""}`);
  if (!current) {
    $("waiting").textContent = "No network is loaded";
    $("reload").hidden = false;
    return;
  }
  state.network = current.wanted.id;
  state.precision = current.device.precision;
  state.device = current.chosen;
  controls();
  link();
}

engine.onLost = (error) => {
  say("network-error", sentence(error));
  $("reload").hidden = false;
};
engine.onBroken = (error) => {
  current = undefined;
  say("trouble", sentence(error));
};
$("reload").onclick = () => load(current?.wanted ?? network(state.network));
$("cancel").onclick = () => loading?.abort();

// ---- pictures

/** Shows a picture; resolves to whether it could be. */
function show(next) {
  return new Promise((done) => {
    fresh?.done(true);
    fresh = { picture: next, done };
    look();
  });
}

async function showShipped(id) {
  stopCamera();
  state.picture = id;
  pressed();
  say("picture-error", "");
  try {
    const response = await fetch(picture(id).url);
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    const blob = await response.blob();
    if (state.picture === id) await show(blob);
  } catch (error) {
    say("picture-error", `The picture ${id} did not come: ${error.message}.`);
  }
}

async function showOwn(file) {
  stopCamera();
  const before = state.picture;
  state.picture = "";
  pressed();
  link();
  const isShown = await show(file);
  if (isShown || state.picture) return;
  // The picture before is still the one on show.
  state.picture = before;
  pressed();
  link();
}

/** The pictures that suit a network; the first is shown, unless one of them or one's own is. */
let offered;
function offer({ pictures, credit }) {
  if (pictures === offered) return;
  offered = pictures;
  $("shipped").replaceChildren(...pictures.map(({ id, url, alt }) => {
    const button = Object.assign(document.createElement("button"), { type: "button", title: alt });
    button.dataset.picture = id;
    button.append(Object.assign(document.createElement("img"), { src: url, alt, width: 56, height: 56, decoding: "async" }));
    button.onclick = () => showShipped(id).then(() => changed());
    return button;
  }));
  $("credit").textContent = credit;
  const suits = pictures.some(({ id }) => id === state.picture);
  const isOwn = !state.picture && $("frame").dataset.own !== undefined;
  if (!suits && !isOwn) state.picture = pictures[0].id;
  if (!isOwn) showShipped(state.picture);
  pressed();
}

function pressed() {
  $("frame").toggleAttribute("data-own", !state.picture);
  for (const button of $("shipped").children) button.setAttribute("aria-pressed", String(button.dataset.picture === state.picture));
}

function stopCamera() {
  camera.stop();
  $("camera").setAttribute("aria-pressed", "false");
  $("camera").textContent = "Camera";
}

$("camera").onclick = async () => {
  say("camera-error", "");
  if (camera.isOn) return stopCamera();
  try {
    await camera.start(show, (error) => {
      stopCamera();
      say("camera-error", error.message);
    });
    state.picture = "";
    pressed();
    $("camera").setAttribute("aria-pressed", "true");
    $("camera").textContent = "Stop the camera";
  } catch (error) {
    stopCamera();
    say("camera-error", error.message);
  }
};

$("open").onclick = () => $("file").click();
$("file").onchange = ({ target }) => {
  if (target.files[0]) showOwn(target.files[0]);
  target.value = "";
};

function loadFolder(files, name) {
  state.network = "";
  controls();
  load(folder([...files], name));
}
$("pick").onclick = () => $("folder").click();
$("folder").onchange = ({ target }) => {
  if (target.files.length) loadFolder(target.files, target.files[0].webkitRelativePath.split("/")[0]);
  target.value = "";
};
receive({ frame: $("frame"), onPicture: showOwn, onNetwork: loadFolder, onError: (words) => say("picture-error", words) });

function pointed(at) {
  $("patch").textContent = at
    ? `Row ${at.row}, column ${at.column}: ${at.patches === 1 ? "one patch, a token of its own" : `one token of ${at.patches} patches`}.`
    : "Point at a patch to see its token.";
}

// ---- controls

/** Writes the state into the controls. */
function controls() {
  $("r").value = state.r;
  fill($("r"));
  $("r").disabled = state.schedule === "fitted";
  say("schedule-note", state.schedule === "fitted" ? "How much merges in which block was fitted to this network, by tome fit: there is no r to set." : "");
  $("r-value").textContent = state.schedule === "fitted" ? "fitted" : `= ${state.r}`;
  for (const name of ["schedule", "precision", "device"]) document.querySelector(`[name=${name}][value=${state[name]}]`).checked = true;
  const select = $("network");
  if (![...select.options].some((option) => option.value === state.network)) {
    const { name } = state.network ? network(state.network) : { name: "A folder on this computer" };
    select.append(new Option(name, state.network));
  }
  select.value = state.network;
}

/** The part of a slider's track that is left of its thumb. */
const fill = (slider) => slider.style.setProperty("--fill", `${(100 * slider.value) / slider.max}%`);

// It would be taken for a link to a state.
document.querySelector(".skip").onclick = (event) => {
  event.preventDefault();
  $("r").focus();
};

$("r").oninput = (event) => {
  state.r = Number(event.target.value);
  controls();
  changed(event);
};
$("opacity").oninput = ({ target }) => {
  merged.opacity = target.value / 100;
  fill(target);
  merged.draw();
};
$("schedule").onchange = (event) => {
  state.schedule = event.target.value;
  controls();
  changed(event);
};
for (const name of ["precision", "device"]) {
  $(name === "device" ? "device-choice" : name).onchange = ({ target }) => {
    state[name] = target.value;
    changed();
    load(current?.wanted ?? network(state.network));
  };
}
$("network").onchange = ({ target }) => target.value && choose(target.value);
$("hub").onsubmit = (event) => {
  event.preventDefault();
  choose(`hf-hub:${$("repository").value.trim()}`);
};

function choose(id) {
  state.network = id;
  controls();
  changed();
  load(network(id));
}

offerMeasuring(engine, () => ({ current, state }));

$("share").onclick = async () => {
  const link = location.origin + location.pathname + write(state);
  const left = [!state.network && "the folder's network", !state.picture && "your picture"].filter(Boolean);
  const without = left.length ? ` It is without ${left.join(" and ")}.` : "";
  try {
    await navigator.clipboard.writeText(link);
    $("shared").textContent = `Copied.${without}`;
  } catch {
    $("shared").textContent = `The browser does not let it be copied: ${link}${without}`;
  }
};

addEventListener("hashchange", () => {
  ({ state, problems } = read(location.hash, known));
  say("trouble", problems.join(" "));
  const id = state.picture;
  controls();
  load(network(state.network));
  if (id) showShipped(id);
});

// ---- the start

const group = (label, networks) => {
  const node = Object.assign(document.createElement("optgroup"), { label });
  node.append(...networks.map(({ id, name }) => new Option(name, id)));
  return node;
};
$("network").append(group("With this page", SHIPPED), group("From the Hugging Face hub", HUB));
say("trouble", problems.join(" "));
controls();
fill($("opacity"));
offer(network(state.network));
load(network(state.network));
keepOffline();
