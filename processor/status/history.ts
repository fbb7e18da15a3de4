/**
 * Rates: reads the sums of `Activity` once a second and keeps ten minutes of them.
 * @module
 */
import type { Activity, Totals } from "./activity.ts";
import type { StageTotals } from "./stage_totals.ts";

/** The sums at one moment. */
interface Reading {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly totals: Totals;
  readonly work: StageTotals;
  readonly commits: number;
  readonly lag: number | null;
}

/** One second of the charts. */
export interface Point {
  /** Epoch milliseconds. */
  readonly at: number;
  /** Records/s by outcome. */
  readonly stored: number;
  readonly duplicates: number;
  readonly refused: number;
  /** Mean duration of commits in PostgreSQL, in milliseconds; null without a commit. */
  readonly commitMs: number | null;
  /** Age of the oldest record of the last commit, in milliseconds; null without a commit. */
  readonly latencyMs: number | null;
  readonly lag: number | null;
}

/** Rates over the last seconds, per second. */
export interface Rates {
  /** Records written to the log. */
  readonly arrived: number;
  /** Records consumed. */
  readonly consumed: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly refused: number;
  readonly commits: number;
  /** Rows written. */
  readonly rows: number;
}

/** A stage from Kafka to PostgreSQL. */
export interface Stage {
  readonly name: "Kafka" | "decode" | "fold" | "commit" | "PostgreSQL";
  /** What `rate` and `eachUs` count. */
  readonly unit: "records" | "events" | "commits" | "rows";
  /** Number per second. */
  readonly rate: number;
  /** Share of the workers' time, 0 to 1. For Kafka: time waiting for records that it has. */
  readonly busy: number;
  /** Time per unit, in microseconds; null if there was none. */
  readonly eachUs: number | null;
}

/** Counts of the last minute. */
export interface LastMinute {
  readonly consumed: number;
  readonly refused: number;
}

/** Time without new records, and how many usually arrive. */
export interface Silence {
  /** Time since the last record, or since the start, in milliseconds. */
  readonly silentMs: number;
  /** Usual records/s before the silence; 0 if there were too few to tell. */
  readonly usual: number;
}

/** Interval of `look`, in milliseconds. */
export const LOOK_EVERY_MS = 1000;

/** Number of readings that are kept. */
const KEPT = 600;

/** Number of readings to average over, because commits can be as rare as readings. */
const AVERAGED = 4;

/** Most readings to average over while a long commit is under way: until it is applied, nothing counts as consumed. */
const AVERAGED_AT_MOST = 30;

const MINUTE = 60;

/** The usual rate is the median of this many spans of this many milliseconds. */
const SPANS = 60;
const SPAN_MS = 10_000;
const FEWEST_SPANS = 12;

/** The last ten minutes of an `Activity`. */
export class History {
  readonly #activity: Activity;
  readonly #readings: Reading[] = [];
  readonly #points: Point[] = [];
  /** Records/s of the latest spans; below, the start of the current span and the records by then. */
  readonly #spans: number[] = [];
  #spanFrom = { at: 0, come: 0 };
  /** When the last record arrived, and the usual rate then. */
  #heard = { at: 0, come: 0, usual: 0 };

  constructor(activity: Activity) {
    this.#activity = activity;
  }

  /** The points of the charts, oldest first. */
  get points(): readonly Point[] {
    return this.#points;
  }

  /** Takes a reading at `at`, epoch milliseconds; returns the new point of the charts. */
  look(at: number): Point {
    const { totals, work, commits, lag } = this.#activity;
    this.#readings.push({ at, totals, work, commits, lag });
    if (this.#readings.length > KEPT) this.#readings.shift();
    this.#hear(at, totals.consumed + (lag ?? 0));
    const { before, now, seconds } = this.#span(AVERAGED);
    const { stored, duplicates, refused } = this.#ratesOver(AVERAGED);
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

  /** Current rates. */
  get rates(): Rates {
    return this.#ratesOver(this.#averaged);
  }

  /** Number of readings to average over: enough to have a commit in them, if one is under way. */
  get #averaged(): number {
    const { isCommitting, commits } = this.#activity;
    if (!isCommitting) return AVERAGED;
    const since = this.#readings.findLastIndex((reading) => reading.commits < commits);
    return Math.min(AVERAGED_AT_MOST, Math.max(AVERAGED, since < 0 ? 0 : this.#readings.length - 1 - since));
  }

  #ratesOver(readings: number): Rates {
    const { before, now, seconds } = this.#span(readings);
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

  /** Current times per stage, in the order of the pipeline. */
  get stages(): Stage[] {
    const { before, now, seconds } = this.#span(this.#averaged);
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

  /** Counts of the last minute. */
  get lastMinute(): LastMinute {
    const { before, now } = this.#span(MINUTE);
    const of = (name: "consumed" | "refused") => now.totals[name] - before.totals[name];
    return { consumed: of("consumed"), refused: of("refused") };
  }

  /** The current silence. */
  get silence(): Silence {
    const { at, usual } = this.#heard;
    return { silentMs: (this.#readings.at(-1)?.at ?? at) - at, usual };
  }

  /**
   * Takes the number of records in the log at `at`, consumed or not: records of a backlog do not count as arrivals. The
   * median keeps bursts out of the usual rate.
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

  /** The last reading, and an earlier one to compare with. */
  #span(readings: number): { before: Reading; now: Reading; seconds: number } {
    const { totals, work, commits, lag } = this.#activity;
    const now = this.#readings.at(-1) ?? { at: 0, totals, work, commits, lag };
    const before = this.#readings.at(-1 - readings) ?? this.#readings[0] ?? now;
    return { before, now, seconds: (now.at - before.at) / 1000 };
  }
}
