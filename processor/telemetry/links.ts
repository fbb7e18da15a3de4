/**
 * Chooses the records of a commit whose traces are linked: a bounded sample, found at a bounded cost.
 * @module
 */
import type { Records } from "../records.ts";
import type { RecordLink } from "../status/traced_commit.ts";
import { traceContextOf } from "./trace_context.ts";

/** Records of each run that are looked at once as many as may be linked have been looked at. */
const LOOKS_A_RUN = 4;

/**
 * Collects links to the records of a commit. The first records are all looked at, so that a small commit links them
 * all; of each later run only a few are. So the headers of a large commit cost next to nothing.
 */
export class LinkSample {
  readonly #most: number;
  readonly #random: () => number;
  readonly #links: RecordLink[] = [];
  #looks = 0;
  #found = 0;

  /** @param random a number in [0, 1) */
  constructor(most: number, random: () => number) {
    this.#most = most;
    this.#random = random;
  }

  /** Looks at records from index `from` on. */
  look(records: Records, from: number): void {
    const count = records.count - from;
    const looks = Math.min(count, Math.max(this.#most - this.#looks, LOOKS_A_RUN));
    if (this.#most === 0 || looks <= 0) return;
    this.#looks += looks;
    const step = count / looks;
    const first = from + this.#random() * step;
    for (let n = 0; n < looks; n++) this.#lookAt(records, Math.floor(first + n * step));
  }

  /** The links to records between these offsets of each partition, and how many were found but are not among them. */
  between(
    advances: readonly { readonly partition: number; readonly first: number; readonly next: number }[],
  ): { readonly links: readonly RecordLink[]; readonly leftOut: number } {
    // A run that was cut by a commit is looked at after it: its first records belong to the commit before.
    const ranges = new Map(advances.map(({ partition, first, next }) => [partition, { first, next }]));
    const links = this.#links.filter(({ partition, offset }) => {
      const range = ranges.get(partition);
      return range !== undefined && range.first <= offset && offset < range.next;
    });
    return { links, leftOut: this.#found - this.#links.length };
  }

  #lookAt(records: Records, i: number): void {
    const context = traceContextOf(records, i);
    if (context === null) return;
    const link = { ...context, partition: records.partition, offset: records.offsets[i]! };
    this.#found++;
    if (this.#links.length < this.#most) {
      this.#links.push(link);
      return;
    }
    // Each of those found so far stays with the same probability.
    const place = Math.floor(this.#random() * this.#found);
    if (place < this.#most) this.#links[place] = link;
  }
}
