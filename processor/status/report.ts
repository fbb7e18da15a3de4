/**
 * What a running processor says of itself, as JSON.
 * @module
 */
import type { Activity, PartitionActivity, Totals } from "./activity.ts";
import { ALLOWED_DELAY_MS } from "../pipeline/reading.ts";
import type { History, Rates, Stage } from "./history.ts";
import { caughtUpInMs, type Lag, type Verdict, verdictOn } from "./verdict.ts";

/** What `/api/status` returns. Times are ISO 8601 in UTC, sums count from the start of the process. */
export interface StatusReport {
  readonly state: "running" | "waiting" | "stopping";
  /** Why it is not running, in words. */
  readonly reason: string | null;
  /** How it is, for people. */
  readonly verdict: Verdict;
  /** When this was said. */
  readonly at: string;
  readonly version: string;
  readonly instance: string;
  readonly topic: string;
  readonly startedAt: string;
  readonly workers: number;
  readonly lag: Lag;
  /** How much a second, over the last seconds. */
  readonly rates: Rates;
  /** Where the time goes, in the order that an event goes. */
  readonly stages: readonly Stage[];
  /** The partitions that this process reads. */
  readonly partitions: readonly PartitionReport[];
  /** How many partitions the topic has; null before that is known. */
  readonly topicPartitions: number | null;
  readonly totals: Totals;
  /** Refused messages by reason; reasons that did not occur are left out. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly commits: number;
  readonly lastCommit: CommitReport | null;
  /** The most recent first. */
  readonly restarts: readonly { readonly at: string; readonly cause: string; readonly message: string }[];
  readonly settings: Readonly<Record<string, string | null>>;
}

/** Where a partition stands. */
export type PartitionReport = Omit<PartitionActivity, "watermark" | "worker" | "committedAt"> & {
  readonly watermark: string | null;
  /** The worker that reads it: what `progress.committed_by` says. */
  readonly owner: string;
  readonly committedAt: string | null;
};

/** A commit that was applied. */
export interface CommitReport {
  readonly at: string;
  readonly tookMs: number;
  readonly records: number;
  readonly rows: number;
  readonly latencyMs: number | null;
}

/** What doesn't change while the process runs. */
export interface About {
  readonly version: string;
  readonly instance: string;
  readonly topic: string;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  /** Settings as they may be shown. */
  readonly settings: Readonly<Record<string, string | null>>;
}

/** What belongs to the moment. */
export interface Moment {
  /** Epoch milliseconds. */
  readonly now: number;
  readonly stopping: boolean;
  /** Records in gaps that nobody has acknowledged, where PostgreSQL has been asked; otherwise null. */
  readonly gaps?: number | null;
  /** Why PostgreSQL can't be asked, where somebody has tried; null if it can. */
  readonly database: string | null;
}

/** The report of this moment. */
export function statusReport(about: About, activity: Activity, history: History, moment: Moment): StatusReport {
  const { notReady, lastCommit } = activity;
  const { rates, stages, lastMinute, silence } = history;
  const { now, stopping, database, gaps } = moment;
  const lag = lagOf(activity, rates, now);
  const verdict = verdictOn({
    stopping,
    topicChange: activity.topicChange,
    gaps: gaps ?? activity.totals.gaps,
    reason: activity.stopped,
    database,
    partitions: activity.partitions.length,
    lag,
    rates,
    stages,
    lastMinute,
    silence,
    latencyMs: lastCommit?.latencyMs ?? null,
    stall: activity.stalls[0] ?? null,
  });
  return {
    state: stopping ? "stopping" : notReady === null ? "running" : "waiting",
    reason: notReady,
    verdict,
    at: iso(now),
    version: about.version,
    instance: about.instance,
    topic: about.topic,
    startedAt: iso(about.startedAt),
    workers: activity.workers,
    lag,
    rates,
    stages,
    partitions: activity.partitions.map(({ partition, next, end, stable, lag, watermark, worker, committedAt }) => ({
      partition,
      next,
      end,
      stable,
      lag,
      watermark: watermark === null ? null : iso(watermark),
      owner: ownerOf(about.instance, worker),
      committedAt: committedAt === null ? null : iso(committedAt),
    })),
    topicPartitions: activity.topicPartitions,
    totals: activity.totals,
    refusals: Object.fromEntries([...activity.refusedByReason].filter(([, count]) => count > 0)),
    commits: activity.commits,
    lastCommit: lastCommit === null ? null : { ...lastCommit, at: iso(lastCommit.at) },
    restarts: activity.restarts.map((restart) => ({ ...restart, at: iso(restart.at) })),
    settings: about.settings,
  };
}

/** Name of a worker: what `progress.committed_by` says. */
export function ownerOf(instance: string, worker: number): string {
  return worker === 0 ? instance : `${instance}/${worker}`;
}

function lagOf(activity: Activity, rates: Rates, now: number): Lag {
  const records = activity.lag;
  // The watermark of a partition that is read to its end says when something happened last, and not what is missing.
  const behind = activity.partitions.filter(({ lag, watermark }) => lag !== null && lag > 0 && watermark !== null);
  const latest = Math.min(...behind.map(({ watermark }) => watermark! + ALLOWED_DELAY_MS));
  return {
    records,
    behindMs: behind.length === 0 ? null : Math.max(0, now - latest),
    caughtUpInMs: records === null ? null : caughtUpInMs(records, rates),
  };
}

function iso(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
