/** Downloaded files, kept by the Cache API until their server has others. */

/** `caches.delete` of this name removes all of them. */
const NAME = "tome-wgpu-1";
/** What says which version of a file it is. */
const TAG = "x-tome-tag";

/** The kept files; none where the browser keeps nothing, as on pages without https. */
export async function openCache(wanted) {
  if (!wanted || typeof caches === "undefined") return undefined;
  try {
    return await caches.open(NAME);
  } catch {
    return undefined;
  }
}

/** Removes everything that is kept. */
export async function clearCache() {
  if (typeof caches !== "undefined") await caches.delete(NAME);
}

/** What tells a file's versions apart, as its server says it. */
export function tagOf(response) {
  const { headers } = response;
  const changed = headers.get("last-modified");
  return headers.get("etag") ?? (changed && `${changed} ${headers.get("content-length")}`);
}

/** The tag of a kept file. */
export function tagKept(response) {
  return response.headers.get(TAG);
}

/** Keeps a file, piece by piece, so that it is in memory once. Says why where it cannot. */
export async function keep(cache, url, chunks, tag) {
  const rest = chunks.values();
  const body = new ReadableStream({
    pull(controller) {
      const { value, done } = rest.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
  const length = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  const headers = { [TAG]: tag, "content-length": String(length) };
  try {
    await cache.put(url, new Response(body, { headers }));
    return undefined;
  } catch (error) {
    await cache.delete(url).catch(() => {});
    return `${url} is not kept for the next visit: ${error.message}`;
  }
}

/** The tag of a file that the server does not have. */
const MISSING = "missing";

/** Remembers that the server does not have a file, for visits without a network. */
export async function keepMissing(cache, url) {
  await cache.put(url, new Response(null, { headers: { [TAG]: MISSING } })).catch(() => {});
}

export function isMissing(response) {
  return tagKept(response) === MISSING;
}

/** Removes the kept files below an address. */
export async function forgetBelow(cache, prefix) {
  const requests = await cache.keys();
  await Promise.all(requests.filter(({ url }) => url.startsWith(prefix)).map((request) => cache.delete(request)));
}
