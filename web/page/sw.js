// Keeps the page for visits without a network. files.js is written by ./build: each file of the page with its hash.
importScripts("files.js");

const FILES = self.FILES;
const NAME = `page ${self.VERSION}`;
const OURS = /^page /;
const root = new URL("./", self.location).href;

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(keep());
});

/** Files whose hash is that of the version before are taken from it, so that a new version costs what is new. */
async function keep() {
  const cache = await caches.open(NAME);
  for (const [path, hash] of Object.entries(FILES)) {
    const key = `${root}${path}?${hash}`;
    const kept = await caches.match(key);
    const response = kept ?? (await fetch(root + path, { cache: "no-cache" }));
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    await cache.put(key, response);
  }
}

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const old = (await caches.keys()).filter((name) => OURS.test(name) && name !== NAME);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = request.url.split(/[?#]/)[0];
  if (request.method !== "GET" || !url.startsWith(root)) return;
  const path = url.slice(root.length) || "index.html";
  if (FILES[path]) event.respondWith(answer(request, path));
  // What a network does without is asked for too: the folders are known, so nobody has to be reached for a no.
  else if (path.startsWith("models/")) event.respondWith(new Response("not here", { status: 404 }));
});

async function answer(request, path) {
  const cache = await caches.open(NAME);
  return (await cache.match(`${root}${path}?${FILES[path]}`)) ?? fetch(request);
}
