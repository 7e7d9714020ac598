/** Where a network's files come from: the hub, a folder on a server, or the caller. */
import { openCache } from "./cache.js";
import { Download } from "./download.js";
import { TomeError } from "./errors.js";
import { openHub, PREFIX } from "./hub.js";

const INDEX = "model.safetensors.index.json";
/** The weights, or where they are said to be: the first that there is. */
const WEIGHTS = ["model.safetensors", INDEX, "open_clip_model.safetensors"];

/**
 * A network's files as `[[name, chunks], ...]`, with `name` for messages and `warnings`. `own` says that nobody else holds the bytes.
 */
export async function filesOf(source, options) {
  const cache = await openCache(options.cache ?? true);
  const download = new Download(options, cache);
  const site = await siteOf(source, options, cache);
  const files = await collect(site, download);
  return { name: site.name, files, own: !site.read, warnings: [...(site.warnings ?? []), ...download.warnings], download };
}

/** What has files: their `names` where they are known, and a way to the bytes, `url` or `read`. */
async function siteOf(source, options, cache) {
  if (source instanceof URL) return folder(source.href);
  if (typeof source === "string") {
    return source.startsWith(PREFIX) ? openHub(source, options, cache) : folder(source);
  }
  if (source === null || typeof source !== "object") {
    throw new TomeError("input", "a network is loaded from hf-hub:OWNER/NAME, the URL of a folder, or files");
  }
  return handed(Symbol.iterator in source ? [...source].map((file) => [file.name, file]) : Object.entries(source));
}

function folder(address) {
  let base;
  try {
    base = new URL(address, globalThis.document?.baseURI ?? globalThis.location?.href);
  } catch {
    throw new TomeError("input", `${address} is no URL of a folder, and no hf-hub:OWNER/NAME`);
  }
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return { name: base.href, url: (name) => Object.assign(new URL(name, base), { search: base.search }).href };
}

function handed(entries) {
  const files = new Map(entries.map(([name, file]) => [String(name).split("/").pop(), file]));
  const warnings = [];
  const tensors = [...files.keys()].filter((name) => name.endsWith(".safetensors"));
  if (tensors.length === 1 && !WEIGHTS.some((name) => files.has(name))) {
    warnings.push(`${tensors[0]} is taken for the network's weights`);
    files.set(WEIGHTS[0], files.get(tensors[0]));
  }
  return { name: "the given files", names: [...files.keys()], warnings, read: (name) => piecesOf(name, files.get(name)) };
}

async function piecesOf(name, file) {
  if (file instanceof ArrayBuffer) return [new Uint8Array(file)];
  if (ArrayBuffer.isView(file)) return [new Uint8Array(file.buffer, file.byteOffset, file.byteLength)];
  if (!(file instanceof Blob)) throw new TomeError("input", `${name} is no Blob, ArrayBuffer or Uint8Array`);
  const chunks = [];
  const reader = file.stream().getReader();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) chunks.push(read.value);
  } catch (error) {
    throw new TomeError("file", `${name}: cannot be read: ${error.message}`, { cause: error });
  }
  return chunks;
}

/** Takes what a network needs, in an order in which nothing is asked for in vain that need not be. */
async function collect(site, download) {
  const files = [];
  const take = async (name, { optional = true, weights = false } = {}) => {
    if (site.names && !site.names.includes(name)) return undefined;
    const { tag, headers, read } = site;
    const chunks = read ? await read(name) : await download.get(site.url(name), { name, optional, weights, tag, headers });
    if (chunks) files.push([name, chunks]);
    return chunks;
  };
  const config = await take("config.json");
  const said = config && json(config);
  if (!config) await take("open_clip_config.json");
  if (said?.model_type) (await take("preprocessor_config.json")) ?? (await take("processor_config.json"));
  if (!said?.id2label && !said?.label_names) await take("labels.txt");
  await take("fitted.json");
  for (const name of WEIGHTS) {
    const chunks = await take(name, { weights: name !== INDEX });
    if (!chunks) continue;
    if (name === INDEX) await shards(site, json(chunks), take, download);
    return files;
  }
  const there = site.names ? `; there are ${some(site.names)}` : download.page ? `; ${download.page}` : "";
  throw new TomeError("file", `${site.name}: has neither ${WEIGHTS[0]} nor ${INDEX}${there}`);
}

/** The files that an index names. What is wrong with it is said by who reads it. */
async function shards(site, index, take, download) {
  const named = Object.values(index?.weight_map ?? {});
  const names = new Set(named.filter((name) => typeof name === "string" && /^[\w.-]+$/.test(name)));
  download.expect(names.size);
  for (const name of names) {
    if (site.names && !site.names.includes(name)) throw new TomeError("file", `${site.name}: ${name} is missing, which ${INDEX} names`);
    await take(name, { optional: false, weights: true });
  }
}

function json(chunks) {
  try {
    const decoder = new TextDecoder();
    return JSON.parse(chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join(""));
  } catch {
    // Who reads it says what is wrong with it.
    return undefined;
  }
}

function some(names) {
  if (names.length === 0) return "none";
  return names.slice(0, 5).join(", ") + (names.length > 5 ? ` and ${names.length - 5} more` : "");
}
