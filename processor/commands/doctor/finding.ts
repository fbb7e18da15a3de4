/**
 * The findings of `doctor`.
 * @module
 */

/** The outcome of one check. */
export interface Finding {
  /** Name of the check. */
  readonly check: string;
  /** `advice`: it works, and should be fixed; `bad`: it does not work, or will lose data. */
  readonly verdict: "good" | "advice" | "bad";
  /** What was found. */
  readonly found: string;
  /** What to do; null if nothing needs doing. */
  readonly todo: string | null;
}

/** A check that passed. */
export function good(check: string, found: string): Finding {
  return { check, verdict: "good", found, todo: null };
}

/** It works, and should be fixed. */
export function advice(check: string, found: string, todo: string): Finding {
  return { check, verdict: "advice", found, todo };
}

/** It does not work, or will lose data. */
export function bad(check: string, found: string, todo: string): Finding {
  return { check, verdict: "bad", found, todo };
}
