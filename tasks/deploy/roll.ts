/**
 * Replaces hosts one after another. Each is asked before whether it may stop, and after whether it does all of its work
 * again; one that doesn't is set back, and those behind it stay as they are.
 * @module
 */

/** What a host runs on: its EC2 instance type, and the image that its disk was made from. */
export interface Footing {
  readonly machine: string;
  readonly image: string;
}

/** A host that is to run on something else. */
export interface Change {
  /** Such as `kafka-1`. */
  readonly host: string;
  readonly from: Footing;
  readonly to: Footing;
}

/** The hosts of a deployment, as they can be asked and changed. */
export interface Estate {
  /** Says why a host may not stop now; null if it may. An error counts as a reason. */
  mayStop(host: string): Promise<string | null>;
  /** Says why a host does not do all of its work; null if it does. An error counts as a reason. */
  isReady(host: string): Promise<string | null>;
  /** Puts a host on another footing. Its address and its data volume stay. */
  put(host: string, on: Footing): Promise<void>;
  /** Waits a little before the next question. */
  wait(): Promise<void>;
}

/** How often a question is asked before the answer stands. */
export interface Patience {
  readonly toStop: number;
  readonly toReady: number;
}

/** Hosts in the order in which they are replaced: what nothing depends on first, so that a bad image shows there. */
const ORDER = ["monitoring", "processor", "kafka"] as const;

/** Sorts changes by the kinds of their hosts, then by their numbers. */
export function inOrder(changes: readonly Change[]): Change[] {
  const rank = ({ host }: Change): number => {
    const [, kind, number] = /^(.+)-(\d+)$/.exec(host)!;
    return 100 * ORDER.findIndex((one) => one === kind) + Number(number);
  };
  return [...changes].sort((a, b) => rank(a) - rank(b));
}

/**
 * Replaces the hosts in order; prints each step.
 *
 * @throws {Error} naming the host that may not stop, or that was set back; those behind it are unchanged
 */
export async function roll(
  changes: readonly Change[],
  estate: Estate,
  { toStop, toReady }: Patience,
  say: (line: string) => void,
): Promise<void> {
  const waitFor = async (ask: () => Promise<string | null>, host: string, times: number): Promise<string | null> => {
    let said = "";
    for (let time = 1;; time++) {
      const why = await ask().catch((error: Error) => error.message);
      if (why === null || time >= times) return why;
      if (why !== said) say(`${host}: ${said = why}`);
      await estate.wait();
    }
  };
  for (const { host, from, to } of inOrder(changes)) {
    const why = await waitFor(() => estate.mayStop(host), host, toStop);
    if (why !== null) throw new Error(`${host} may not stop: ${why}. Nothing was done with it or those after it`);
    say(`${host}: from ${from.machine}, ${from.image} to ${to.machine}, ${to.image}`);
    const failed = await estate.put(host, to).then(
      () => waitFor(() => estate.isReady(host), host, toReady),
      (error: Error) => error.message,
    );
    if (failed === null) {
      say(`${host}: ready`);
      continue;
    }
    say(`${host}: not ready: ${failed}; sets it back`);
    await estate.put(host, from);
    const still = await waitFor(() => estate.isReady(host), host, toReady);
    throw new Error(
      `${host} did not get ready on ${to.machine}, ${to.image}: ${failed}. It is set back and ` +
        `${still === null ? "ready" : `still not ready: ${still}`}; those after it are unchanged`,
    );
  }
}
