/**
 * The riskiest overloads in seconds, on real servers: one partition with all the traffic, and the largest events there
 * are, both with the least memory. `deno task overload` has the long forms of all cases.
 */
import assert from "node:assert/strict";
import { type Broker, startKafka } from "../servers/kafka.ts";
import { type Server, startPostgres } from "../servers/postgres.ts";
import { CASES } from "./cases.ts";
import { ceilingMb, overload } from "./overload.ts";

// The clients leave timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

let broker: Broker;
let server: Server;

Deno.test.beforeAll(async () => {
  [broker, server] = await Promise.all([startKafka(), startPostgres()]);
});

Deno.test.afterAll(async () => {
  await Promise.all([broker[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
});

/** Runs a case with the least memory. */
async function overloaded(name: string, scale: number) {
  const options = { broker, server, name, of: CASES[name]!, scale, minutes: 0, memoryMb: [300], liveSeconds: 2 };
  const [result] = await overload({ ...options, say: () => {} });
  assert.deepEqual(result!.faults, []);
  return result!;
}

Deno.test("a backlog of one partition keeps no other one waiting to its end", leaky, async () => {
  const { turns, records } = await overloaded("one partition", 0.06);
  assert.ok(records >= 300_000);
  // Each is read at the start, and then only if it has its turn while the large one is drained.
  assert.ok(turns! >= 3, `a small partition was in ${turns} commits`);
});

Deno.test("events of 64 KiB stay within the memory", leaky, async () => {
  for (const name of ["64 KiB", "64 KiB refused"]) {
    const { peakMb } = await overloaded(name, 0.05);
    assert.ok(peakMb > 50 && peakMb < ceilingMb(300), `${name}: ${peakMb} MB`);
  }
});
