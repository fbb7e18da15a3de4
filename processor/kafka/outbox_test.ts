import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { Outbox, Partitioner } from "./producer.ts";

const value = new TextEncoder().encode("x");

Deno.test("a broker that is slower than the records gets larger requests, and not a queue of small ones", async () => {
  const sizes: number[] = [];
  const answers: (() => void)[] = [];
  const outbox = new Outbox(new Partitioner(1, []), "t", (messages) => {
    sizes.push(messages.length);
    return new Promise((resolve) => answers.push(resolve));
  });
  for (let record = 1; record <= 100; record++) {
    outbox.add({ key: null, value });
    outbox.tick();
  }
  await setTimeout(0);
  answers.shift()!();
  await setTimeout(0);
  outbox.tick();
  await setTimeout(0);
  answers.shift()!();
  await outbox.post();
  assert.deepEqual(sizes, [1, 99]);
  assert.equal(outbox.sent, 100);
});

Deno.test("a request that fails is an error of the next record, also between ticks", async () => {
  const outbox = new Outbox(new Partitioner(1, []), "t", () => Promise.reject(new Error("refused")));
  outbox.add({ key: null, value });
  outbox.tick();
  await setTimeout(0);
  await assert.rejects(async () => await outbox.add({ key: null, value }), /refused/);
});
