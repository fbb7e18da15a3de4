/**
 * Counts and states of a running process: the only source of the metrics and the status page.
 * @module
 */
import { VIEWS } from "../views/mod.ts";
import type { MoneyState } from "../currency.ts";
import { type Reason, REASONS } from "../event.ts";
import { type NotReady, RESTART_CAUSES, type RestartCause } from "../pipeline/causes.ts";
import type { Position } from "../pipeline/commit.ts";
import { addUp, countOf, distribution, observe } from "../pipeline/distribution.ts";
import type { PartitionState, TopicChange } from "../pipeline/source.ts";
import { lengthOf } from "../records.ts";
import { exportedNothing } from "./exported.ts";
import { addStages, type StageTotals } from "./stage_totals.ts";
import { lagOf, type Standing } from "./standing.ts";
import { type Stall, stallInWords, StallWatch } from "./stall.ts";
import {
  type Cause,
  COMMIT_BOUNDS,
  type Committed,
  LATENCY_BOUNDS,
  LATENESS_BOUNDS,
  MEMORY_KINDS,
  type MemoryBytes,
  type WorkerEvent,
} from "./worker_events.ts";

/** Why a worker is not ready before it tries its first connection. */
export const STARTING: NotReady = { kind: "starting", reason: "starting" };

/** Why a worker is not ready while it waits for its assignment from the consumer group. */
export const JOINING: NotReady = { kind: "rebalancing", reason: "waiting for the consumer group to assign partitions" };

/** State of a partition. */
export interface PartitionActivity {
  readonly partition: number;
  /** First offset that has not been committed; null before the first commit. */
  readonly next: number | null;
  /** High watermark, as far as known. */
  readonly end: number | null;
  /** Last stable offset, as far as known: records from here on wait for a transaction to end. */
  readonly stable: number | null;
  /** Lag in records: high watermark − next offset; null if not known. */
  readonly lag: number | null;
  /**
   * Event-time watermark: largest event time committed − allowed delay, epoch milliseconds; null before the first
   * event.
   */
  readonly watermark: number | null;
  /** The worker of this process that reads it. */
  readonly worker: number;
  /** Time of this process's last commit of it, epoch milliseconds; null before the first. */
  readonly committedAt: number | null;
}

/** Sums since the process started. */
export interface Totals {
  readonly consumed: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly refused: number;
  /** Offsets without a record, such as transaction markers. */
  readonly skipped: number;
  /** Offsets of records that Kafka deleted before they were read. */
  readonly gaps: number;
  /** Stored events that were behind the event-time watermark. */
  readonly late: number;
  /** Sum of their lateness, in milliseconds. */
  readonly latenessMs: number;
  /** Events that may be duplicates of ones whose ids are no longer remembered. */
  readonly unchecked: number;
}

/** A commit that was applied. */
export interface CommitActivity {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly tookMs: number;
  readonly records: number;
  /** Rows written: of views, events and refusals. */
  readonly rows: number;
  /** Age of the oldest record at its commit, in milliseconds; null if it has no timestamp. */
  readonly latencyMs: number | null;
}

/** A restart of a pipeline. */
export interface Restart {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly cause: RestartCause;
  readonly message: string;
}

/** A partition that moved between workers may cause `PositionsMoved` in either for this long, in milliseconds. */
const HANDED_OVER_MS = 60_000;

/** Number of restarts that are listed. */
const RECENT_RESTARTS = 20;

/** Sums up what the workers of a process report. */
export class Activity {
  /** True once the process was told to stop: from then on it is not ready, whatever its workers report. */
  stopping = false;
  /** How the topic differs from the one that the tables follow, which ends the process; null if it does not. */
  topicChange: TopicChange | null = null;
  commits = 0;
  groupCommitFailures = 0;
  retries = 0;
  fetchedBytes = 0;
  /** Number of partitions of the topic; null before it is known. */
  topicPartitions: number | null = null;
  /** Number of changes of the topic's number of partitions. */
  partitionChanges = 0;
  lastCommit: CommitActivity | null = null;
  /** How revenue in the tables is counted; null before it is known. */
  money: MoneyState | null = null;
  readonly restarts: Restart[] = [];
  /** Holds every cause from the start, so that a rate over its counter has a first value. */
  readonly restartsByCause = new Map<RestartCause, number>(RESTART_CAUSES.map((cause) => [cause, 0]));
  readonly refusedByReason = new Map<Reason, number>(REASONS.map((reason) => [reason, 0]));
  readonly rowsByTable = new Map([...VIEWS.map(({ name }) => name), "events", "refusals"].map((table) => [table, 0]));
  /** Distributions in seconds: duration of commits, wait before them, age and lateness of their events. */
  readonly seconds = {
    commit: distribution(COMMIT_BOUNDS),
    wait: distribution(COMMIT_BOUNDS),
    eventLatency: distribution(LATENCY_BOUNDS),
    produceLatency: distribution(LATENCY_BOUNDS),
    lateness: distribution(LATENESS_BOUNDS),
  };
  /** What became of telemetry; counted by those who send it. */
  readonly exported = exportedNothing();
  readonly #now: () => number;
  /** When each worker last exchanged a partition with another worker of this process, epoch milliseconds. */
  readonly #handedOverAt: number[];
  /** The worker that each partition was last assigned to. */
  readonly #ownerOf = new Map<number, number>();
  readonly #notReady: (NotReady | null)[];
  /** Why each worker has no partition, if that is a fault; otherwise null. */
  readonly #noShare: (NotReady | null)[];
  readonly #watches: StallWatch[];
  /** What each worker reported last. */
  readonly #memory: MemoryBytes[] = [];
  /** The partitions of each worker. */
  readonly #partitions: Map<number, Standing>[];
  #work: StageTotals = { readMs: 0, decodeMs: 0, foldMs: 0, encodeMs: 0, commitMs: 0, rows: 0 };
  #totals: Totals = {
    ...{ consumed: 0, stored: 0, duplicates: 0, refused: 0, skipped: 0, gaps: 0, late: 0, latenessMs: 0, unchecked: 0 },
  };

  /** @param now epoch milliseconds */
  constructor(now: () => number, workers = 1) {
    this.#now = now;
    this.#handedOverAt = Array.from({ length: workers }, () => -Infinity);
    this.#notReady = Array.from({ length: workers }, () => STARTING);
    this.#noShare = Array.from({ length: workers }, () => null);
    this.#watches = Array.from({ length: workers }, () => new StallWatch());
    this.#partitions = Array.from({ length: workers }, () => new Map());
  }

  /** Why the process, or a part of it, has stopped or is stalled, in words; null if it is ready. */
  get notReady(): string | null {
    if (this.stopping) return "stopping";
    const [stall] = this.stalls;
    return this.stopped?.reason ?? (stall === undefined ? null : stallInWords(stall));
  }

  /** Why a worker has stopped; null if none has. Stalls of running workers are in `stalls`. */
  get stopped(): NotReady | null {
    const reasons = this.reasons;
    // The process ends for it; what other workers wait for no longer matters.
    return reasons.find(({ kind }) => kind === "topic_changed") ?? reasons[0] ?? null;
  }

  /** Why each worker that has stopped has. */
  get reasons(): readonly NotReady[] {
    const workers = this.#notReady.map((_, worker) => this.#stoppedOf(worker));
    return [...workers, ...this.#noShare].filter((why) => why !== null);
  }

  /** The stalls of workers that run otherwise. */
  get stalls(): readonly Stall[] {
    return this.#watches.flatMap(({ stalls }, worker) => this.#stoppedOf(worker) === null ? stalls : []);
  }

  /** Why a worker has stopped; null if it got past its failure and rejoining the group takes long, which is a stall. */
  #stoppedOf(worker: number): NotReady | null {
    const why = this.#notReady[worker]!;
    if (why === null || why.kind === "starting" || why.kind === "rebalancing") return why;
    return this.#watches[worker]!.stalls.some(({ kind }) => kind === "rebalancing") ? null : why;
  }

  /** Whether a commit is under way, and no worker has stopped. */
  get isCommitting(): boolean {
    return this.stopped === null && this.#watches.some(({ isCommitting }) => isCommitting);
  }

  /** Looks for stalls; to be called about once a second. */
  look(): void {
    const nowMs = this.#now();
    for (const [worker, watch] of this.#watches.entries()) {
      watch.look(nowMs, lagOf([...this.#partitions[worker]!.values()]) ?? 0);
    }
  }

  get totals(): Totals {
    return this.#totals;
  }

  get work(): StageTotals {
    return this.#work;
  }

  /** Number of workers. */
  get workers(): number {
    return this.#notReady.length;
  }

  /** Lag of all partitions, in records; null if no high watermark is known. */
  get lag(): number | null {
    return lagOf(this.#partitions.flatMap((mine) => [...mine.values()]));
  }

  /** Bytes of memory of all workers together, by kind. */
  get memory(): readonly (readonly [kind: keyof MemoryBytes, bytes: number])[] {
    return MEMORY_KINDS.map((kind) => [kind, this.#memory.reduce((sum, of) => sum + of[kind], 0)]);
  }

  /** The partitions of all workers. */
  get partitions(): PartitionActivity[] {
    const all = this.#partitions.flatMap((mine, worker) =>
      [...mine].map(([partition, standing]) => ({ partition, worker, ...standing }))
    );
    return all.sort((a, b) => a.partition - b.partition).map(({ first, ...standing }) => {
      const from = standing.next ?? first;
      return { ...standing, lag: standing.end === null || from === null ? null : Math.max(0, standing.end - from) };
    });
  }

  /** Takes an event of a worker. */
  take(event: WorkerEvent, worker = 0): void {
    const watch = this.#watches[worker]!;
    switch (event.kind) {
      case "started":
        watch.started();
        return this.#start(event.partitions, event.cause, worker);
      case "fetched":
        this.fetchedBytes += event.bytes;
        return;
      case "read": {
        const standing = this.#partitions[worker]!.get(event.partition);
        if (standing === undefined) return;
        standing.end = Math.max(standing.end ?? 0, event.end);
        return;
      }
      case "partitions":
        watch.states(event.states);
        return this.#know(event.states, worker);
      case "memory":
        this.#memory[worker] = event.bytes;
        return;
      case "counted":
        if (this.topicPartitions !== null && this.topicPartitions !== event.partitions) this.partitionChanges++;
        this.topicPartitions = event.partitions;
        return;
      case "rebalancing":
        return watch.rebalancing();
      case "noShare":
        this.#noShare[worker] = event.reason === null ? null : { kind: "foreign_group_member", reason: event.reason };
        return;
      case "committing":
        return watch.committing();
      case "committed":
        watch.committed();
        return this.#commit(event, worker);
      case "groupCommitFailed":
        this.groupCommitFailures++;
        return;
      case "money":
        this.money = event.state;
        return;
      case "retrying":
        this.retries++;
        return watch.failed();
      case "sampled":
      case "traced":
        return;
      case "topicChanged":
        this.topicChange ??= event.change;
        return;
      case "notReady":
        this.#notReady[worker] = event.why;
        return;
      case "turned":
        watch.turned();
    }
  }

  #start(partitions: ReadonlyMap<number, Position | null>, cause: Cause | null, worker: number): void {
    const before = new Map(this.#partitions.flatMap((all) => [...all]));
    this.#partitions[worker] = new Map([...partitions].map(([partition, position]) => [partition, {
      next: position?.next ?? null,
      first: before.get(partition)?.first ?? null,
      end: before.get(partition)?.end ?? null,
      stable: before.get(partition)?.stable ?? null,
      watermark: position?.watermark ?? null,
      committedAt: before.get(partition)?.committedAt ?? null,
    }]));
    // A partition assigned to one worker was taken from the others, even if they do not know it yet.
    for (const [other, theirs] of this.#partitions.entries()) {
      if (other === worker) continue;
      for (const partition of partitions.keys()) theirs.delete(partition);
    }
    for (const partition of partitions.keys()) {
      const owner = this.#ownerOf.get(partition) ?? worker;
      this.#ownerOf.set(partition, worker);
      if (owner !== worker) this.#handedOverAt[owner] = this.#handedOverAt[worker] = this.#now();
    }
    if (cause === null) return;
    const { kind, message } = cause;
    this.restartsByCause.set(kind, (this.restartsByCause.get(kind) ?? 0) + 1);
    // Workers of one process exchange partitions like processes do: no other instance was involved.
    if (kind === "positions_moved" && this.#now() - this.#handedOverAt[worker]! < HANDED_OVER_MS) return;
    this.restarts.unshift({ at: this.#now(), cause: kind, message });
    this.restarts.length = Math.min(this.restarts.length, RECENT_RESTARTS);
  }

  /** Takes the offsets of partitions. */
  #know(states: readonly PartitionState[], worker: number): void {
    for (const { partition, first, end, stable } of states) {
      const standing = this.#partitions[worker]!.get(partition);
      if (standing !== undefined) Object.assign(standing, { first, end, stable });
    }
  }

  #commit(committed: Committed, worker: number): void {
    const { advances, refused, rows, lateness, tookMs, spent } = committed;
    const at = this.#now();
    const before = this.#totals;
    const plus = (of: "consumed" | "stored" | "duplicates" | "skipped") =>
      advances.reduce((sum, advance) => sum + advance[of], before[of]);
    const latencyMs = spent.oldest === null ? null : Math.max(0, at - spent.oldest);
    const written = sumOf(rows);
    this.lastCommit = { at, tookMs, records: plus("consumed") - before.consumed, rows: written, latencyMs };
    this.#work = addStages(this.#work, { ...spent, commitMs: tookMs, rows: written });
    this.#totals = {
      consumed: plus("consumed"),
      stored: plus("stored"),
      duplicates: plus("duplicates"),
      refused: before.refused + refused.length,
      skipped: plus("skipped"),
      gaps: advances.reduce((sum, { gap }) => sum + lengthOf(gap), before.gaps),
      late: before.late + countOf(lateness),
      latenessMs: before.latenessMs + lateness.sum * 1000,
      unchecked: before.unchecked + committed.unchecked,
    };
    for (const [table, count] of rows) this.rowsByTable.set(table, (this.rowsByTable.get(table) ?? 0) + count);
    observe(this.seconds.commit, tookMs / 1000);
    observe(this.seconds.wait, committed.waitedMs / 1000);
    addUp(this.seconds.eventLatency, committed.eventLatency);
    addUp(this.seconds.produceLatency, committed.produceLatency);
    addUp(this.seconds.lateness, lateness);
    for (const reason of refused) this.refusedByReason.set(reason, this.refusedByReason.get(reason)! + 1);
    for (const { partition, next, watermark } of advances) {
      const standing = this.#partitions[worker]!.get(partition);
      if (standing !== undefined) Object.assign(standing, { next, watermark, committedAt: at });
    }
    this.commits++;
  }
}

function sumOf(rows: Committed["rows"]): number {
  return rows.reduce((sum, [, count]) => sum + count, 0);
}
