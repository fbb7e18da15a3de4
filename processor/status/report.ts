/**
 * The status report of a running process, as JSON.
 * @module
 */
import { BOT_LIST_VERSION } from "../measures/bot_list.ts";
import type { Activity, PartitionActivity, Totals } from "./activity.ts";
import { moneyFault, type MoneyState } from "../currency.ts";
import type { NotReady } from "../pipeline/causes.ts";
import { ALLOWED_DELAY_MS } from "../pipeline/reading.ts";
import { type StageFault, stageFaults } from "./faults.ts";
import type { History, Rates, Stage } from "./history.ts";
import { bottleneck, caughtUpInMs, type Lag, type Verdict, verdictOn } from "./verdict.ts";

/** Body of `/api/status`. Times are ISO 8601 in UTC; sums count from the start of the process. */
export interface StatusReport {
  readonly state: "running" | "waiting" | "stopping";
  /** Why the service is not ready, in words; null if it is. */
  readonly reason: string | null;
  /** The state in plain words. */
  readonly verdict: Verdict;
  /** Time of the report. */
  readonly at: string;
  readonly version: string;
  /** Version of the list of bots, the package `isbot`. */
  readonly isbot: string;
  readonly instance: string;
  readonly topic: string;
  readonly startedAt: string;
  readonly workers: number;
  readonly lag: Lag;
  /** Current rates, per second. */
  readonly rates: Rates;
  /** Time per stage, in the order of the pipeline. */
  readonly stages: readonly StageReport[];
  /** The partitions of this process. */
  readonly partitions: readonly PartitionReport[];
  /** Number of partitions of the topic; null before it is known. */
  readonly topicPartitions: number | null;
  readonly totals: Totals;
  /** Refused records by reason, without reasons that did not occur. */
  readonly refusals: Readonly<Record<string, number>>;
  /** How revenue in the tables is counted; null before it is known. */
  readonly money: MoneyState | null;
  readonly commits: number;
  readonly lastCommit: CommitReport | null;
  /** Newest first. */
  readonly restarts: readonly { readonly at: string; readonly cause: string; readonly message: string }[];
  readonly settings: Readonly<Record<string, string | null>>;
}

/** A stage, and what is wrong there; null if nothing is. */
export type StageReport = Stage & { readonly fault: StageFault | null };

/** State of a partition. */
export type PartitionReport = Omit<PartitionActivity, "watermark" | "worker" | "committedAt"> & {
  readonly watermark: string | null;
  /** The worker that reads it, as in `progress.committed_by`. */
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

/** Facts that do not change while the process runs. */
export interface About {
  readonly version: string;
  readonly instance: string;
  readonly topic: string;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  /** Settings without secrets. */
  readonly settings: Readonly<Record<string, string | null>>;
}

/** Facts of the moment. */
export interface Moment {
  /** Epoch milliseconds. */
  readonly now: number;
  readonly stopping: boolean;
  /** Records in unacknowledged gaps; null where PostgreSQL was not asked. */
  readonly gaps?: number | null;
  /** Why PostgreSQL cannot be read; null if it can, or was not tried. */
  readonly database: NotReady | null;
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
    notReady: activity.stopped,
    database,
    partitions: activity.partitions.length,
    lag,
    rates,
    stages,
    lastMinute,
    silence,
    latencyMs: lastCommit?.latencyMs ?? null,
    money: activity.money === null ? null : moneyFault(activity.money),
    stall: activity.stalls[0] ?? null,
  });
  const faults = stageFaults({
    stopping,
    topicChange: activity.topicChange,
    reasons: [...activity.reasons, ...(database === null ? [] : [database])],
    stalls: activity.stalls,
    bottleneck: bottleneck({ lag, rates, stages })?.name ?? null,
  });
  return {
    state: stopping ? "stopping" : notReady === null ? "running" : "waiting",
    reason: notReady,
    verdict,
    at: iso(now),
    version: about.version,
    isbot: BOT_LIST_VERSION,
    instance: about.instance,
    topic: about.topic,
    startedAt: iso(about.startedAt),
    workers: activity.workers,
    lag,
    rates,
    stages: stages.map((stage) => ({ ...stage, fault: faults.get(stage.name) ?? null })),
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
    money: activity.money,
    commits: activity.commits,
    lastCommit: lastCommit === null ? null : { ...lastCommit, at: iso(lastCommit.at) },
    restarts: activity.restarts.map((restart) => ({ ...restart, at: iso(restart.at) })),
    settings: about.settings,
  };
}

/** Name of a worker, as in `progress.committed_by`. */
export function ownerOf(instance: string, worker: number): string {
  return worker === 0 ? instance : `${instance}/${worker}`;
}

function lagOf(activity: Activity, rates: Rates, now: number): Lag {
  const records = activity.lag;
  // If a partition's lag is 0, its watermark shows the age of its last event, not a delay.
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
