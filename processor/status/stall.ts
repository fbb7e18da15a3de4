/**
 * Finds out whether processing is stalled although there are records to process, and why. A busy catch-up, an idle
 * topic and a long commit are not stalls.
 * @module
 */
import type { PartitionState } from "../pipeline/source.ts";

/** Kinds of stalls, most important first. */
export const STALLS = [
  "rebalancing",
  "leader_silent",
  "open_transaction",
  "not_read",
  "not_committed",
  "worker_silent",
] as const;

/** Kind of a stall. */
export type StallKind = typeof STALLS[number];

/** A stall of a worker or of one of its partitions. */
export interface Stall {
  readonly kind: StallKind;
  /** The stalled partition; null if the whole worker is stalled. */
  readonly partition: number | null;
  /** Duration, in milliseconds. */
  readonly forMs: number;
  /** Records that wait, as last known. */
  readonly records: number;
}

/** Time without progress that counts as a stall, in milliseconds: a stall shows within 15 s. */
const STALLS_AFTER_MS = 10_000;
/** The same for commits, which may take long under load, and for a worker that waits for one. */
const COMMIT_STALLS_AFTER_MS = 12_500;
/** Longest time that is counted between two looks, in milliseconds: a suspended process could not look. */
const LONGEST_LOOK_MS = 5_000;

/** State of a partition between two looks. */
interface Watched {
  state: PartitionState;
  /** Its state at the last look. */
  seen: PartitionState | null;
  silentMs: number;
  heldMs: number;
}

/** Watches one worker. Time comes only from `look`. */
export class StallWatch {
  #partitions = new Map<number, Watched>();
  #isFresh = false;
  /** Time since the last report of the partitions, in milliseconds. */
  #unseenMs = 0;
  #isRebalancing = false;
  #rebalancingMs = 0;
  #isCommitting = false;
  #committingMs = 0;
  /** Time since the last sign of life, in milliseconds; null before the first. */
  #quietMs: number | null = null;
  /** Time in which nothing was read although there were records, in milliseconds. */
  #unmovedMs = 0;
  #waiting = 0;
  #lookedMs: number | null = null;

  /** Takes the states of all partitions of the worker. */
  states(states: readonly PartitionState[]): void {
    this.#isFresh = true;
    this.#partitions = new Map(states.map((state) => {
      const before = this.#partitions.get(state.partition) ?? { seen: null, silentMs: 0, heldMs: 0 };
      return [state.partition, { ...before, state }];
    }));
  }

  /** The worker joins its consumer group. */
  rebalancing(): void {
    this.#isRebalancing = true;
  }

  /** The worker started to read. */
  started(): void {
    this.#isRebalancing = false;
    this.#rebalancingMs = this.#unmovedMs = 0;
    if (this.#quietMs !== null) this.#quietMs = 0;
  }

  /** The worker failed, and is not joining the group until it retries. */
  failed(): void {
    this.#isRebalancing = false;
    this.#rebalancingMs = 0;
  }

  /** A commit was sent. */
  committing(): void {
    this.#isCommitting = true;
  }

  /** A commit was applied. */
  committed(): void {
    this.#isCommitting = false;
    this.#committingMs = this.#unmovedMs = 0;
  }

  /** Whether a commit was sent and not applied yet. */
  get isCommitting(): boolean {
    return this.#isCommitting;
  }

  /** The worker gave a sign of life. */
  turned(): void {
    this.#quietMs = 0;
  }

  /**
   * Looks at the worker; to be called about once a second.
   *
   * @param nowMs time on any clock, in milliseconds
   * @param waiting lag of the worker, in records
   */
  look(nowMs: number, waiting: number): void {
    const passedMs = Math.min(LONGEST_LOOK_MS, Math.max(0, nowMs - (this.#lookedMs ?? nowMs)));
    this.#lookedMs = nowMs;
    this.#waiting = waiting;
    if (this.#quietMs !== null) this.#quietMs += passedMs;
    this.#unseenMs += passedMs;
    if (this.#isRebalancing) this.#rebalancingMs += passedMs;
    // Another instance may have committed these records.
    if (waiting === 0) this.#isCommitting = false;
    this.#committingMs = this.#isCommitting ? this.#committingMs + passedMs : 0;
    // The last state of a silent worker says nothing new.
    if (!this.#isFresh || this.#isRebalancing) return;
    this.#isFresh = false;
    const unseenMs = Math.min(LONGEST_LOOK_MS, this.#unseenMs);
    this.#unseenMs = 0;
    const all = [...this.#partitions.values()];
    const moves = all.some(({ state, seen }) => state.next !== seen?.next) || !all.some(({ state }) => isBehind(state));
    this.#unmovedMs = moves || this.#isCommitting ? 0 : this.#unmovedMs + unseenMs;
    for (const watched of all) {
      const { state, seen } = watched;
      const isSilent = state.isAsked && state.answers === seen?.answers;
      watched.silentMs = isSilent ? watched.silentMs + unseenMs : 0;
      watched.heldMs = isHeld(state) && state.stable === seen?.stable ? watched.heldMs + unseenMs : 0;
      watched.seen = state;
    }
  }

  /** All stalls, as of the last look. */
  get stalls(): readonly Stall[] {
    const stalls: Stall[] = [];
    const whole = (kind: StallKind, forMs: number, limitMs = STALLS_AFTER_MS) => {
      if (forMs >= limitMs) stalls.push({ kind, partition: null, forMs, records: this.#waiting });
    };
    if (this.#isRebalancing) {
      whole("rebalancing", this.#rebalancingMs);
      return stalls;
    }
    for (const { state, silentMs, heldMs } of this.#partitions.values()) {
      const { partition, next, end, stable } = state;
      const from = next ?? end ?? 0;
      if (silentMs >= STALLS_AFTER_MS) {
        stalls.push({ kind: "leader_silent", partition, forMs: silentMs, records: Math.max(0, (end ?? 0) - from) });
      } else if (heldMs >= STALLS_AFTER_MS) {
        stalls.push({ kind: "open_transaction", partition, forMs: heldMs, records: end! - stable! });
      } else if (this.#unmovedMs >= STALLS_AFTER_MS && isBehind(state)) {
        stalls.push({ kind: "not_read", partition, forMs: this.#unmovedMs, records: stable! - from });
      }
    }
    whole("not_committed", this.#committingMs, COMMIT_STALLS_AFTER_MS);
    if (stalls.length === 0) whole("worker_silent", this.#quietMs ?? 0, COMMIT_STALLS_AFTER_MS);
    return stalls.sort((a, b) => STALLS.indexOf(a.kind) - STALLS.indexOf(b.kind));
  }
}

/** True if there is something to read. */
function isBehind({ next, stable }: PartitionState): boolean {
  return next !== null && stable !== null && next < stable;
}

/** True if everything is read except records of open transactions. */
function isHeld({ next, end, stable }: PartitionState): boolean {
  return next !== null && end !== null && stable !== null && stable < end && next >= stable;
}

/** A stall in words. */
export function stallInWords({ kind, partition, forMs, records }: Stall): string {
  const time = `${Math.round(forMs / 1000)} s`;
  const wait = `${records.toLocaleString("en")} ${records === 1 ? "record waits" : "records wait"}`;
  switch (kind) {
    case "rebalancing":
      return `the consumer group has been rebalancing for ${time}; nothing is read meanwhile`;
    case "leader_silent":
      return `the Kafka broker that leads partition ${partition} has not answered for ${time}`;
    case "open_transaction":
      return `partition ${partition} has not moved for ${time}: ${wait} for an open transaction to end`;
    case "not_read":
      return `partition ${partition} has not been read for ${time}, although ${wait}`;
    case "not_committed":
      return `PostgreSQL has not answered a commit for ${time}, and ${wait}`;
    case "worker_silent":
      return `a worker has made no progress for ${time}: it waits for PostgreSQL or Kafka`;
  }
}
