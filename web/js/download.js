/** Files by their addresses, with progress, an end by a signal, and what is kept of earlier visits. */
import { isMissing, keep, keepMissing, tagKept, tagOf } from "./cache.js";
import { TomeError } from "./errors.js";

/** The most bytes of a file that is no weights. */
const MOST_TEXT = 1 << 24;

export class Download {
  warnings = [];
  /** What is to be said of a page that came instead of a file; of the first. */
  page;
  #options;
  #cache;
  #loaded = 0;
  /** Bytes of the files that have begun; none once one of them has no known size. */
  #total = 0;
  /** Files that are to come. */
  #coming = 1;

  constructor({ onProgress, signal }, cache) {
    this.#options = { onProgress, signal };
    this.#cache = cache;
  }

  /** So many files more are to come: until all have begun nobody knows how much it is. */
  expect(count) {
    this.#coming += count;
  }

  /**
   * A file's pieces; none where the server has no such file, or a page instead of it, and `optional`. `tag` names the version
   * where the address does, so that what is kept needs no question.
   */
  async get(url, { name, optional = false, weights = false, tag, headers = {} }) {
    const { signal } = this.#options;
    if (weights) this.#coming -= 1;
    const about = { url, name, weights };
    const missing = () => {
      if (!optional) throw new TomeError("network", `${url}: the server has no such file`);
      return this.#cache && keepMissing(this.#cache, url);
    };
    try {
      const kept = await this.#kept(url, tag, headers);
      if (kept === null) return await missing();
      if (kept && !isMissing(kept)) return await this.#read(kept, { ...about, stage: "cache" });
      let response;
      try {
        response = await fetch(url, { headers, signal, cache: "no-cache" });
      } catch (error) {
        // Without a network what was missing still is.
        if (kept && optional && !signal?.aborted) return undefined;
        throw error;
      }
      if (!response.ok) {
        await response.body?.cancel();
        if (response.status === 404 || response.status === 410) return await missing();
        throw new TomeError("network", `${url}: the server answers ${response.status} ${response.statusText}`.trim());
      }
      const chunks = await this.#read(response, { ...about, stage: "download" });
      if (isPage(chunks, response)) {
        this.page ??= `${url} is an HTML page instead of the file: the server has no such file, or asks for a sign-in`;
        if (optional) return await missing();
        throw new TomeError("file", this.page);
      }
      if (name.endsWith(".json") && !/^\uFEFF?\s*\{/.test(begin(chunks))) throw new TomeError("file", `${url}: is no JSON object`);
      const version = tag ?? tagOf(response);
      if (this.#cache && version) {
        const why = await keep(this.#cache, url, chunks, version);
        if (why) this.warnings.push(why);
      }
      return chunks;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (error instanceof TomeError) throw error;
      throw new TomeError("network", `${url}: ${error.message}`, { cause: error });
    }
  }

  /** A kept file that is still the server's, or that it cannot be asked about; `null` where the server has it no more. */
  async #kept(url, tag, headers) {
    const kept = await this.#cache?.match(url);
    if (!kept || tag === tagKept(kept) || isMissing(kept)) return kept;
    let head;
    try {
      head = await fetch(url, { method: "HEAD", headers, signal: this.#options.signal, cache: "no-cache" });
    } catch (error) {
      if (this.#options.signal?.aborted) throw error;
      return kept;
    }
    if (head.ok && tagOf(head) === tagKept(kept)) return kept;
    await this.#cache.delete(url);
    return head.status === 404 || head.status === 410 ? null : undefined;
  }

  async #read(response, { url, name, weights, stage }) {
    // The length of what is compressed on its way is that of the compressed bytes.
    const length = response.headers.get("content-encoding") ? null : response.headers.get("content-length");
    this.#total = length === null || this.#total === undefined ? undefined : this.#total + Number(length);
    const chunks = [];
    let bytes = 0;
    for await (const chunk of piecesOf(response)) {
      chunks.push(chunk);
      bytes += chunk.byteLength;
      if (!weights && bytes > MOST_TEXT) throw new TomeError("file", `${url}: has more than ${MOST_TEXT} bytes`);
      this.#loaded += chunk.byteLength;
      this.progress(name, stage);
    }
    return chunks;
  }

  /** Tells how far it is. */
  progress(file, stage) {
    const total = this.#coming > 0 ? undefined : this.#total;
    this.#options.onProgress?.({ file, stage, loaded: this.#loaded, total });
  }
}

async function* piecesOf(response) {
  const reader = response.body?.getReader();
  if (!reader) return;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Whether an answer is a page: many servers have one for whatever they do not have. */
function isPage(chunks, response) {
  const html = response.headers.get("content-type")?.startsWith("text/html");
  return (html ? /^\uFEFF?\s*</ : /^\uFEFF?\s*<(!doctype|html|head|body)/i).test(begin(chunks));
}

function begin(chunks) {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(chunks[0]?.subarray(0, 256));
}
