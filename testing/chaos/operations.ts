/**
 * The operator's commands under load, killed on the way and repeated; and another build of the service.
 * @module
 */
import assert from "node:assert/strict";
import { BINARY, clickstream, killed } from "../servers/binary.ts";
import { until } from "../servers/child.ts";
import { using } from "../servers/postgres.ts";
import type { Fault, World } from "./fault.ts";

const DAY_MS = 86_400_000;

/** A fault that kills a command some times, and then runs it to its end. */
function command(
  named: Pick<Fault, "name" | "does" | "weight" | "excludes">,
  args: (world: World) => Promise<readonly string[]>,
): Fault {
  return {
    ...named,
    ends: "with the command, which succeeds at last",
    judged: "everything is committed",
    async inject(world) {
      const { owner, random, figures } = world;
      const kills = { times: 2 + random.below(3), withinMs: 1500, chance: random };
      const { code, out, err } = await killed(await args(world), owner, kills);
      figures.counted.commandKills += kills.times;
      assert.equal(code, 0, `${out}${err}`);
    },
  };
}

/** Sends events of a user who is about to be forgotten; returns the user's id when all of them are committed. */
async function sendUser({ owner, notes, consumed, load, postgres, database }: World): Promise<string> {
  const user = `forgotten-${notes.forgotten.size}`;
  const line = (n: number) =>
    JSON.stringify({
      eventId: `${user}-${n}`,
      userId: user,
      eventType: "page_view",
      page: `/${n % 3}`,
      timestamp: Date.now() - n * 1000,
    });
  const file = await Deno.makeTempFile();
  const count = 30;
  await Deno.writeTextFile(file, Array.from({ length: count }, (_, n) => `${line(n)}\n`).join(""));
  const { code, out, err } = await clickstream(["produce", file], owner);
  assert.equal(code, 0, `${out}${err}`);
  await Deno.remove(file);
  notes.sent += count;
  const target = load.acked;
  await until("the user's events are committed", async () => {
    const { rowCount } = await using(
      postgres.url(database),
      (db) => db.query("select from clickstream.events where user_id = $1", [user]),
    );
    return rowCount === count && await consumed() >= target;
  });
  return user;
}

/** Operations. */
export const OPERATIONS: readonly Fault[] = [
  command(
    { name: "migrate killed", does: "kills `migrate` 2 to 4 times", weight: 0.5 },
    () => Promise.resolve(["migrate"]),
  ),
  command(
    { name: "maintain killed", does: "kills `maintain` 2 to 4 times", weight: 0.5 },
    () => Promise.resolve(["maintain"]),
  ),
  command(
    { name: "rebuild killed", does: "kills `rebuild` 2 to 4 times", weight: 1 },
    () => Promise.resolve(["rebuild", "--from", new Date(Date.now() - 2 * DAY_MS).toISOString(), "--yes"]),
  ),
  command(
    {
      name: "forget killed",
      does: "sends events of a user, and kills `forget` 2 to 4 times",
      weight: 1,
      excludes: "forget",
    },
    async (world) => {
      const user = await sendUser(world);
      world.notes.forgotten.add(user);
      return ["forget", user, "--yes"];
    },
  ),
  command(
    { name: "replay killed", does: "kills `refusals replay` 2 to 4 times", weight: 0.7 },
    ({ notes }) => {
      notes.replayed = true;
      return Promise.resolve(["refusals", "replay", "--to", new Date().toISOString()]);
    },
  ),
  {
    name: "rolling upgrade",
    does: "stops one process after the other in order, and starts another build in its place",
    ends: "when all processes are of the other build",
    judged: "each ends with 0, and everything is committed",
    weight: 1.5,
    possible: ({ otherProgram }) => otherProgram !== null,
    async inject({ services, otherProgram, consumed }) {
      const next = services.programs[0] === BINARY ? otherProgram! : BINARY;
      for (let n = 0; n < services.count; n++) {
        await services.stop(n);
        services.programs[n] = next;
        services.start(n);
        const before = await consumed();
        await until("the service goes on", async () => await consumed() > before);
      }
    },
  },
];
