/** Errors with a kind. */

export class TomeError extends Error {
  constructor(kind, message, options) {
    super(message, options);
    this.name = "TomeError";
    this.kind = kind;
  }
}

/** What was thrown, as a TomeError: by a module, which says the kind, or by the browser, for which `kind` is given. */
export function typed(thrown, kind = "bug", about = "") {
  if (thrown instanceof TomeError && !about) return thrown;
  const message = thrown?.message ?? String(thrown);
  return new TomeError(thrown?.kind ?? kind, about ? `${about}: ${message}` : message, { cause: thrown });
}
