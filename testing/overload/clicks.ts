/**
 * Records of an overload: clicks that are cheap to make, and their own counts.
 * @module
 */
import { Buffer } from "node:buffer";
import { Random } from "../../generator/random.ts";
import type { Sendable } from "../servers/load.ts";

/** What the records of a case have. */
export interface Shape {
  readonly records: number;
  /** First event time, epoch milliseconds, and how long the events take. */
  readonly fromMs: number;
  readonly spanMs: number;
  /** Users; each record is of one of them, drawn evenly. */
  readonly users: number;
  /** Prefix of the users' names, so that cases of one topic have none in common. */
  readonly prefix: string;
  /** Page of record `n` at a time; the pages of `distinctPages` are counted. */
  readonly pageOf: (n: number, random: Random) => string;
  /** Further fields of record `n`, as JSON with a comma before them. */
  readonly more?: (n: number) => string;
  /** Whether record `n` is one that is refused. */
  readonly isRefused?: (n: number) => boolean;
  readonly partitionOf?: (user: number) => number;
  /** Part of every event's id. */
  readonly seed: number;
}

/** Counts of what was sent. */
export class Tally {
  records = 0;
  events = 0;
  refused = 0;
  readonly #seen = new Map<string, Uint8Array>();

  /** @param user number of the user below `users` of the prefix */
  event(prefix: string, users: number, user: number): void {
    this.records++;
    this.events++;
    let seen = this.#seen.get(prefix);
    if (seen === undefined) this.#seen.set(prefix, seen = new Uint8Array(users));
    seen[user] = 1;
  }

  refusal(): void {
    this.records++;
    this.refused++;
  }

  /** Distinct users of events. */
  get users(): number {
    return [...this.#seen.values()].reduce((sum, seen) => sum + seen.reduce((n, one) => n + one, 0), 0);
  }
}

/** Yields the records of a shape in the order of their times, and counts them. */
export function* clicks(shape: Shape, tally: Tally): Generator<Sendable> {
  const { records, fromMs, spanMs, users, prefix, seed } = shape;
  const random = new Random(seed);
  for (let n = 0; n < records; n++) {
    const timestampMs = fromMs + Math.floor(n / records * spanMs);
    const user = Math.floor(random.next() * users);
    const key = `${prefix}${user}`;
    const isRefused = shape.isRefused?.(n) ?? false;
    if (isRefused) tally.refusal();
    else tally.event(prefix, users, user);
    const type = isRefused ? '"Not A Type"' : '"page_view"';
    const value = `{"eventId":"${seed}-${prefix}-${n}","userId":"${key}","eventType":${type},` +
      `"timestamp":${timestampMs},"page":"${shape.pageOf(n, random)}","device":"mobile","region":"DE"` +
      `${shape.more?.(n) ?? ""}}`;
    const partition = shape.partitionOf?.(user);
    yield { key, value: Buffer.from(value), timestampMs, ...partition === undefined ? {} : { partition } };
  }
}
