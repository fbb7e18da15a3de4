/**
 * What a rebuild replaces, and where it starts to read the log.
 *
 * It replaces rows with windows that begin at a given midnight or later; older rows stay. It reads the log from the
 * first event that may be in such a row, or may join a session that begins there. To recognise duplicates, it starts
 * to read somewhat earlier.
 * @module
 */
import { MAX_AHEAD_MS } from "../../event.ts";
import { KEPT_PIECES } from "../../pipeline/duplicates.ts";
import type { View } from "../../views/view.ts";

/** Where to read a partition: from `replay` to remember ids only, and from `from` on to count. */
export interface Start {
  readonly partition: number;
  readonly replay: number;
  readonly from: number;
}

/** How far back the log reaches. */
export interface Reach {
  readonly starts: readonly Start[];
  /** Kafka timestamp of the log's first record if it is later than the requested midnight, else null. */
  readonly logBeginsMs: number | null;
}

/** The days of a rebuild. */
export interface PlannedDays {
  /** Name of the time zone of the new days. */
  readonly zone: string;
  /** Name of the time zone of the days in use. */
  readonly former: string;
  /**
   * Events from this time on are counted by new days, epoch milliseconds. It is the first midnight of the former zone in
   * what is rebuilt, so that each event is counted on one day of either zone.
   */
  readonly sinceMs: number;
  /** True if no day that is in use will stay. */
  readonly areAll: boolean;
}

/** What is rebuilt. A rebuild with an equal plan continues one that was interrupted. */
export interface Plan {
  readonly topic: string;
  /** Kafka's id of the topic that the tables follow; null if it is not known. */
  readonly topicId: string | null;
  /** How many positions `adopt-topic` has replaced: what was read before an adoption may be of a log that is gone. */
  readonly adoptions: number;
  /** Rows from this midnight on are replaced, epoch milliseconds. */
  readonly fromMs: number;
  readonly version: string;
  readonly views: readonly string[];
  /** Hash of the declared views. */
  readonly declared: string;
  /** False if one view is rebuilt: events, refusals and counts of records stay. */
  readonly isWhole: boolean;
  readonly keepDays: number;
  readonly storeEvents: boolean;
  readonly hashRoutes: boolean;
  readonly siteHosts: readonly string[];
  /** The shop's currency, and the SHA-256 of the rates by which purchases are converted; null without a currency. */
  readonly money: { readonly currency: string; readonly rates: string } | null;
  readonly days: PlannedDays;
  /** Version of the staging tables: a rebuild that an older program began starts again. */
  readonly layout: 5;
  /** Refusals that were sent back: their copies replace them. */
  readonly replayed: readonly string[];
}

/** Times of the log at which reading must begin so that rows from `fromMs` on are exact, epoch milliseconds. */
export function timesToRead(
  fromMs: number,
  views: readonly View[],
): { readonly from: number; readonly replay: number } {
  // An event is at most MAX_AHEAD_MS ahead of its Kafka timestamp. An event at most a gap before a session joins it:
  // then the session begins earlier, and must not be replaced.
  const gapMs = Math.max(0, ...views.map(({ window }) => window.kind === "session" ? window.gapMs : 0));
  const from = fromMs - gapMs - MAX_AHEAD_MS;
  return { from, replay: from - (KEPT_PIECES + 1) * 60_000 };
}
