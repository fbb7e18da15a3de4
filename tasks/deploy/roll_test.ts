import assert from "node:assert/strict";
import { type Change, type Estate, type Footing, roll } from "./roll.ts";

const OLD: Footing = { machine: "t4g.small", image: "ami-old" };
const NEW: Footing = { machine: "t4g.small", image: "ami-new" };
const change = (host: string): Change => ({ host, from: OLD, to: NEW });
const ALL = ["kafka-2", "processor-1", "kafka-1", "monitoring-1", "kafka-3"].map(change);

/** Hosts that do what the scenario says, and a list of what was done with them. */
class Pretended implements Estate {
  readonly done: string[] = [];
  readonly #on = new Map<string, string>();
  readonly #scenario: Scenario;
  #asked = 0;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
  }

  mayStop(host: string): Promise<string | null> {
    this.#asked++;
    // Only one host may be away at a time.
    for (const [other, image] of this.#on) {
      if (image === NEW.image && this.#scenario.broken?.includes(other)) throw new Error(`${other} is away`);
    }
    return Promise.resolve(this.#scenario.mayStop?.(host, this.#asked) ?? null);
  }

  isReady(host: string): Promise<string | null> {
    const isBroken = this.#scenario.broken?.includes(host) && this.#on.get(host) === NEW.image;
    return isBroken ? Promise.reject(new Error("does not answer")) : Promise.resolve(null);
  }

  put(host: string, { image }: Footing): Promise<void> {
    this.done.push(`${host} ${image}`);
    this.#on.set(host, image);
    return Promise.resolve();
  }

  wait(): Promise<void> {
    return Promise.resolve();
  }
}

interface Scenario {
  readonly name: string;
  readonly mayStop?: (host: string, asked: number) => string | null;
  /** Hosts that never get ready on the new image. */
  readonly broken?: readonly string[];
  readonly done: readonly string[];
  readonly error?: RegExp;
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: "all hosts are replaced, brokers last",
    done: ["monitoring-1", "processor-1", "kafka-1", "kafka-2", "kafka-3"].map((host) => `${host} ami-new`),
  },
  {
    name: "a host that may not stop is waited for",
    mayStop: (host, asked) => host === "processor-1" && asked < 5 ? "not yet" : null,
    done: ["monitoring-1", "processor-1", "kafka-1", "kafka-2", "kafka-3"].map((host) => `${host} ami-new`),
  },
  {
    name: "a broker that may not stop ends it, and nothing is done with it",
    mayStop: (host) => host === "kafka-1" ? "another broker is out of sync in 3 partitions" : null,
    done: ["monitoring-1 ami-new", "processor-1 ami-new"],
    error: /^Error: kafka-1 may not stop: another broker is out of sync in 3 partitions/,
  },
  {
    name: "a broker that does not come back is set back, and the next ones stay as they are",
    broken: ["kafka-1"],
    done: ["monitoring-1 ami-new", "processor-1 ami-new", "kafka-1 ami-new", "kafka-1 ami-old"],
    error: /^Error: kafka-1 did not get ready on t4g.small, ami-new: does not answer. It is set back and ready;/,
  },
];

for (const scenario of SCENARIOS) {
  Deno.test(`roll: ${scenario.name}`, async () => {
    const estate = new Pretended(scenario);
    const rolled = roll(ALL, estate, { toStop: 9, toReady: 3 }, () => {});
    if (scenario.error === undefined) await rolled;
    else await assert.rejects(rolled, (error) => scenario.error!.test(String(error)));
    assert.deepEqual(estate.done, scenario.done);
  });
}
