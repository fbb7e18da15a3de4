/**
 * What the tables must hold: grows with every commit that the database applies, and is compared with what a reader sees.
 * @module
 */
import { Batch, dictionaries } from "../../columns/batch.ts";
import type { Cell } from "../../columns/cells.ts";
import { BotList } from "../../measures/bot_list.ts";
import { CodeTable } from "../../measures/measure.ts";
import type { Advance, Commit } from "../../pipeline/commit.ts";
import { fold } from "../../pipeline/fold.ts";
import { markBots } from "../../pipeline/pending.ts";
import { lengthOf } from "../../records.ts";
import type { View } from "../../views/view.ts";
import { testKeyed } from "../fakes/keyed.ts";
import { emptyAt, MemorySink, type Progress, recordsOf } from "../fakes/memory.ts";
import { tablesOf } from "../fakes/tables.ts";
import { reference } from "../scenario.ts";
import { isReadable, type StoredBatch } from "./topic.ts";
import { type Delivered, type Expected, expectedOf, type Placed } from "./judge.ts";

/** What an instance was given of each partition. */
export type Reading = ReadonlyMap<number, Delivered>;

/** A partition of one topic, since the tables follow it. */
interface Account {
  progress: Progress;
  /** The batch with the record before `progress.next`; null if it is unknown. */
  last: StoredBatch | null;
  readonly stored: Placed[];
  readonly refused: string[];
  readonly gaps: string[];
}

/** The commits that were applied, and what follows from them. */
export class Ledger {
  readonly #topic: string;
  readonly #views: readonly View[];
  readonly #accounts = new Map<number, Account>();
  /** Of topics and ends of partitions that the tables no longer follow. */
  readonly #former: (readonly [partition: number, account: Account])[] = [];

  constructor(topic: string, views: readonly View[]) {
    this.#topic = topic;
    this.#views = views;
  }

  /**
   * A commit was applied that an instance made of what it was given.
   *
   * @throws {Error} if it holds anything else than what follows from that
   */
  applied(commit: Commit, reading: Reading): void {
    for (const advance of commit.advances) {
      const delivered = reading.get(advance.partition);
      if (delivered === undefined) throw new Error(`partition ${advance.partition} was committed, and never read`);
      this.#advance(advance, delivered);
    }
  }

  /** The tables follow this partition from another offset on; null if it is gone. */
  adopt(partition: number, progress: Progress | null): void {
    const account = this.#accounts.get(partition);
    if (account !== undefined) this.#former.push([partition, account]);
    this.#accounts.delete(partition);
    if (progress !== null) this.#accounts.set(partition, { progress, last: null, stored: [], refused: [], gaps: [] });
  }

  /**
   * Compares numbers of rows with the positions: cheap enough for each commit.
   *
   * @throws {Error} that names what differs
   */
  check({ progress, events, refusals, gaps }: MemorySink): void {
    for (const [partition, { progress: expected }] of this.#accounts) {
      for (const [name, value] of Object.entries(expected)) {
        const found = progress.get(partition)?.[name as keyof Progress];
        if (found !== value) throw new Error(`partition ${partition} has ${name} ${found}, and should have ${value}`);
      }
    }
    if (progress.size !== this.#accounts.size) throw new Error("partitions differ");
    const sums = { events: 0, refusals: 0, gaps: 0 };
    for (const [, { stored, refused, gaps }] of this.#all) {
      sums.events += stored.length;
      sums.refusals += refused.length;
      sums.gaps += gaps.length;
    }
    const found = { events: events.length, refusals: refusals.length, gaps: gaps.length };
    for (const [name, expected] of Object.entries(sums)) {
      const seen = found[name as keyof typeof found];
      if (seen !== expected) throw new Error(`${seen} ${name} are visible, and the positions say ${expected}`);
    }
  }

  /**
   * Compares each row with one straight pass over the records before the positions.
   *
   * @throws {Error} that names what differs
   */
  compare(memory: MemorySink): void {
    this.check(memory);
    const pass = this.#straightPass();
    const refused = memory.refusals.map(({ partition, offset, reason }) => `${partition}/${offset} ${reason}`);
    const gaps = memory.gaps.map(({ partition, from, to }) => `${partition}/${from}-${to}`);
    assertSame("refusals", refused, this.#lines(({ refused }) => refused));
    assertSame("gaps", gaps, this.#lines(({ gaps }) => gaps));
    assertSame("events", memory.events, pass.events);
    if (this.#views.every((view) => hasSameRows(view, memory, pass))) return;
    assertSame("rows", tablesOf(memory, this.#views).rows, tablesOf(pass, this.#views).rows);
  }

  get #all(): readonly (readonly [number, Account])[] {
    return [...this.#accounts, ...this.#former];
  }

  #lines(of: (account: Account) => readonly string[]): string[] {
    return this.#all.flatMap(([partition, account]) => of(account).map((line) => `${partition}/${line}`)).sort();
  }

  #advance(advance: Advance, delivered: Delivered): void {
    const { partition, next, from } = advance;
    const known = this.#accounts.get(partition);
    const first = from ?? delivered.first ?? 0;
    if (from !== (known?.progress.next ?? null)) {
      throw new Error(
        `partition ${partition} is at ${known?.progress.next ?? "its beginning"}, and was moved from ${from}`,
      );
    }
    // The first offset of a log is where it begins, and everything before that is gone.
    if (first > 0 && from === null && first > delivered.partition.deletedTo) {
      throw new Error(`partition ${partition} was first read at ${first}`);
    }
    const replay = known?.progress.replay ?? first;
    if (from !== null && (delivered.first ?? Infinity) > replay) {
      throw new Error(`partition ${partition} was read from ${delivered.first}, and its ids begin at ${replay}`);
    }
    const before = delivered.batchAt(first - 1);
    if (known?.last != null && before !== null && before !== known.last) {
      throw new Error(`partition ${partition} is read on from ${first}, and the records before it were replaced`);
    }
    const expected = expectedOf(delivered, first, next);
    const account = known ?? { progress: emptyAt(first, null), last: null, stored: [], refused: [], gaps: [] };
    const last = delivered.batchAt(next - 1);
    account.last = last !== null && isReadable(last.flaw) ? last : null;
    account.progress = moved(account.progress, advance, expected, account.last?.epoch ?? null);
    account.stored.push(...expected.stored);
    account.refused.push(...expected.refused);
    if (expected.gap !== null) account.gaps.push(`${expected.gap.from}-${expected.gap.to}`);
    this.#accounts.set(partition, account);
  }

  /** A database with one commit of everything that must be stored. */
  #straightPass(): MemorySink {
    const all = this.#all.filter(([, { stored }]) => stored.length > 0);
    const words = dictionaries(this.#topic, testKeyed());
    const batch = new Batch(words, Math.max(1, all.reduce((sum, [, { stored }]) => sum + stored.length, 0)));
    const decoder = reference();
    for (const [partition, { stored }] of all) {
      const records = {
        ...recordsOf(partition, 0, stored.map(({ record }) => record)),
        offsets: Float64Array.from(stored, ({ offset }) => offset),
      };
      for (let i = 0; i < records.count; i++) {
        if (decoder.decode(records, i, batch) === null) batch.keep();
      }
    }
    const bots = new BotList();
    markBots(batch, new CodeTable(words.userAgent, (userAgent) => bots.has(userAgent) ? 1 : 0));
    const deltas = this.#views.map((view) => {
      const folded = fold(view, words);
      folded.add(batch);
      return folded.delta();
    });
    const sink = new MemorySink();
    sink.apply({
      topic: this.#topic,
      topicId: null,
      adoptions: 0,
      advances: [],
      deltas,
      events: [batch],
      refusals: [],
    });
    return sink;
  }
}

function moved(
  before: Progress,
  { next, topicId }: Advance,
  expected: Expected,
  leaderEpoch: number | null,
): Progress {
  const { stored, refused, duplicates, skipped, gap, replay, watermark } = expected;
  const marks = [before.watermark, watermark].filter((mark) => mark !== null);
  return {
    leaderEpoch,
    topicId: topicId ?? before.topicId,
    first: before.first,
    next,
    consumed: before.consumed + stored.length + duplicates + refused.length,
    stored: before.stored + stored.length,
    duplicates: before.duplicates + duplicates,
    refused: before.refused + refused.length,
    skipped: before.skipped + skipped,
    gaps: before.gaps + lengthOf(gap),
    replay,
    watermark: marks.length === 0 ? null : Math.max(...marks),
  };
}

/** Whether two databases have the same rows of a view; all their cells are compared. Faster than lines of text. */
function hasSameRows(view: View, one: MemorySink, other: MemorySink): boolean {
  const [rows, others] = [one.tables.get(view.name), other.tables.get(view.name)];
  if (rows === undefined || others?.size !== rows.size) return rows === others;
  const measures = Object.values(view.measures);
  for (const [place, { start, end, key, values }] of rows) {
    const same = others.get(place);
    if (same === undefined || same.start !== start || same.end !== end) return false;
    if (key.some((cell, k) => cell !== same.key[k])) return false;
    for (const [m, measure] of measures.entries()) {
      const cells = measure.encode(same.values[m]);
      if (!measure.encode(values[m]).every((cell, c) => isSameCell(cell, cells[c]!))) return false;
    }
  }
  return true;
}

function isSameCell(a: Cell, b: Cell): boolean {
  if (!(a instanceof Uint8Array && b instanceof Uint8Array)) return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Asserts that lists have the same lines; the error names what differs, and shows the first of each. */
function assertSame(what: string, lines: readonly string[], expected: readonly string[]): void {
  const surplus = without(lines, expected);
  if (surplus.length === 0 && lines.length === expected.length) return;
  const missing = without(expected, lines);
  throw new Error(
    `${what} differ: ${missing.length} are missing, ${surplus.length} should not be` +
      `; missing: ${missing[0] ?? "-"}; surplus: ${surplus[0] ?? "-"}`,
  );
}

/** The lines of a list that occur less often in another. */
function without(lines: readonly string[], others: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const line of others) left.set(line, (left.get(line) ?? 0) + 1);
  return lines.filter((line) => {
    const n = left.get(line) ?? 0;
    left.set(line, n - 1);
    return n <= 0;
  });
}
