/**
 * A pipeline with its log, sink and clock under a test's control.
 * @module
 */
import { Pipeline, type PipelineOptions } from "../pipeline/pipeline.ts";
import type { Records } from "../records.ts";
import { type Committed, type Sink, Unavailable } from "../pipeline/commit.ts";
import { DAY_MS } from "../views/view.ts";
import { VIEWS } from "../views/mod.ts";
import { type LogRecord, MemorySink, MemorySource, SHORT_PIECES } from "./fakes/memory.ts";
import { at, decoder, type Message, record } from "./scenario.ts";

const NOON = at("12:00:00");

/** A promise and the functions that settle it. */
export interface Gate {
  readonly promise: Promise<void>;
  open(): void;
  fail(error: unknown): void;
}

/** Returns a promise that the test settles. */
export function gate(): Gate {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { promise, open: resolve, fail: reject };
}

/** A memory sink that blocks each commit at a gate before applying it, once `gates` is an array. */
export class GatedSink extends MemorySink {
  gates: Gate[] | null = null;

  override async commit(commit: Parameters<Sink["commit"]>[0]): Promise<void> {
    if (this.gates !== null) {
      const mine = gate();
      this.gates.push(mine);
      await mine.promise;
    }
    await super.commit(commit);
  }
}

/** A memory source that records its calls and can be made to fail. */
export class WatchedSource extends MemorySource {
  readonly seeks: Record<number, number | null>[] = [];
  readonly waits: number[] = [];
  readonly told: Record<number, number>[] = [];
  /** Partitions assigned to this member. */
  share: readonly number[];
  /** Thrown by the next poll. */
  failure: Error | null = null;
  /** Thrown whenever offsets are committed to the group. */
  deaf: Error | null = null;

  constructor(partitions: LogRecord[][], limit: number) {
    super(partitions, limit);
    this.share = [...partitions.keys()];
  }

  override async assigned(): Promise<readonly number[]> {
    await super.assigned();
    return this.share;
  }

  override seek(offsets: ReadonlyMap<number, number | null>, committed?: ReadonlyMap<number, Committed>): void {
    this.seeks.push(Object.fromEntries(offsets));
    super.seek(offsets, committed);
  }

  override poll(maxWaitMs: number): Promise<readonly Records[]> {
    this.waits.push(maxWaitMs);
    const failure = this.failure;
    this.failure = null;
    return failure === null ? super.poll(maxWaitMs) : Promise.reject(failure);
  }

  override committed(offsets?: ReadonlyMap<number, number>): Promise<void> {
    this.told.push(Object.fromEntries(offsets ?? []));
    return this.deaf === null ? Promise.resolve() : Promise.reject(this.deaf);
  }
}

/** A pipeline and its environment. */
export interface Harness {
  readonly pipeline: Pipeline;
  readonly source: WatchedSource;
  readonly sink: GatedSink;
  readonly clock: { ms: number };
}

/** Returns a pipeline over these partitions; a poll returns up to `limit` records of each. */
export function harness(
  log: LogRecord[][],
  options: Partial<PipelineOptions> & { readonly limit?: number; readonly share?: readonly number[] } = {},
): Harness {
  const { limit = 100, share, sink = new GatedSink(), ...others } = options;
  const source = new WatchedSource(log, limit);
  if (share !== undefined) source.share = share;
  const clock = { ms: 0 };
  const pipeline = new Pipeline({
    source,
    sink,
    views: VIEWS,
    decoder: decoder(),
    storeEvents: true,
    now: () => clock.ms,
    commitEveryMs: 1000,
    commitRecords: 1000,
    pieces: SHORT_PIECES,
    ...others,
  });
  return { pipeline, source, sink: sink as GatedSink, clock };
}

/** A click of ann's, `seconds` after noon in event time and in its Kafka timestamp. */
export function click(id: string | null, seconds = 0, more: Message = {}): LogRecord {
  const time = NOON + seconds * 1000;
  const message = { eventId: id, userId: "ann", eventType: "page_view", page: "/", timestamp: time, ...more };
  return record(message, time);
}

/** Clicks `a0`, `a1` and so on, one second apart. */
export function clicksFrom(prefix: string, n: number): LogRecord[] {
  return Array.from({ length: n }, (_, i) => click(`${prefix}${i}`, i));
}

/** A record that is refused. */
export function bad(seconds = 0): LogRecord {
  return record("not JSON", NOON + seconds * 1000);
}

/** A late event: its event time is one day before its Kafka timestamp. */
export function late(id: string, seconds = 0): LogRecord {
  return click(id, seconds, { timestamp: NOON + seconds * 1000 - DAY_MS });
}

/** The error of an unavailable server. */
export function down(what = "down"): Unavailable {
  return new Unavailable(what, { kind: "kafka_unreachable" });
}

/** Lets everything run that waits for promises only. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await null;
}
