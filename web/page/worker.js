/** The other side of engine.js: holds the network and the picture. */
import { Tome } from "./tome-wgpu/tome.js";

/** A picture whose shorter side is longer than this is made smaller once, so that not every run reads all of it. */
const LONGEST = 1024;
/** What the page shows; plans are prepared for it. */
const WANT = ["probabilities", "source"];

let tome;
let picture;
/** The network that `picture` was last fitted for. */
let fittedFor;
const loads = new Map();
/** Calls on the network wait for one another; loading does not. */
let queue = Promise.resolve();

const methods = { load, look, plan, bench };

onmessage = ({ data: { id, method, args } }) => {
  if (method === "cancel") return loads.get(id)?.abort(new DOMException("cancelled", "AbortError"));
  const work = () => methods[method](args, id);
  const done = method === "load" ? work() : (queue = queue.then(work, work));
  done.then((value) => postMessage({ id, value }), (error) => postMessage({ id, error: plain(error) }));
};

/** An error's parts that survive the way to the page. */
const plain = (error) => ({ message: String(error?.message ?? error), kind: error?.kind, name: error?.name });

async function load({ source, options }, id) {
  const ending = new AbortController();
  loads.set(id, ending);
  try {
    const onProgress = (progress) => postMessage({ id, progress });
    const loaded = await Tome.load(source, { ...options, onProgress, signal: ending.signal });
    const take = () => {
      tome?.free();
      tome = loaded;
    };
    // Behind what still runs on the network before.
    await (queue = queue.then(take, take));
    loaded.lost.then((error) => loaded === tome && postMessage({ lost: plain(error) }));
    const { config, device, warnings, isFitted } = loaded;
    return { config, device, warnings, isFitted };
  } finally {
    loads.delete(id);
  }
}

async function look({ picture: next, merging }) {
  let smaller;
  if (next) {
    const decoded = await decode(next);
    picture?.close();
    ({ picture, smaller } = decoded);
    fittedFor = undefined;
  }
  if (!tome || !picture) return {};
  const fitted = fittedFor === tome ? undefined : await tome.fit(picture);
  const plan = await tome.plan({ ...merging, want: WANT });
  const result = await tome.run(picture, { ...merging, want: WANT });
  fittedFor = tome;
  const { grid, channels } = tome.config;
  return { fitted, grid, channels, plan, result, smaller };
}

async function plan({ merging }) {
  return tome?.plan({ ...merging, want: WANT });
}

async function bench({ rs, options }) {
  return tome.bench(rs, options);
}

/** The picture's pixels, and in words whether they were made fewer. */
async function decode(next) {
  if (next instanceof ImageBitmap) return { picture: next };
  let bitmap;
  try {
    // Upright as people see it, and the bytes that the file has.
    bitmap = await createImageBitmap(next, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    const error = new Error(`${next.name || "That"} cannot be read as a picture. PNG, JPEG, WebP and GIF can; is the file whole?`);
    throw Object.assign(error, { kind: "picture" });
  }
  const { width, height } = bitmap;
  const scale = LONGEST / Math.min(width, height);
  if (scale >= 1) return { picture: bitmap };
  const [resizeWidth, resizeHeight] = [Math.round(width * scale), Math.round(height * scale)];
  const picture = await createImageBitmap(bitmap, { resizeWidth, resizeHeight, resizeQuality: "high" });
  bitmap.close();
  return { picture, smaller: `Made smaller first, from ${width} × ${height} to ${resizeWidth} × ${resizeHeight}.` };
}
