/**
 * How much a round of fetches brings, and of which partitions: they advance through time together, so that a commit has
 * few windows.
 * @module
 */

/** Most bytes of a round of fetches: many, because each request costs the broker and us the same. */
export const ROUND_BYTES = 4 * 1024 * 1024;

/** Most bytes of one partition in a round, and fewest of a round: few, so that partitions advance together. */
export const PARTITION_BYTES = 512 * 1024;

/**
 * Rounds of fetches after which a partition that is held gets its turn: less than a second while others are drained at
 * full speed. So its events are seen although they are far ahead of a backlog.
 */
export const MOST_HELD_ROUNDS = 16;

/**
 * Most bytes of the round after one of `bytes`. Rounds shrink while their batches decompress to more than is allowed,
 * because the rest would be fetched in vain.
 *
 * @param left share of the allowance for decompressed bytes that the round has left over; 0 or less if it did not suffice
 */
export function roundBytesAfter(bytes: number, left: number): number {
  if (left <= 0) return Math.max(PARTITION_BYTES, bytes / 2);
  return left < 0.5 ? bytes : Math.min(ROUND_BYTES, bytes * 2);
}

/** The time up to which each partition was read, and the order that follows from it. */
export class Turns {
  /** Kafka timestamp of the last record read of each partition. */
  readonly #times = new Map<number, number>();
  /** Time from the first to the last record of the last round that brought any of a partition, in milliseconds. */
  readonly #spans = new Map<number, number>();
  /** Number of rounds in which each partition was held since it had its last turn. */
  readonly #waited = new Map<number, number>();
  /** The partition that was held for too many rounds, and has its turn in the next one. */
  #overdue: number | null = null;

  /** Forgets how far partitions were read. */
  clear(): void {
    this.#times.clear();
    this.#spans.clear();
    this.#waited.clear();
    this.#overdue = null;
  }

  /** A round brought records of a partition from one Kafka timestamp to another. */
  reached(partition: number, from: number, to: number): void {
    this.#spans.set(partition, Math.max(0, to - from));
    this.#times.set(partition, to);
    this.#waited.delete(partition);
  }

  /**
   * Partitions to hold back in the next round: those that are ahead of the slowest one by more than its last round
   * brought. After `MOST_HELD_ROUNDS` a held one gets its turn, one in each round.
   *
   * @param behind the partitions that have more to read
   */
  ahead(behind: readonly number[]): ReadonlySet<number> {
    this.#overdue = null;
    const slowest = behind.toSorted((a, b) => this.#timeOf(a) - this.#timeOf(b))[0];
    if (slowest === undefined) return new Set();
    const most = this.#timeOf(slowest) + (this.#spans.get(slowest) ?? 0);
    const held = new Set(behind.filter((partition) => this.#timeOf(partition) > most));
    for (const partition of held) this.#waited.set(partition, (this.#waited.get(partition) ?? 0) + 1);
    const [longest = null] = [...held].toSorted((a, b) => this.#waited.get(b)! - this.#waited.get(a)!);
    if (longest !== null && this.#waited.get(longest)! > MOST_HELD_ROUNDS) {
      this.#overdue = longest;
      this.#waited.delete(longest);
      held.delete(longest);
    }
    return held;
  }

  /**
   * The partitions in the order in which a fetch lists them: a response may have room only for the first ones. First
   * comes one that is overdue, then the partition read up to the earliest time; of equal ones, the first in
   * `partitions`. Held ones come last.
   */
  inTurn(partitions: Iterable<number>, held: ReadonlySet<number>): readonly number[] {
    const turn = (partition: number) => {
      if (held.has(partition)) return Infinity;
      return partition === this.#overdue ? -Infinity : this.#timeOf(partition);
    };
    return [...partitions].sort((a, b) => turn(a) === turn(b) ? 0 : turn(a) - turn(b));
  }

  /** -1 before the first record. */
  #timeOf(partition: number): number {
    return this.#times.get(partition) ?? -1;
  }
}
