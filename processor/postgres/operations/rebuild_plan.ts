/**
 * What a rebuild replaces, and where it has to read the log for it.
 *
 * Rows are replaced whose window begins at a given midnight or later: what is older than the log stays as it is. The log
 * is read from where it has the first event that may be in such a row or may join a session that begins there, and before
 * that from where it must be known to tell duplicates.
 * @module
 */
import { MAX_AHEAD_MS } from "../../event.ts";
import { KEPT_PIECES } from "../../pipeline/duplicates.ts";
import type { View } from "../../views/view.ts";

/** Where reading a partition begins: up to `from` only to remember ids, from there on to count. */
export interface Start {
  readonly partition: number;
  readonly replay: number;
  readonly from: number;
}

/** How far back the log reaches. */
export interface Reach {
  readonly starts: readonly Start[];
  /** Kafka timestamp of the log's first record where it is later than the midnight asked for, else null. */
  readonly logBeginsMs: number | null;
}

/** What is rebuilt. Two that are alike are one that was ended on the way. */
export interface Plan {
  readonly topic: string;
  /** Kafka's id of the topic that the tables follow; null where it is not known. */
  readonly topicId: string | null;
  /** Midnight from which on rows are replaced, epoch milliseconds. */
  readonly fromMs: number;
  readonly version: string;
  readonly views: readonly string[];
  readonly keepDays: number;
  readonly storeEvents: boolean;
  readonly hashRoutes: boolean;
  /** Which tables are filled, and how: what an older program has begun is begun anew. */
  readonly layout: 2;
  /** Refusals that have been sent back: their copies stand for them. */
  readonly replayed: readonly string[];
}

/** The times of the log at which reading must begin, so that rows from `fromMs` on are exact. */
export function timesToRead(
  fromMs: number,
  views: readonly View[],
): { readonly from: number; readonly replay: number } {
  // An event lies at most so far ahead of its Kafka timestamp. One that comes within a gap of a session's beginning is a
  // part of it, so that it begins earlier and is not to be replaced.
  const gapMs = Math.max(0, ...views.map(({ window }) => window.kind === "session" ? window.gapMs : 0));
  const from = fromMs - gapMs - MAX_AHEAD_MS;
  return { from, replay: from - (KEPT_PIECES + 1) * 60_000 };
}
