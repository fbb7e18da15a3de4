/**
 * The events that a worker reports.
 * @module
 */
import type { MoneyState } from "../currency.ts";
import type { Reason } from "../event.ts";
import type { NotReady, RestartCause, RetryableError } from "../pipeline/causes.ts";
import type { Advance, Commit, Position } from "../pipeline/commit.ts";
import { type Distribution, distribution, observe } from "../pipeline/distribution.ts";
import type { Observer, StageTimings } from "../pipeline/observer.ts";
import type { PartitionState, TopicChange } from "../pipeline/source.ts";
import type { Records } from "../records.ts";
import type { Sample } from "./sampler.ts";
import type { TracedCommit } from "./traced_commit.ts";

/** What a worker reports; it can be sent from one thread to another. */
export type WorkerEvent =
  | {
    readonly kind: "started";
    readonly partitions: ReadonlyMap<number, Position | null>;
    readonly cause: Cause | null;
  }
  /** Bytes of records were fetched from Kafka, compressed as they were sent. */
  | { readonly kind: "fetched"; readonly bytes: number }
  | { readonly kind: "read"; readonly partition: number; readonly end: number }
  /** State of each partition that the worker reads; reported about once a second. */
  | { readonly kind: "partitions"; readonly states: readonly PartitionState[] }
  /** The worker's memory; reported about once a second. */
  | { readonly kind: "memory"; readonly bytes: MemoryBytes }
  /** Number of partitions of the topic. */
  | { readonly kind: "counted"; readonly partitions: number }
  /** The worker joins its consumer group. */
  | { readonly kind: "rebalancing" }
  /** Why the group assigned no partition to this worker, if that is a fault; otherwise null. */
  | { readonly kind: "noShare"; readonly reason: string | null }
  /** A commit was sent. */
  | { readonly kind: "committing" }
  | ({ readonly kind: "committed" } & Committed)
  | { readonly kind: "groupCommitFailed" }
  /** A commit that is traced is over. */
  | { readonly kind: "traced"; readonly commit: TracedCommit }
  /** How revenue in the tables is counted; reported about twice a minute. */
  | { readonly kind: "money"; readonly state: MoneyState }
  /** Samples of decoded records; more while a client of the page is connected. */
  | { readonly kind: "sampled"; readonly samples: readonly Sample[] }
  /** A failure that a retry may get past; the retry follows. */
  | { readonly kind: "retrying" }
  /** The worker's loop is running: a sign of life, about once a second. */
  | { readonly kind: "turned" }
  /** The topic is not the one that the tables follow: the worker ends. */
  | { readonly kind: "topicChanged"; readonly change: TopicChange }
  /** Why the worker has stopped; null while it runs. */
  | { readonly kind: "notReady"; readonly why: NotReady | null };

/** Kinds of memory of a worker: the JavaScript heap in use, buffers outside it, and what the kernel has taken. */
export const MEMORY_KINDS = ["heap", "buffers", "kernel"] as const;

/** Memory of a worker, in bytes. */
export type MemoryBytes = { readonly [kind in typeof MEMORY_KINDS[number]]: number };

/** Why a pipeline restarted, and the error's message. */
export interface Cause {
  readonly kind: RestartCause;
  readonly message: string;
}

/** Numbers of a commit that was applied. */
export interface Committed {
  readonly advances: readonly Advance[];
  /** The reason of each refusal. */
  readonly refused: readonly Reason[];
  /** Rows written, by table: of views, events and refusals. */
  readonly rows: readonly (readonly [table: string, rows: number])[];
  /** Lateness of the stored events that were behind the event-time watermark. */
  readonly lateness: Distribution;
  /** Age of the stored events by event time. */
  readonly eventLatency: Distribution;
  /** Age of the stored events by Kafka timestamp. */
  readonly produceLatency: Distribution;
  /** Time from reading the first record to sending the commit, in milliseconds. */
  readonly waitedMs: number;
  /** Time in the sink, in milliseconds. */
  readonly tookMs: number;
  /** Events that may be duplicates of ones whose ids are no longer remembered. */
  readonly unchecked: number;
  /** Time per stage before the sink. */
  readonly spent: StageTimings;
}

/** Chooses samples of decoded records, from index `from` on. */
export type Sampling = (records: Records, from: number) => readonly Sample[];

const NOTHING_SPENT: StageTimings = { readMs: 0, decodeMs: 0, foldMs: 0, encodeMs: 0, oldest: null };

/** Bounds of distributions, in seconds. */
export const COMMIT_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
export const LATENCY_BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 86_400];
export const LATENESS_BOUNDS = [1, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400, 604_800];

/**
 * An observer of one pipeline that reports to `tell`. Lateness is reported with the next commit.
 *
 * @param now epoch milliseconds
 */
export function reportTo(
  tell: (event: WorkerEvent) => void,
  now: () => number,
  sample: Sampling = () => [],
): Required<Omit<Observer, "forgot" | "commitFailed">> {
  let lateness = distribution(LATENESS_BOUNDS);
  let spent = NOTHING_SPENT;
  return {
    started(partitions, cause) {
      // Records that were read but not committed will be read again.
      lateness = distribution(LATENESS_BOUNDS);
      tell({ kind: "started", partitions, cause: cause === null ? null : causeOf(cause) });
    },
    read: (partition, _next, end) => tell({ kind: "read", partition, end }),
    decoded(records, from) {
      const samples = sample(records, from);
      if (samples.length > 0) tell({ kind: "sampled", samples });
    },
    late: (ms) => observe(lateness, ms / 1000),
    onBatchReady(what) {
      spent = what;
      tell({ kind: "committing" });
    },
    committed(commit, { waitedMs, tookMs, times, unchecked }) {
      const at = now();
      tell({
        kind: "committed",
        advances: commit.advances,
        refused: commit.refusals.map(({ reason }) => reason),
        rows: rowsOf(commit),
        lateness,
        eventLatency: times.event.secondsBefore(at, LATENCY_BOUNDS),
        produceLatency: times.kafka.secondsBefore(at, LATENCY_BOUNDS),
        waitedMs,
        tookMs,
        unchecked,
        spent,
      });
      lateness = distribution(LATENESS_BOUNDS);
    },
    groupCommitFailed: () => tell({ kind: "groupCommitFailed" }),
  };
}

/** Rows that a commit writes, by table: of views, events and refusals. */
function rowsOf({ deltas, events, refusals }: Commit): Committed["rows"] {
  return [
    ...deltas.map(({ view, count }) => [view.name, count] as const),
    ["events", events?.reduce((sum, batch) => sum + batch.count, 0) ?? 0],
    ["refusals", refusals.length],
  ];
}

function causeOf({ restartCause, message }: RetryableError): Cause {
  return { kind: restartCause, message };
}
