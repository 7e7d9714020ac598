/**
 * `work`, one call after the other: while one runs, further requests become one, made when it ends. Work reads what is
 * wanted when it starts, so what runs is always the newest.
 */
export function newest(work) {
  let again = false;
  let running = false;
  return async function ask() {
    again = true;
    if (running) return;
    running = true;
    try {
      while (again) {
        again = false;
        await work();
      }
    } finally {
      running = false;
    }
  };
}

/** When nothing else is to be done, or soon where a browser cannot tell. */
export const idle = (work) => (globalThis.requestIdleCallback ? requestIdleCallback(work, { timeout: 500 }) : setTimeout(work, 60));
