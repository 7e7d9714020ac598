/** Networks of the Hugging Face hub: which files a revision has, and where they are. */
import { forgetBelow, keep } from "./cache.js";
import { TomeError } from "./errors.js";

const HUB = "https://huggingface.co";
const PLAIN = /^[A-Za-z0-9._-]+$/;
export const PREFIX = "hf-hub:";

/** A revision as it is now: the files' names, and their addresses and versions, which the commit names. */
export async function openHub(source, { token, signal }, cache) {
  const [id, revision = "main", ...more] = source.slice(PREFIX.length).split("@");
  const plain = (path) => path.split("/").every((part) => PLAIN.test(part) && part !== "..");
  if (more.length > 0 || id.split("/").length > 2 || !plain(id) || !plain(revision)) {
    throw new TomeError("input", `${source} is no hf-hub:OWNER/NAME or hf-hub:OWNER/NAME@REVISION`);
  }
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const { sha, siblings } = await listing({ source, id, revision, headers, signal, token }, cache);
  const names = siblings.map(({ rfilename }) => rfilename).filter((name) => typeof name === "string");
  return {
    name: source,
    names,
    headers,
    tag: sha,
    url: (name) => `${HUB}/${id}/resolve/${sha}/${name.split("/").map(encodeURIComponent).join("/")}`,
  };
}

async function listing({ source, id, revision, headers, signal, token }, cache) {
  const url = `${HUB}/api/models/${id}/revision/${encodeURIComponent(revision)}`;
  const kept = await cache?.match(url);
  const before = await kept?.json().catch(() => undefined);
  let response;
  try {
    response = await fetch(url, { headers, signal, cache: "no-cache" });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    // Without a network what is kept is still whole.
    if (before) return before;
    throw new TomeError("network", `${source}: ${HUB} cannot be reached: ${error.message}`, { cause: error });
  }
  if (!response.ok) throw new TomeError("network", `${source}: ${refusal(response.status, token)}`);
  const text = await response.text();
  const now = parsed(text);
  if (!/^[0-9a-f]{40}$/.test(now?.sha) || !Array.isArray(now.siblings)) {
    throw new TomeError("network", `${source}: ${url} answers with no description of a model`);
  }
  if (cache) {
    if (before && before.sha !== now.sha) await forgetBelow(cache, `${HUB}/${id}/resolve/${before.sha}/`);
    const { sha, siblings } = now;
    await keep(cache, url, [new TextEncoder().encode(JSON.stringify({ sha, siblings }))], sha);
  }
  return now;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusal(status, token) {
  if (status === 401 || status === 403) {
    return token
      ? `the hub refuses the token (${status}): it has no access to this model, or its terms are not accepted`
      : `the hub has no such model, or it asks who wants it (${status}): give a token`;
  }
  return status === 404 ? "the hub has no such model or revision" : `the hub answers ${status}`;
}
