/**
 * What a commit must account for.
 * @module
 */
import type { Advance, Commit } from "./commit.ts";
import type { Pending } from "./pending.ts";
import { lengthOf } from "../records.ts";

/**
 * Checks that what was taken from the log is in the commit, once: our own mistakes must not be committed.
 *
 * @throws {Error} "not conserved", with the counts that do not add up
 */
export function assertConserved(commit: Commit, pending: Pending): void {
  for (const { partition, first, next, consumed, skipped, gap } of commit.advances) {
    if (next - first === consumed + skipped + lengthOf(gap)) continue;
    throw new Error(
      `not conserved: partition ${partition} moves from offset ${first} to ${next} with ${consumed} records consumed, ` +
        `${skipped} offsets skipped and ${lengthOf(gap)} in a gap; nothing of them is committed`,
    );
  }
  const sum = (of: (advance: Advance) => number) => commit.advances.reduce((total, advance) => total + of(advance), 0);
  const consumed = sum((advance) => advance.consumed);
  const stored = commit.events?.reduce((total, batch) => total + batch.count, 0) ?? pending.stored;
  const refused = commit.refusals.length;
  if (
    consumed === pending.records && sum((a) => a.stored) === stored && stored === pending.stored &&
    sum((a) => a.refused) === refused && consumed === stored + sum((a) => a.duplicates) + refused
  ) return;
  throw new Error(
    `not conserved: ${pending.records} records were read, ${stored} stored, ${refused} refused, ` +
      `${sum((a) => a.duplicates)} duplicates; nothing of them is committed`,
  );
}
