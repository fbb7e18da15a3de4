/**
 * Faults of the network, in front of PostgreSQL and of the brokers.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { until } from "../servers/child.ts";
import type { Fault, World } from "./fault.ts";
import type { Struck } from "./postgres_wire.ts";
import { type Ending, FAIR, type Proxy, type Weather } from "./proxy.ts";

/** Proxies of one server or one kind of server, drawn at random. */
function drawn({ random, cluster, postgres }: World): readonly Proxy[] {
  if (random.chance(0.5)) return [postgres.primary.proxy];
  return random.chance(0.5) ? cluster.proxies : [random.pick(cluster.proxies)];
}

/** A fault that changes the weather of some proxies for a while. */
function weather(
  named: Pick<Fault, "name" | "does" | "weight" | "short">,
  change: (world: World) => Partial<Weather>,
  lastsMs: (world: World) => number,
): Fault {
  return {
    ...named,
    ends: "after some seconds",
    judged: "everything is committed",
    async inject(world) {
      const proxies = drawn(world);
      for (const proxy of proxies) proxy.weather = { ...FAIR, ...change(world) };
      try {
        await setTimeout(lastsMs(world));
      } finally {
        for (const proxy of proxies) proxy.weather = FAIR;
      }
    },
  };
}

/** A fault that ends connections. */
function broken(named: Pick<Fault, "name" | "does" | "weight" | "short">, how: Ending): Fault {
  return {
    ...named,
    ends: "at once",
    judged: "everything is committed",
    async inject(world) {
      for (let left = 3 + world.random.below(5); left > 0; left--) {
        for (const proxy of drawn(world)) world.figures.counted.broken += proxy.end(how);
        await setTimeout(world.random.below(800));
      }
    },
  };
}

/** A fault that strikes some commits or COPYs, one after the other. */
function struck(kind: keyof Struck, named: Pick<Fault, "name" | "does" | "weight" | "short">): Fault {
  return {
    ...named,
    ends: "with the last of them",
    judged: "everything is committed, and nothing twice",
    async inject({ random, postgres: { faults } }) {
      const count = 6 + random.below(7);
      for (let n = 0; n < count; n++) {
        faults.ending = random.chance(0.5) ? "reset" : "close";
        const before = faults.struck[kind];
        faults.plan(kind, 1);
        await until(`a fault strikes: ${kind}`, () => faults.struck[kind] > before, 60_000, 5);
      }
    },
  };
}

/** Faults of the network. */
export const NETWORK: readonly Fault[] = [
  struck("swallowed", {
    name: "COMMIT reply swallowed",
    does: "cuts the connection between a COMMIT that took place and its reply, 6 to 12 times",
    weight: 4,
    short: true,
  }),
  struck("unsent", {
    name: "COMMIT not sent",
    does: "cuts the connection before a COMMIT reaches PostgreSQL, 6 to 12 times",
    weight: 2,
  }),
  struck("cut", {
    name: "COPY cut",
    does: "cuts the connection in the middle of the rows of a COPY, 6 to 12 times",
    weight: 4,
    short: true,
  }),
  broken({ name: "reset", does: "resets connections, 3 to 7 times", weight: 2, short: true }, "reset"),
  broken({ name: "close", does: "closes connections, 3 to 7 times", weight: 1 }, "close"),
  {
    name: "half-open connections",
    does: "ends the server's side of every connection to PostgreSQL or to a broker, and never tells the client",
    ends: "when the client gives up waiting",
    judged: "everything is committed",
    weight: 1,
    inject(world) {
      for (const proxy of drawn(world)) world.figures.counted.broken += proxy.end("silent");
      return Promise.resolve();
    },
  },
  weather(
    { name: "latency", does: "delays every piece of data by 50 to 300 ms for 5 s", weight: 1 },
    ({ random }) => ({ latencyMs: 50 + random.below(250) }),
    () => 5000,
  ),
  weather(
    { name: "bandwidth", does: "lets 20 to 100 kB/s through, for 5 s", weight: 1 },
    ({ random }) => ({ bytesPerSecond: 20_000 + random.below(80_000) }),
    () => 5000,
  ),
  weather(
    { name: "black hole", does: "lets nothing through, and tells nobody, for 3 to 15 s", weight: 1 },
    () => ({ isHole: true }),
    ({ random }) => 3000 + random.below(12_000),
  ),
  {
    name: "refused connections",
    does: "ends all connections to PostgreSQL or to brokers, and refuses new ones for 1 to 6 s",
    ends: "after that",
    judged: "everything is committed",
    weight: 1,
    async inject(world) {
      const proxies = drawn(world);
      for (const proxy of proxies) {
        proxy.weather = { ...FAIR, isRefusing: true };
        world.figures.counted.broken += proxy.end("reset");
      }
      await setTimeout(1000 + world.random.below(5000));
      for (const proxy of proxies) proxy.weather = FAIR;
    },
  },
];
