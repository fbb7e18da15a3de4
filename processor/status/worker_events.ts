/**
 * What a worker reports about its work; it can be sent from one thread to another.
 * @module
 */
import type { Reason } from "../event.ts";
import type { NotReady, RestartCause, RetryableError } from "../pipeline/causes.ts";
import type { Advance, Commit, Position } from "../pipeline/commit.ts";
import { type Distribution, distribution, observe } from "../pipeline/distribution.ts";
import type { Observer, StageTimings } from "../pipeline/observer.ts";
import type { PartitionState, TopicChange } from "../pipeline/source.ts";
import type { Records } from "../records.ts";
import type { Sample } from "./sampler.ts";

/** What a worker tells of its work; it can be sent from one thread to another. */
export type WorkerEvent =
  | {
    readonly kind: "started";
    readonly partitions: ReadonlyMap<number, Position | null>;
    readonly cause: Cause | null;
  }
  /** Bytes of records have come from Kafka, as they were sent. */
  | { readonly kind: "fetched"; readonly bytes: number }
  | { readonly kind: "read"; readonly partition: number; readonly end: number }
  /** What is known of each partition that the worker reads; told about once a second. */
  | { readonly kind: "partitions"; readonly states: readonly PartitionState[] }
  /** How many partitions the topic has. */
  | { readonly kind: "counted"; readonly partitions: number }
  /** The group has been asked for partitions. */
  | { readonly kind: "rebalancing" }
  /** Why the group has given this worker no partition, where that is a fault; null where it is none. */
  | { readonly kind: "noShare"; readonly reason: string | null }
  /** A commit has been sent. */
  | { readonly kind: "committing" }
  | ({ readonly kind: "committed" } & Committed)
  | { readonly kind: "groupCommitFailed" }
  /** Some of what was decoded, while somebody looks. */
  | { readonly kind: "sampled"; readonly samples: readonly Sample[] }
  /** What another try may get past has happened; the try follows. */
  | { readonly kind: "retrying" }
  /** The loop has gone round: a sign of life, told about once a second. */
  | { readonly kind: "turned" }
  /** The topic is not the one that the tables follow: the work ends. */
  | { readonly kind: "topicChanged"; readonly change: TopicChange }
  /** Why the work has stopped; null while it goes on. */
  | { readonly kind: "notReady"; readonly why: NotReady | null };

/** Why a pipeline started again, and what the error says. */
export interface Cause {
  readonly kind: RestartCause;
  readonly message: string;
}

/** A commit that was applied, in numbers. */
export interface Committed {
  readonly advances: readonly Advance[];
  /** The reason of each refusal. */
  readonly refused: readonly Reason[];
  /** Rows written, by table: of views, events and refusals. */
  readonly rows: readonly (readonly [table: string, rows: number])[];
  /** Of the events stored that came after the watermark, how far after it. */
  readonly lateness: Distribution;
  /** Of the events stored, how long ago they happened. */
  readonly eventLatency: Distribution;
  /** The same, and how long ago Kafka got them. */
  readonly produceLatency: Distribution;
  /** From the first record being read to the commit being sent, in milliseconds. */
  readonly waitedMs: number;
  /** The sink's part, in milliseconds. */
  readonly tookMs: number;
  /** Of its events those that may repeat one that lies too far back to be remembered. */
  readonly unchecked: number;
  /** What it took to get there. */
  readonly spent: StageTimings;
}

/** Chooses what is shown of records that were decoded, from place `from` on. */
export type Sampling = (records: Records, from: number) => readonly Sample[];

const NOTHING_SPENT: StageTimings = { readMs: 0, decodeMs: 0, foldMs: 0, encodeMs: 0, oldest: null };

/** Bounds of distributions, in seconds. */
export const COMMIT_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
export const LATENCY_BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 86_400];
export const LATENESS_BOUNDS = [1, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400, 604_800];

/**
 * An observer of one pipeline, that tells what happens. Late events are told with the next commit.
 *
 * @param now epoch milliseconds
 */
export function reportTo(
  tell: (event: WorkerEvent) => void,
  now: () => number,
  sample: Sampling = () => [],
): Required<Omit<Observer, "forgot">> {
  let lateness = distribution(LATENESS_BOUNDS);
  let spent = NOTHING_SPENT;
  return {
    started(partitions, cause) {
      // What was read and not committed will be read again.
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
