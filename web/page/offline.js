import { $ } from "./view.js";

/** Has the page kept for visits without a network, and says when it is, or why it is not. */
export async function keepOffline() {
  const say = (words) => ($("offline").textContent = words);
  if (!navigator.serviceWorker) return say("It is not kept for visits without a network: browsers do that for pages from https only.");
  try {
    await navigator.serviceWorker.register("sw.js");
    await navigator.serviceWorker.ready;
    say("It is kept here and opens without a network, too.");
  } catch (error) {
    say(`It cannot be kept for visits without a network: ${error.message}`);
  }
}
