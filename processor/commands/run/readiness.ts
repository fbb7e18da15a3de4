/**
 * Decides what one worker reports about its readiness.
 * @module
 */
import { JOINING } from "../../status/activity.ts";
import type { WorkerEvent } from "../../status/worker_events.ts";
import type { NotReady, NotReadyKind } from "../../pipeline/causes.ts";

/** Failures that are over once Kafka answers and the worker joins the group. */
const PAST_BY_JOINING: readonly NotReadyKind[] = ["kafka_unreachable", "no_topic"];

/**
 * Reports why a worker is not ready. The last failure is reported until the worker is ready. Rejoining the group hides
 * it only if the failure was that Kafka could not be reached.
 */
export class Readiness {
  readonly #tell: (event: WorkerEvent) => void;
  readonly #signal: AbortSignal;
  #isReady = false;
  /** True from joining the group until the assignment is known. */
  #isJoining = false;
  /** True while the reported failure is one that joining does not end. */
  #isKept = false;

  /** @param signal aborted once the worker was told to stop: from then on it reports no readiness */
  constructor(tell: (event: WorkerEvent) => void, signal: AbortSignal) {
    this.#tell = tell;
    this.#signal = signal;
  }

  /** The worker joins the group. A ready worker stays ready: it continues as soon as it has its partitions. */
  joining(): void {
    this.#tell({ kind: "rebalancing" });
    this.#isJoining = true;
    if (!this.#isReady && !this.#isKept) this.#say(JOINING);
  }

  /** The worker has its partitions, at the start or after a rebalance. */
  started(): void {
    this.#isJoining = false;
  }

  /** The worker is ready. */
  ready(): void {
    this.#isReady = true;
    this.#isJoining = this.#isKept = false;
    this.#say(null);
  }

  /** The worker failed, and will retry. */
  failed(why: NotReady): void {
    // A failure of the join itself may happen again. A rebalance is not a failure.
    const isPast = why.kind === "rebalancing" || (PAST_BY_JOINING.includes(why.kind) && !this.#isJoining);
    this.#isKept = !isPast;
    this.#isReady = this.#isJoining = false;
    this.#say(why);
    this.#tell({ kind: "retrying" });
  }

  #say(why: NotReady | null): void {
    if (!this.#signal.aborted) this.#tell({ kind: "notReady", why });
  }
}
