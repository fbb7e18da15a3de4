/**
 * What `doctor` finds.
 * @module
 */

/** The outcome of one check. */
export interface Finding {
  /** What was tried. */
  readonly check: string;
  /** `advice`: it works, and something is to be mended; `bad`: it does not, or will lose data. */
  readonly verdict: "good" | "advice" | "bad";
  /** What was found. */
  readonly found: string;
  /** What to do; null where all is well. */
  readonly todo: string | null;
}

/** All is well. */
export function good(check: string, found: string): Finding {
  return { check, verdict: "good", found, todo: null };
}

/** It works, and something is to be mended. */
export function advice(check: string, found: string, todo: string): Finding {
  return { check, verdict: "advice", found, todo };
}

/** It doesn't work, or will lose data. */
export function bad(check: string, found: string, todo: string): Finding {
  return { check, verdict: "bad", found, todo };
}
