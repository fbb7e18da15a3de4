/**
 * What a running processor says of itself, as JSON.
 * @module
 */
import type { Activity, PartitionActivity, Totals } from "../activity.ts";

/** What `/api/status` returns. Times are ISO 8601 in UTC, sums count from the start of the process. */
export interface StatusReport {
  readonly state: "running" | "waiting" | "stopping";
  /** Why it is not running, in words. */
  readonly reason: string | null;
  readonly version: string;
  readonly instance: string;
  readonly topic: string;
  readonly startedAt: string;
  readonly partitions: readonly (Omit<PartitionActivity, "watermark"> & { readonly watermark: string | null })[];
  readonly totals: Totals;
  /** Refused messages by reason; reasons that did not occur are left out. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly commits: number;
  readonly lastCommit:
    | { readonly at: string; readonly tookMs: number; readonly records: number; readonly rows: number }
    | null;
  /** The most recent first. */
  readonly restarts: readonly { readonly at: string; readonly cause: string; readonly message: string }[];
  readonly settings: Readonly<Record<string, string | null>>;
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

/** The report of this moment. */
export function statusReport(about: About, activity: Activity, stopping: boolean): StatusReport {
  const { notReady, lastCommit } = activity;
  return {
    state: stopping ? "stopping" : notReady === null ? "running" : "waiting",
    reason: notReady,
    version: about.version,
    instance: about.instance,
    topic: about.topic,
    startedAt: iso(about.startedAt),
    partitions: activity.partitions.map((partition) => ({
      ...partition,
      watermark: partition.watermark === null ? null : iso(partition.watermark),
    })),
    totals: activity.totals,
    refusals: Object.fromEntries([...activity.refusedByReason].filter(([, count]) => count > 0)),
    commits: activity.commits,
    lastCommit: lastCommit === null ? null : { ...lastCommit, at: iso(lastCommit.at) },
    restarts: activity.restarts.map((restart) => ({ ...restart, at: iso(restart.at) })),
    settings: about.settings,
  };
}

function iso(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
