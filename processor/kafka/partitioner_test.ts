import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Partitioners } from "kafkajs";
import { Random } from "../../generator/random.ts";
import { Partitioner } from "./producer.ts";

const metadata = (count: number) =>
  Array.from(
    { length: count },
    (_, partitionId) => ({ partitionId, leader: 1, partitionErrorCode: 0, replicas: [], isr: [] }),
  );

Deno.test("any key goes to the partition that kafkajs chooses", () => {
  const theirs = Partitioners.DefaultPartitioner();
  const random = new Random(7);
  const whole = (below: number) => random.below(below);
  for (let i = 0; i < 10_000; i++) {
    const key = Buffer.from(Array.from({ length: whole(40) }, () => whole(256)));
    const count = 1 + whole(100);
    const ours = new Partitioner(count, []).partitionOf(key);
    const expected = theirs({
      topic: "t",
      partitionMetadata: metadata(count),
      message: { key, value: null },
    });
    assert.equal(ours, expected, key.toString("hex"));
  }
});

Deno.test("records without a key go round robin to the partitions that have a leader", () => {
  const partitioner = new Partitioner(6, [1, 2, 5]);
  const turns = Array.from({ length: 6 }, () => partitioner.partitionOf(null));
  assert.deepEqual([...turns].sort(), [1, 1, 2, 2, 5, 5]);
  assert.deepEqual(turns.slice(0, 3), turns.slice(3));
});
