/**
 * What a running processor has done and is doing, in plain numbers: the one source of the metrics and the status page.
 * @module
 */
import { type Reason, REASONS } from "./event.ts";
import type { Commit, Observer, Position } from "./pipeline.ts";

/** Where a partition stands. */
export interface PartitionActivity {
  readonly partition: number;
  /** First offset that has not been committed; null before the first commit. */
  readonly next: number | null;
  /** Where the partition ends, as far as known. */
  readonly end: number | null;
  /** Records that are still to be committed, as far as known. */
  readonly lag: number | null;
  /** Largest event time committed, less the allowed delay, epoch milliseconds; null before the first event. */
  readonly watermark: number | null;
}

/** Sums since the process started. */
export interface Totals {
  readonly consumed: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly refused: number;
  /** Stored events that came after the watermark. */
  readonly late: number;
  /** How far after it, summed over them, in milliseconds. */
  readonly latenessMs: number;
}

/** A commit that was applied. */
export interface CommitActivity {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly tookMs: number;
  readonly records: number;
  /** Rows written: of views, events and refusals. */
  readonly rows: number;
}

/** The pipeline started again. */
export interface Restart {
  /** Epoch milliseconds. */
  readonly at: number;
  /** Kind of the error, such as `positions_moved`. */
  readonly cause: string;
  readonly message: string;
}

/** Kinds of restarts that are counted from the first moment, so that a rate over them has a beginning. */
const CAUSES = ["positions_moved", "reassigned", "unavailable", "database_unavailable"];

/** Restarts that are remembered one by one. */
const RECENT_RESTARTS = 20;

/** Most partitions are read by few processes; what is not known is null. */
interface Standing {
  next: number | null;
  end: number | null;
  watermark: number | null;
}

/** Watches a pipeline. */
export class Activity implements Observer {
  /** Why the work has stopped, in words; null while it goes on. */
  notReady: string | null = "starting";
  commits = 0;
  groupCommitFailures = 0;
  lastCommit: CommitActivity | null = null;
  readonly restarts: Restart[] = [];
  readonly restartsByCause = new Map(CAUSES.map((cause) => [cause, 0]));
  readonly refusedByReason = new Map<Reason, number>(REASONS.map((reason) => [reason, 0]));
  readonly #now: () => number;
  #partitions = new Map<number, Standing>();
  #totals: Totals = { consumed: 0, stored: 0, duplicates: 0, refused: 0, late: 0, latenessMs: 0 };
  /** Late events read since the last commit; they count once they are committed. */
  #late = 0;
  #latenessMs = 0;

  /** @param now epoch milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  get totals(): Totals {
    return this.#totals;
  }

  get partitions(): PartitionActivity[] {
    return [...this.#partitions].sort(([a], [b]) => a - b).map(([partition, standing]) => ({
      partition,
      ...standing,
      lag: standing.end === null || standing.next === null ? null : Math.max(0, standing.end - standing.next),
    }));
  }

  started(partitions: ReadonlyMap<number, Position | null>, cause: unknown): void {
    this.#partitions = new Map([...partitions].map(([partition, position]) => [partition, {
      next: position?.next ?? null,
      end: this.#partitions.get(partition)?.end ?? null,
      watermark: position?.watermark ?? null,
    }]));
    this.#late = this.#latenessMs = 0;
    if (cause === null) return;
    const kind = kindOf(cause);
    this.restartsByCause.set(kind, (this.restartsByCause.get(kind) ?? 0) + 1);
    const message = cause instanceof Error ? cause.message : String(cause);
    this.restarts.unshift({ at: this.#now(), cause: kind, message });
    this.restarts.length = Math.min(this.restarts.length, RECENT_RESTARTS);
  }

  read(partition: number, _next: number, end: number): void {
    const standing = this.#partitions.get(partition);
    if (standing !== undefined) standing.end = end;
  }

  late(latenessMs: number): void {
    this.#late++;
    this.#latenessMs += latenessMs;
  }

  committed(commit: Commit, tookMs: number): void {
    const before = this.#totals;
    const plus = (of: "consumed" | "stored" | "duplicates" | "refused") =>
      commit.advances.reduce((sum, advance) => sum + advance[of], 0);
    const counted = { consumed: plus("consumed"), stored: plus("stored"), duplicates: plus("duplicates") };
    this.#totals = {
      consumed: before.consumed + counted.consumed,
      stored: before.stored + counted.stored,
      duplicates: before.duplicates + counted.duplicates,
      refused: before.refused + commit.refusals.length,
      late: before.late + this.#late,
      latenessMs: before.latenessMs + this.#latenessMs,
    };
    this.#late = this.#latenessMs = 0;
    for (const { reason } of commit.refusals) {
      this.refusedByReason.set(reason, this.refusedByReason.get(reason)! + 1);
    }
    for (const { partition, next, watermark } of commit.advances) {
      const standing = this.#partitions.get(partition);
      if (standing !== undefined) Object.assign(standing, { next, watermark });
    }
    this.commits++;
    this.lastCommit = { at: this.#now(), tookMs, records: counted.consumed, rows: rowsOf(commit) };
  }

  groupCommitFailed(): void {
    this.groupCommitFailures++;
  }
}

/** Rows that a commit writes: of views, events and refusals. */
export function rowsOf({ deltas, events, refusals }: Commit): number {
  const rows = deltas.reduce((sum, delta) => sum + delta.count, 0);
  return rows + refusals.length + (events?.reduce((sum, batch) => sum + batch.count, 0) ?? 0);
}

/** The name of an error's class in lower case, such as `positions_moved`. */
function kindOf(error: unknown): string {
  const name = error instanceof Error ? error.name : "unknown";
  return name.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}

/** Several observers as one. */
export function observers(...all: readonly Observer[]): Required<Observer> {
  return {
    committed: (commit, tookMs) => all.forEach((one) => one.committed?.(commit, tookMs)),
    started: (partitions, cause) => all.forEach((one) => one.started?.(partitions, cause)),
    late: (latenessMs) => all.forEach((one) => one.late?.(latenessMs)),
    read: (partition, next, end) => all.forEach((one) => one.read?.(partition, next, end)),
    groupCommitFailed: (error) => all.forEach((one) => one.groupCommitFailed?.(error)),
  };
}
