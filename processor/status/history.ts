/**
 * How fast it goes: what `Activity` has summed up, looked at once a second and remembered for ten minutes.
 * @module
 */
import type { Activity, StageTotals, Totals } from "./activity.ts";

/** Sums as they stood at one moment. */
interface Reading {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly totals: Totals;
  readonly work: StageTotals;
  readonly commits: number;
  readonly lag: number | null;
}

/** What the charts show of a second. */
export interface Point {
  /** Epoch milliseconds. */
  readonly at: number;
  /** Records a second, by what became of them. */
  readonly stored: number;
  readonly duplicates: number;
  readonly refused: number;
  /** Time that PostgreSQL took for a commit, on average; null without one. */
  readonly commitMs: number | null;
  /** Of the last commit, the time that its oldest record had been in Kafka and here; null without one. */
  readonly latencyMs: number | null;
  readonly lag: number | null;
}

/** Events a second, and the like, over the last seconds. */
export interface Rates {
  /** Records that came into the log. */
  readonly arrived: number;
  /** Records taken out of it. */
  readonly consumed: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly refused: number;
  readonly commits: number;
  /** Rows written. */
  readonly rows: number;
}

/** Where time goes: one of the steps from Kafka to PostgreSQL. */
export interface Stage {
  readonly name: "Kafka" | "decode" | "fold" | "commit" | "PostgreSQL";
  /** What `rate` and `eachUs` count. */
  readonly unit: "records" | "events" | "commits" | "rows";
  /** How many a second. */
  readonly rate: number;
  /** Share of the workers' time that it takes, 0 to 1. Of Kafka: waiting for records that it is known to have. */
  readonly busy: number;
  /** Time for each, in microseconds; null if there was none. */
  readonly eachUs: number | null;
}

/** Refusals of the last minute, to judge by. */
export interface LastMinute {
  readonly consumed: number;
  readonly refused: number;
}

/** Whether records come, and how many usually do. */
export interface Silence {
  /** Time since the last record, in milliseconds; since the first reading, where none has come. */
  readonly silentMs: number;
  /** Records a second that were usual until then; 0 if few came, or too little time has passed to know. */
  readonly usual: number;
}

/** How often `look` is to be called, in milliseconds. */
export const LOOK_EVERY_MS = 1000;

/** Readings that are kept. */
const KEPT = 600;

/** Over so many readings the numbers are averaged: commits are no more frequent than readings. */
const AVERAGED = 4;

const MINUTE = 60;

/** What is usual is the median of so many spans of so many milliseconds; of fewer it isn't told. */
const SPANS = 60;
const SPAN_MS = 10_000;
const FEWEST_SPANS = 12;

/** The last ten minutes of an `Activity`. */
export class History {
  readonly #activity: Activity;
  readonly #readings: Reading[] = [];
  readonly #points: Point[] = [];
  /** Records a second in each of the latest spans, and the one that goes on: when it began, and how many had come. */
  readonly #spans: number[] = [];
  #spanFrom = { at: 0, come: 0 };
  /** When records came last, and what was usual then. */
  #heard = { at: 0, come: 0, usual: 0 };

  constructor(activity: Activity) {
    this.#activity = activity;
  }

  /** What the charts show, the oldest first. */
  get points(): readonly Point[] {
    return this.#points;
  }

  /** Takes a reading at `at`, epoch milliseconds; returns what is new for the charts. */
  look(at: number): Point {
    const { totals, work, commits, lag } = this.#activity;
    this.#readings.push({ at, totals, work, commits, lag });
    if (this.#readings.length > KEPT) this.#readings.shift();
    this.#hear(at, totals.consumed + (lag ?? 0));
    const { before, now, seconds } = this.#span(AVERAGED);
    const { stored, duplicates, refused } = this.rates;
    const { lastCommit } = this.#activity;
    const made = now.commits - before.commits;
    const isFresh = lastCommit !== null && lastCommit.at > at - AVERAGED * LOOK_EVERY_MS;
    const point = {
      at,
      stored,
      duplicates,
      refused,
      commitMs: seconds > 0 && made > 0 ? (now.work.commitMs - before.work.commitMs) / made : null,
      latencyMs: isFresh ? lastCommit.latencyMs : null,
      lag,
    };
    this.#points.push(point);
    if (this.#points.length > KEPT) this.#points.shift();
    return point;
  }

  /** How much a second, lately. */
  get rates(): Rates {
    const { before, now, seconds } = this.#span(AVERAGED);
    const per = (count: number) => seconds === 0 ? 0 : count / seconds;
    const of = (name: "consumed" | "stored" | "duplicates" | "refused") => per(now.totals[name] - before.totals[name]);
    const grown = (now.lag ?? 0) - (before.lag ?? 0);
    return {
      arrived: Math.max(0, of("consumed") + per(grown)),
      consumed: of("consumed"),
      stored: of("stored"),
      duplicates: of("duplicates"),
      refused: of("refused"),
      commits: per(now.commits - before.commits),
      rows: per(now.work.rows - before.work.rows),
    };
  }

  /** Where the time went, lately, in the order that an event goes. */
  get stages(): Stage[] {
    const { before, now, seconds } = this.#span(AVERAGED);
    const { consumed, stored, commits, rows } = this.rates;
    const stage = (name: Stage["name"], unit: Stage["unit"], rate: number, part: keyof StageTotals): Stage => {
      const tookMs = now.work[part] - before.work[part];
      const busy = seconds === 0 ? 0 : tookMs / 1000 / seconds / this.#activity.workers;
      const count = rate * seconds;
      return { name, unit, rate, busy: Math.min(1, busy), eachUs: count < 0.5 ? null : tookMs * 1000 / count };
    };
    return [
      stage("Kafka", "records", consumed, "readMs"),
      stage("decode", "records", consumed, "decodeMs"),
      stage("fold", "events", stored, "foldMs"),
      stage("commit", "commits", commits, "encodeMs"),
      stage("PostgreSQL", "rows", rows, "commitMs"),
    ];
  }

  /** What the last minute brought. */
  get lastMinute(): LastMinute {
    const { before, now } = this.#span(MINUTE);
    const of = (name: "consumed" | "refused") => now.totals[name] - before.totals[name];
    return { consumed: of("consumed"), refused: of("refused") };
  }

  /** Whether records come. */
  get silence(): Silence {
    const { at, usual } = this.#heard;
    return { silentMs: (this.#readings.at(-1)?.at ?? at) - at, usual };
  }

  /**
   * Takes note of how many records had come by `at`, consumed or not: a backlog that is taken in is none that comes. What
   * comes in a burst is not usual: so the median.
   */
  #hear(at: number, come: number): void {
    if (this.#spanFrom.at === 0) {
      this.#spanFrom = { at, come };
      this.#heard = { at, come, usual: 0 };
    }
    if (at - this.#spanFrom.at >= SPAN_MS) {
      this.#spans.push(Math.max(0, come - this.#spanFrom.come) / (at - this.#spanFrom.at) * 1000);
      if (this.#spans.length > SPANS) this.#spans.shift();
      this.#spanFrom = { at, come };
    }
    if (come === this.#heard.come) return;
    const sorted = this.#spans.toSorted((a, b) => a - b);
    this.#heard = { at, come, usual: sorted.length < FEWEST_SPANS ? 0 : sorted[sorted.length >> 1]! };
  }

  /** The last reading, and the one so many before it or the first. */
  #span(readings: number): { before: Reading; now: Reading; seconds: number } {
    const { totals, work, commits, lag } = this.#activity;
    const now = this.#readings.at(-1) ?? { at: 0, totals, work, commits, lag };
    const before = this.#readings.at(-1 - readings) ?? this.#readings[0] ?? now;
    return { before, now, seconds: (now.at - before.at) / 1000 };
  }
}
