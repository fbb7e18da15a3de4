/**
 * The parts of an overload: a backlog is drained, a flood comes and goes, and a live load is seen again.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import type { Database } from "../../processor/postgres/database.ts";
import { type Child, until } from "../servers/child.ts";
import { messageOf, type Sendable, type Sender } from "../servers/load.ts";
import { footprintOf } from "../servers/usage.ts";
import { clicks, type Shape, type Tally } from "./clicks.ts";
import { throttle } from "./throttle.ts";
import { percentile, type SentTimes, Watch } from "./watch.ts";

/** The topic of a case, and what it holds. */
export interface Topic {
  readonly name: string;
  readonly partitions: number;
  /** Offset of the next record of each partition. */
  readonly ends: number[];
  readonly tally: Tally;
}

/** What a drain or a flood has shown. */
export interface Drained {
  readonly records: number;
  /** Records/s that were committed while there were more than the service took. */
  readonly perSecond: number;
  /** Longest wait of a record of the small partitions while the others were drained, in seconds; null without any. */
  readonly waitSeconds: number | null;
  /** In how many commits, at least, each small partition had records meanwhile; null without any. */
  readonly turns: number | null;
  /** From the end of the load, or else from the start of the service, until nothing was left. */
  readonly recoverSeconds: number;
}

/** What the parts of a run share. */
export interface StageOptions {
  readonly topic: Topic;
  readonly service: Child;
  readonly producer: Sender;
  /** A connection of the stage's own. */
  readonly db: Database;
  /** Partitions that get a trickle during a drain. */
  readonly trickle: readonly number[];
  readonly say: (line: string) => void;
}

/** Records/s of each small partition, and of the live load. */
const TRICKLE_PER_SECOND = 10;
const LIVE_PER_SECOND = 200;

/** How many times more comes in a flood than the service takes, and how fast before it is known what it takes. */
const FLOOD = 10;
const FIRST_PER_SECOND = 20_000;
const MEASURE_SECONDS = 10;

/** Interval between sends, in milliseconds, and most records in one. */
const EVERY_MS = 50;
const REQUEST_RECORDS = 3000;

/** Users of a load: so many events each, and so many users at least. */
const SESSION_EVENTS = 30;
const LEAST_USERS = 10_000;

/** Longest time to drain, in milliseconds. */
const DRAIN_MS = 2 * 3_600_000;

/** Counts the offsets of records that are sent. */
export function* counted(topic: Topic, records: Iterable<Sendable>): Generator<Sendable> {
  for (const record of records) {
    topic.ends[messageOf(record, topic.name, topic.partitions).partition]!++;
    yield record;
  }
}

/** The parts of one run of the service. */
export class Stage {
  readonly #options: StageOptions;
  readonly #id = crypto.randomUUID().slice(0, 8);

  constructor(options: StageOptions) {
    this.#options = options;
  }

  /** Waits until the service has drained what is in the topic, while the small partitions get a trickle. */
  async drain(): Promise<Drained> {
    const { topic, trickle } = this.#options;
    const sinceMs = performance.now();
    const ends = [...topic.ends];
    const records = sum(ends);
    return await this.#watched(trickle, async (watch, sent) => {
      const over = new AbortController();
      const trickling = this.#trickle(trickle, sent, over.signal);
      let first: { readonly ms: number; readonly consumed: number } | null = null;
      await this.#until("the backlog is drained", () => {
        if (watch.consumed > 0) first ??= { ms: performance.now(), consumed: watch.consumed };
        return ends.every((end, partition) => (watch.next.get(partition) ?? 0) >= end);
      });
      const perSecond = (records - first!.consumed) / Math.max(1, performance.now() - first!.ms) * 1000;
      const { longestMs } = watch;
      const turns = trickle.map((partition) => watch.turns.get(partition) ?? 0);
      over.abort();
      await trickling;
      await this.#until("nothing is left", () => watch.consumed >= sum(topic.ends));
      return {
        ...{ records, perSecond },
        waitSeconds: trickle.length === 0 ? null : longestMs / 1000,
        turns: trickle.length === 0 ? null : Math.min(...turns),
        recoverSeconds: (performance.now() - sinceMs) / 1000,
      };
    });
  }

  /** Slows the service down, sends ten times what it then takes, and waits until nothing is left. */
  async flood(share: number, minutes: number): Promise<Drained> {
    const { topic, service, say } = this.#options;
    return await this.#watched([], async (watch) => {
      const before = sum(topic.ends);
      const release = throttle(service.pid, share);
      let perSecond = 0;
      try {
        await this.#send("a", FIRST_PER_SECOND, MEASURE_SECONDS);
        const [consumed, ms] = [watch.consumed, performance.now()];
        await this.#send("b", FIRST_PER_SECOND, MEASURE_SECONDS);
        // On a busy machine, a commit of a slowed service may take longer than that.
        await this.#until("the slowed service commits", () => watch.consumed > consumed);
        perSecond = (watch.consumed - consumed) / (performance.now() - ms) * 1000;
        say(`it takes ${perSecond.toFixed(0)} records/s; sends ${FLOOD} times as many`);
        await this.#send("c", FLOOD * perSecond, minutes * 60);
      } finally {
        await release();
      }
      const { rssMb } = await footprintOf(service.pid);
      const left = sum(topic.ends) - watch.consumed;
      say(`${left.toLocaleString("en")} records are left when it ends, RSS ${rssMb.toFixed(0)} MB`);
      const sinceMs = performance.now();
      await this.#until("nothing is left", () => watch.consumed >= sum(topic.ends));
      const recoverSeconds = (performance.now() - sinceMs) / 1000;
      return { records: sum(topic.ends) - before, perSecond, waitSeconds: null, turns: null, recoverSeconds };
    });
  }

  /** Latency of a live load, in milliseconds. The first second is left out. */
  async live(seconds: number): Promise<{ readonly p50: number; readonly p99: number }> {
    const { topic } = this.#options;
    const all = topic.ends.map((_, partition) => partition);
    return await this.#watched(all, async (watch, sent) => {
      await this.#send("live", LIVE_PER_SECOND, seconds + 1, sent);
      await this.#until("the live load is seen", () => watch.consumed >= sum(topic.ends));
      const waits = watch.waitsMs.slice(LIVE_PER_SECOND);
      return { p50: percentile(waits, 0.5), p99: percentile(waits, 0.99) };
    });
  }

  /** Runs `body` with a watch on these partitions. */
  async #watched<T>(
    partitions: readonly number[],
    body: (watch: Watch, sent: ReadonlyMap<number, SentTimes>) => Promise<T>,
  ): Promise<T> {
    const { topic, db } = this.#options;
    const sent = new Map(partitions.map((partition) => [partition, { base: topic.ends[partition]!, ms: [] }]));
    const watch = new Watch(db, topic.name, sent);
    watch.start();
    try {
      return await body(watch, sent);
    } finally {
      await watch.stop();
    }
  }

  async #until(what: string, ready: () => boolean): Promise<void> {
    const { service } = this.#options;
    await until(
      what,
      async () => {
        if (service.ended) throw new Error(`the service ended:\n${await service.tail()}`);
        return ready();
      },
      DRAIN_MS,
      20,
    );
  }

  /** Sends a few records a second to each of these partitions until the signal. */
  async #trickle(
    partitions: readonly number[],
    sent: ReadonlyMap<number, SentTimes>,
    signal: AbortSignal,
  ): Promise<void> {
    if (partitions.length === 0) return;
    while (!signal.aborted) {
      for (const partition of partitions) {
        const prefix = `t${partition}-`;
        const shape: Shape = { ...this.#shape(prefix, 1, 1), users: 50, partitionOf: () => partition };
        await this.#post(clicks(shape, this.#options.topic.tally), sent);
      }
      await setTimeout(1000 / TRICKLE_PER_SECOND, undefined, { signal }).catch(() => {});
    }
  }

  /** Sends records at this rate. */
  async #send(
    prefix: string,
    perSecond: number,
    seconds: number,
    sent: ReadonlyMap<number, SentTimes> = new Map(),
  ): Promise<void> {
    const records = Math.ceil(perSecond * seconds);
    const all = clicks(this.#shape(prefix, records, seconds * 1000), this.#options.topic.tally);
    const sinceMs = performance.now();
    for (let posted = 0; posted < records;) {
      const due = Math.min(records, Math.ceil((performance.now() - sinceMs) / 1000 * perSecond));
      const count = Math.min(REQUEST_RECORDS, due - posted);
      // `take` would end the generator.
      await this.#post(Array.from({ length: count }, () => all.next().value as Sendable), sent);
      posted += count;
      if (posted === due) await setTimeout(EVERY_MS);
    }
  }

  async #post(records: Iterable<Sendable>, sent: ReadonlyMap<number, SentTimes>): Promise<void> {
    const { topic, producer } = this.#options;
    const messages = [...counted(topic, records)].map((record) => messageOf(record, topic.name, topic.partitions));
    if (messages.length === 0) return;
    const nowMs = performance.now();
    for (const { partition } of messages) sent.get(partition)?.ms.push(nowMs);
    await producer.send({ messages });
  }

  /** Live records; those of another stage have other ids, and users of another prefix. */
  #shape(prefix: string, records: number, spanMs: number): Shape {
    return {
      ...{ records, fromMs: Date.now(), spanMs, prefix: `${this.#id}-${prefix}`, seed: Date.now() },
      users: Math.max(LEAST_USERS, Math.ceil(records / SESSION_EVENTS)),
      pageOf: (n) => `/products/${n % 1000}`,
    };
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}
