// A small server of static files, without the headers that threads in browsers want.
//
// `node web/tests/server.mjs FOLDER [PORT]` serves a folder until it is ended.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";

const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".jpg": "image/jpeg",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mjs": "text/javascript",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};

/**
 * Serves folders below paths: `{"/": FOLDER, "/models/": ANOTHER}`, the longest path that fits. `answer(request, response)`
 * goes first, and says by `true` that it has answered. What was asked for stands in `requests`, as `METHOD /path`.
 * `close()` ends it.
 */
export async function serve(folders, { answer, port = 0 } = {}) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    requests.push(`${request.method} ${path}`);
    try {
      if (await answer?.(request, response)) return;
      const file = await found(folders, path);
      if (!file) return void response.writeHead(404, { "content-type": "text/plain" }).end("not here");
      const tag = `"${file.size.toString(16)}-${file.mtimeMs.toString(16)}"`;
      response.writeHead(200, {
        "content-type": TYPES[extname(file.path)] ?? "application/octet-stream",
        "content-length": file.size,
        etag: tag,
      });
      if (request.method === "HEAD") response.end();
      else createReadStream(file.path).pipe(response);
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
  await new Promise((listening) => server.listen(port, "127.0.0.1", listening));
  const url = `http://127.0.0.1:${server.address().port}`;
  const close = () => {
    server.closeAllConnections();
    return new Promise((closed) => server.close(closed));
  };
  return { url, requests, close };
}

async function found(folders, path) {
  const bases = Object.keys(folders).filter((base) => path.startsWith(base));
  const base = bases.sort((a, b) => b.length - a.length)[0];
  if (base === undefined) return undefined;
  const folder = normalize(folders[base] + sep);
  const wanted = join(folder, path.slice(base.length).replace(/(^|\/)$/, "$1index.html"));
  if (!wanted.startsWith(folder)) return undefined;
  const is = await stat(wanted).catch(() => undefined);
  return is?.isFile() ? { path: wanted, size: is.size, mtimeMs: is.mtimeMs } : undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder = ".", port = "8080"] = process.argv.slice(2);
  console.log((await serve({ "/": folder }, { port: Number(port) })).url);
}
