/**
 * How many records a commit has, and which record to refuse where no commit can be made with it.
 * @module
 */
import { Unstorable } from "./commit.ts";

/** Records in the first commit after a start or a pause; the next has twice as many, up to the most. */
const FIRST_COMMIT_RECORDS = 4_096;

/** The record that was taken last into a commit. */
export interface Taken {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Epoch of the leader that wrote it; null if unknown. */
  readonly leaderEpoch: number | null;
  /** Whether it is stored, and neither refused nor a duplicate. */
  readonly isStored: boolean;
}

/** A record that cannot be stored, and why. */
interface Culprit extends Pick<Taken, "partition" | "offset" | "leaderEpoch"> {
  readonly why: string;
}

/** Grows from commit to commit; after a commit that cannot be made, halves until the record to blame is found. */
export class CommitSize {
  readonly #most: number;
  #goal: number;
  #culprits: readonly Culprit[] = [];
  /** Records still to be committed of those among which a culprit is looked for; until then, commits do not grow. */
  #suspects = 0;

  /** @param most most records in one commit */
  constructor(most: number) {
    this.#most = most;
    this.#goal = this.#first;
  }

  /** How many records the next commit is to have. */
  get goal(): number {
    return this.#goal;
  }

  /** Whether any record is known that cannot be stored. */
  get hasCulprits(): boolean {
    return this.#culprits.length > 0;
  }

  get #first(): number {
    return Math.min(FIRST_COMMIT_RECORDS, this.#most);
  }

  /**
   * Starts again because of `cause`.
   *
   * @param next the first offset of a partition that has not been committed
   */
  restart(cause: unknown, next: (partition: number) => number): void {
    if (!(cause instanceof Unstorable)) this.#goal = this.#first;
    this.#culprits = this.#culprits.filter(({ partition, offset }) => offset >= next(partition));
  }

  /** A commit was sent; the next may be larger, unless all that the log has is read. */
  sent(isCaughtUp: boolean): void {
    if (this.#suspects > 0) return;
    this.#goal = Math.min(isCaughtUp ? FIRST_COMMIT_RECORDS : this.#goal * 2, this.#most);
  }

  /** A commit of so many records was applied. */
  applied(records: number): void {
    this.#suspects = Math.max(0, this.#suspects - records);
  }

  /**
   * Why a record cannot be stored; null where nothing is known against it. After a truncation another leader writes
   * another record at the same offset.
   */
  culprit({ partition, offset, leaderEpoch }: Omit<Culprit, "why">): string | null {
    const isIt = (known: Culprit) =>
      known.partition === partition && known.offset === offset && known.leaderEpoch === leaderEpoch;
    return this.#culprits.find(isIt)?.why ?? null;
  }

  /**
   * What to do about an error that a commit of so many records has led to, where one of them is to blame: commits become
   * half as large until they have only one, and that one is refused. Returns the error to throw.
   *
   * @param last the only one, where there is but one; null if nothing was taken
   */
  blame(error: unknown, records: number, last: Taken | null): unknown {
    const isTheirs = error instanceof Unstorable || error instanceof RangeError || error instanceof TypeError;
    if (!isTheirs || records === 0 || last === null) return error;
    if (records > 1) {
      this.#suspects = records;
      this.#goal = Math.floor(records / 2);
    } else {
      const { topic, partition, offset, leaderEpoch } = last;
      if (!last.isStored || this.culprit(last) !== null) {
        const where = `offset ${offset} of partition ${partition} of ${topic}`;
        return new Error(`${where} can't be stored, and not be refused either: ${error.message}`, { cause: error });
      }
      this.#culprits = [...this.#culprits, { partition, offset, leaderEpoch, why: error.message }];
      this.#suspects = 0;
      this.#goal = 1;
    }
    return error instanceof Unstorable ? error : new Unstorable(error.message, { cause: error });
  }
}
