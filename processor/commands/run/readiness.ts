/**
 * What one worker tells of whether it is at work, and if not, why.
 * @module
 */
import { JOINING } from "../../status/activity.ts";
import type { WorkerEvent } from "../../status/worker_events.ts";
import type { NotReady, NotReadyKind } from "../../pipeline/causes.ts";

/** Failures that a retry has got past once Kafka answers and the group is asked for partitions. */
const PAST_BY_JOINING: readonly NotReadyKind[] = ["kafka_unreachable", "no_topic"];

/**
 * Tells why a worker is not ready. The last failure is told until the worker is ready: a retry that joins the group again
 * hides it only where the failure was that Kafka could not be asked.
 */
export class Readiness {
  readonly #tell: (event: WorkerEvent) => void;
  readonly #signal: AbortSignal;
  #isReady = false;
  /** True from asking the group for partitions until they are known. */
  #isJoining = false;
  /** True while a failure is told that joining does not get past. */
  #isKept = false;

  /** @param signal aborted once the worker has been told to stop: from then on nothing is told of readiness */
  constructor(tell: (event: WorkerEvent) => void, signal: AbortSignal) {
    this.#tell = tell;
    this.#signal = signal;
  }

  /** The group is asked for partitions. A worker that is ready stays so: it goes on as soon as it has them. */
  joining(): void {
    this.#tell({ kind: "rebalancing" });
    this.#isJoining = true;
    if (!this.#isReady && !this.#isKept) this.#say(JOINING);
  }

  /** The worker has its partitions, at the start or after a rebalance. */
  started(): void {
    this.#isJoining = false;
  }

  /** The worker is at work. */
  ready(): void {
    this.#isReady = true;
    this.#isJoining = this.#isKept = false;
    this.#say(null);
  }

  /** The worker has failed, and tries again. */
  failed(why: NotReady): void {
    // A failure of the join itself may be met again. A rebalance is no failure.
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
