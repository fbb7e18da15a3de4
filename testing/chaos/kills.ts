/**
 * Faults of the service's processes.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { until } from "../servers/child.ts";
import { using } from "../servers/postgres.ts";
import type { Fault, World } from "./fault.ts";

/** Longer than the group waits for a silent member, and than PostgreSQL waits within a transaction. */
const FROZEN_MS = 13_000;

/** Kills a process and starts it at once. */
async function restarted({ services, figures }: World, n: number): Promise<void> {
  await services.kill(n);
  figures.counted.sigkills++;
  services.start(n);
}

/** Measures the time until a process that has just started commits. */
async function measured({ services, postgres, database, figures }: World, n: number): Promise<void> {
  const startedMs = performance.now();
  const mine = `%/${services.pid(n)}`;
  await using(postgres.url(database), (db) =>
    until(
      "a restarted process commits",
      async () => {
        const { rowCount } = await db.query(
          "select from clickstream.progress where committed_by like $1 or committed_by like $1 || '/%' limit 1",
          [mine],
        );
        return rowCount > 0;
      },
      60_000,
      20,
    ));
  figures.restartsMs.push(performance.now() - startedMs);
}

/** Faults of processes. */
export const KILLS: readonly Fault[] = [
  {
    name: "SIGKILL",
    does: "kills one process of the service, and starts it again at once",
    ends: "at once",
    judged: "the new process commits; the time is measured",
    weight: 4,
    short: true,
    async inject(world) {
      const n = world.random.below(world.services.count);
      await restarted(world, n);
      await measured(world, n);
    },
  },
  {
    name: "SIGKILL of all",
    does: "kills all processes of the service, and starts them again at once",
    ends: "at once",
    judged: "one of the new processes commits; the time is measured",
    weight: 2,
    short: true,
    async inject(world) {
      const all = Array.from({ length: world.services.count }, (_, n) => n);
      await Promise.all(all.map((n) => restarted(world, n)));
      await Promise.any(all.map((n) => measured(world, n)));
    },
  },
  {
    name: "SIGKILL storm",
    does: "kills processes of the service at random, 12 to 24 times, 0.1 to 1 s apart",
    ends: "with the last kill",
    judged: "everything is committed",
    weight: 6,
    async inject(world) {
      const { random, services } = world;
      for (let left = 12 + random.below(13); left > 0; left--) {
        await restarted(world, random.below(services.count));
        await setTimeout(100 + random.below(900));
      }
    },
  },
  {
    name: "SIGSTOP",
    does: "freezes one process past the session time-out of the group",
    ends: "after 13 s the process goes on, as a zombie",
    judged: "the zombie commits nothing twice",
    weight: 1,
    async inject({ random, services }) {
      const n = random.below(services.count);
      services.signal(n, "SIGSTOP");
      await setTimeout(FROZEN_MS);
      services.signal(n, "SIGCONT");
    },
  },
];
