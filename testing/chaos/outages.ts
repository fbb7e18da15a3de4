/**
 * Outages of PostgreSQL, and states that go back.
 * @module
 */
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { until } from "../servers/child.ts";
import type { Fault, World } from "./fault.ts";
import { FAIR } from "./proxy.ts";

/** Bytes that are written at once to fill a disk. */
const BALLAST_BYTES = 1024 * 1024;

/** Kills the primary's postmaster; its other processes notice and end. */
async function kill({ postgres: { primary: { server } } }: World): Promise<void> {
  Deno.kill(server.pid, "SIGKILL");
  await server.stop("immediate");
}

/** Starts the primary; the shared memory of killed processes may be in use for a moment. */
async function start({ postgres: { primary: { server } } }: World): Promise<void> {
  await until("PostgreSQL starts again", () => server.start().then(() => true, () => false));
}

/** Outages. */
export const OUTAGES: readonly Fault[] = [
  {
    name: "PostgreSQL killed",
    does: "kills the primary with SIGKILL",
    ends: "after 0.2 to 5 s it starts again, and recovers from its log",
    judged: "everything is committed",
    weight: 1,
    async inject(world) {
      await kill(world);
      await setTimeout(200 + world.random.below(4800));
      await start(world);
    },
  },
  {
    name: "PostgreSQL restarted",
    does: "stops the primary in order, which ends all connections",
    ends: "at once it starts again",
    judged: "everything is committed",
    weight: 1,
    async inject(world) {
      await world.postgres.primary.server.stop("fast");
      await start(world);
    },
  },
  {
    name: "failover that loses commits",
    does: "cuts the standby off, kills the primary 1 to 4 s later, and promotes the standby without those commits",
    ends: "the old primary is the standby of the new one",
    judged: "the service reads again what was lost, and everything is committed",
    weight: 1.5,
    excludes: "state goes back",
    async inject(world) {
      const { random, postgres, figures } = world;
      await postgres.inStep();
      postgres.replication.weather = { ...FAIR, isRefusing: true };
      postgres.replication.end("reset");
      const before = await world.consumed();
      await setTimeout(1000 + random.below(3000));
      await until("a commit is not replicated", async () => await world.consumed() > before);
      const had = await world.consumed();
      await postgres.failOver();
      const has = await world.consumed();
      postgres.replication.weather = FAIR;
      assert.ok(has < had, `no commit was lost: ${had} records before, ${has} after`);
      figures.counted.rereadAfterLoss += had - has;
      await postgres.renewStandby();
    },
  },
  {
    name: "restore from a backup",
    does: "takes a base backup, kills the primary 2 to 6 s later, and starts it with the backup's data",
    ends: "when it runs, and its standby follows",
    judged: "the service reads on from the backup's offsets, and everything is committed",
    weight: 1,
    excludes: "state goes back",
    async inject(world) {
      const { random, postgres, figures } = world;
      const backup = await postgres.backUp();
      const before = await world.consumed();
      await setTimeout(2000 + random.below(4000));
      await until("a commit is not in the backup", async () => await world.consumed() > before);
      const had = await world.consumed();
      await postgres.restore(backup);
      figures.counted.rereadAfterLoss += Math.max(0, had - await world.consumed());
      await postgres.renewStandby();
    },
  },
  {
    name: "disk full",
    does: "fills the disk of the primary's data",
    ends: "after 3 to 8 s there is room again; if PostgreSQL ended, it starts again",
    judged: "everything is committed",
    weight: 1,
    possible: ({ postgres }) => postgres.hasDisks,
    async inject(world) {
      const { data, server } = world.postgres.primary;
      const ballast = `${data}/../ballast`;
      await fill(ballast);
      const untilMs = performance.now() + 3000 + world.random.below(5000);
      while (performance.now() < untilMs) {
        // What PostgreSQL frees is filled as well.
        await fill(ballast);
        await setTimeout(200);
      }
      await Deno.remove(ballast);
      if (!await answers(world)) {
        await server.stop("immediate");
        await start(world);
      }
    },
  },
];

async function answers({ consumed }: World): Promise<boolean> {
  for (let tries = 0; tries < 20; tries++) {
    if (await consumed().then(() => true, () => false)) return true;
    await setTimeout(200);
  }
  return false;
}

async function fill(path: string): Promise<void> {
  using file = await Deno.open(path, { append: true, create: true });
  const zeros = new Uint8Array(BALLAST_BYTES);
  try {
    for (;;) await file.write(zeros);
  } catch {
    // The disk is full.
  }
}
