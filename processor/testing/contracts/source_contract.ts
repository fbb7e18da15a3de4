/**
 * The contract of every source: the same tests run against each.
 * @module
 */
import assert from "node:assert/strict";
import { Random } from "../../../generator/random.ts";
import { type AppendedRecord, Reading, type TopicUnderTest, WatchedTopic } from "../source_reading.ts";

const NOON = Date.UTC(2026, 10, 1, 12);
const text = new TextEncoder();

/** Waits longer than a test may take: a test that waits this long was not woken. */
const FOR_EVER_MS = 600_000;

function click(n: number, bytes = 20): AppendedRecord {
  return { key: `user-${n % 7}`, value: text.encode(`{"n":${n}}`.padEnd(bytes)), time: NOON + n };
}

/** Returns this many distinguishable records. */
function clicks(count: number, bytes = 20, from = 0): AppendedRecord[] {
  return Array.from({ length: count }, (_, i) => click(from + i, bytes));
}

function noise(random: Random, bytes: number): AppendedRecord {
  return { key: null, value: Uint8Array.from({ length: bytes }, () => random.below(256)), time: NOON };
}

/** What a test gets: a new topic, a source that has its partitions assigned, and the test's topic handle. */
interface Given {
  readonly topic: WatchedTopic;
  readonly reading: Reading;
  readonly under: TopicUnderTest;
}

/**
 * Differences between sources: Deno's sanitizers to disable, because clients leave timers behind, and abilities of the
 * log.
 */
export interface SourceContractOptions extends Pick<Deno.TestDefinition, "sanitizeOps" | "sanitizeResources"> {
  /** Whether topics have `trim`; false skips its test. */
  readonly trims?: boolean;
}

/**
 * Registers the tests that any source must pass. `make` returns a new empty topic with this many partitions each time.
 */
export function sourceContract(
  name: string,
  make: (partitions: number) => Promise<TopicUnderTest>,
  { trims = false, ...sanitizers }: SourceContractOptions = {},
): void {
  const test = (promise: string, partitions: number, body: (given: Given) => Promise<void>, ignore = false) =>
    Deno.test(`${name}: ${promise}`, { ...sanitizers, ignore }, async () => {
      const under = await make(partitions);
      const topic = new WatchedTopic(under, partitions);
      const reading = new Reading(under.open(), topic);
      try {
        const assigned = [...await reading.source.assigned()].sort((a, b) => a - b);
        assert.deepEqual(assigned, [...topic.log.keys()], "a single member reads every partition, once");
        await body({ topic, reading, under });
      } finally {
        await reading.source.close();
        await under.close();
      }
    });

  test("assigns the same partitions at every start", 6, async ({ topic, reading }) => {
    for (let start = 0; start < 3; start++) {
      await topic.append(start, [click(start)]);
      assert.deepEqual([...await reading.source.assigned()].sort(), [0, 1, 2, 3, 4, 5]);
      reading.seekAll();
      await reading.drain();
    }
  });

  test("begins at the earliest record if no offset is known", 2, async ({ topic, reading }) => {
    await topic.append(0, clicks(3));
    await topic.append(1, clicks(2));
    reading.seekAll();
    await reading.drain();
  });

  test("begins at exactly the offset of a seek, even inside a batch", 2, async (given) => {
    const { topic, reading } = given;
    await topic.append(0, clicks(10));
    await topic.append(0, clicks(10));
    await topic.append(1, clicks(10));
    for (const offset of [0, 1, 5, 9, 10, 19, 20]) {
      reading.seek([0, offset], [1, 3]);
      await reading.drain();
    }
    await topic.append(0, clicks(1));
    await reading.drain();
  });

  test("drops on a seek what it has fetched ahead", 2, async ({ topic, reading }) => {
    for (const partition of [0, 0, 0, 1, 1]) await topic.append(partition, clicks(2000, 400));
    reading.seekAll();
    await reading.something();
    // Enough time for fetches ahead to arrive.
    await topic.append(1, clicks(1));
    reading.seek([0, 7], [1, 3999]);
    await reading.something();
    // No time at all.
    reading.seek([0, 5000]);
    reading.seek([1, 11]);
    await reading.something();
    reading.seek([0, 4999], [1, null]);
    await reading.drain();
  });

  test("drops on a seek what a pending poll would return", 1, async ({ topic, reading }) => {
    for (let written = 0; written < 2; written++) await topic.append(0, clicks(2000, 400));
    for (const offset of [2000, 3, 3500]) {
      reading.seek([0, null]);
      // A restarting pipeline abandons this poll; only the next one counts.
      const abandoned = reading.source.poll(0);
      reading.seek([0, offset]);
      await abandoned;
      await reading.something();
    }
  });

  test("reads from any offset after any seek", 3, async ({ topic, reading }) => {
    const random = new Random(1);
    for (let written = 0; written < 30; written++) {
      await topic.append(written % 3, clicks(1 + random.below(60), 30, written * 100));
    }
    for (let turn = 0; turn < 30; turn++) {
      const partitions = random.shuffled([0, 1, 2]).slice(0, 1 + random.below(3));
      reading.seek(
        ...partitions.map((p) => [p, random.chance(0.1) ? null : random.below(topic.log[p]!.length)] as const),
      );
      for (let polls = random.below(4); polls > 0 && reading.lag() > 0; polls--) await reading.something();
    }
    reading.seekAll();
    await reading.drain();
  });

  test("delivers in order, without gaps or repeats, over many polls", 4, async ({ topic, reading }) => {
    const random = new Random(2);
    const append = async (count: number) => {
      for (let left = count; left > 0;) {
        const some = Math.min(left, 1 + random.below(500));
        await topic.append(random.below(4), clicks(some, 24, left));
        left -= some;
      }
    };
    await append(10_000);
    reading.seekAll();
    const appending = append(10_000);
    await reading.drain();
    await appending;
    await reading.drain();
  });

  test("delivers values byte for byte, including empty and missing ones", 1, async ({ topic, reading }) => {
    const every = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const values = [
      ...[Uint8Array.of(), null, every, Uint8Array.of(0), null, null, Uint8Array.of(0xff, 0xc0, 0x80, 0x0d, 0x0a)],
      ...[text.encode("ünïcödé 💥"), Uint8Array.of(), every.toReversed()],
    ];
    const keys = [null, "", "k", "ключ", "x".repeat(200)];
    await topic.append(0, values.map((value, n) => ({ key: keys[n % keys.length]!, value, time: NOON })));
    for (const value of values) await topic.append(0, [{ key: null, value, time: NOON }]);
    reading.seekAll();
    await reading.drain();
  });

  test("delivers the timestamps of records, and -1 for a record without one", 1, async ({ topic, reading }) => {
    const times = [NOON, NOON - 1, NOON + 1, 0, 2 ** 31, 2 ** 32 + 1, NOON - 86_400_000, 1, Date.UTC(9999, 11, 31)];
    const record = (time: number): AppendedRecord => ({ key: "k", value: text.encode(String(time)), time });
    await topic.append(0, times.map(record));
    await topic.append(0, times.toReversed().map(record));
    await topic.append(0, [record(-1), record(-1)]);
    await topic.append(0, [record(NOON)]);
    reading.seekAll();
    await reading.drain();
  });

  test("reports the high watermark of each partition", 2, async ({ topic, reading }) => {
    for (let written = 0; written < 2; written++) await topic.append(0, clicks(2000, 400));
    await topic.append(1, clicks(5));
    reading.seek([0, 100], [1, null]);
    const ends = new Map<number, number>();
    while (reading.lag() > 0) {
      for (const { partition, next, end } of await reading.something()) {
        assert.equal(end, topic.log[partition]!.length, `${next} of partition ${partition} is read`);
        ends.set(partition, end);
      }
    }
    assert.deepEqual([...ends].sort(), [[0, 4000], [1, 5]]);
    await topic.append(1, clicks(1));
    assert.deepEqual((await reading.something()).map(({ partition, next, end }) => [partition, next, end]), [[
      1,
      6,
      6,
    ]]);
  });

  test("returns nothing when there is nothing", 2, async ({ topic, reading }) => {
    reading.seekAll();
    for (const waitMs of [0, 300, 1]) assert.deepEqual(await reading.poll(waitMs), []);
    await topic.append(0, clicks(2));
    await reading.drain();
    for (const waitMs of [300, 0]) assert.deepEqual(await reading.poll(waitMs), []);
  });

  test("delivers what is appended while a poll waits", 2, async ({ topic, reading }) => {
    reading.seekAll();
    for (let n = 0; n < 5; n++) {
      await Promise.all([reading.poll(FOR_EVER_MS), topic.append(n % 2, [click(n)])]);
      await reading.drain();
    }
  });

  test("keeps delivered bytes unchanged until the next poll", 2, async ({ topic, reading }) => {
    for (const partition of [0, 1, 0, 1]) await topic.append(partition, clicks(2000, 400, partition * 10_000));
    reading.seekAll();
    while (reading.lag() > 0) {
      const polled = await reading.something();
      // The source has time to fetch ahead, and must not reuse these bytes for it.
      await topic.append(1, clicks(reading.lag(0) > 0 ? 1 : 0));
      for (const records of polled) reading.compare(records);
    }
  });

  test("commits offsets to the group, and reads on", 2, async ({ topic, reading, under }) => {
    const told = async (...expected: readonly (number | null)[]) => {
      if (under.groupOffset === undefined) return;
      for (const [p, offset] of expected.entries()) assert.equal(await under.groupOffset(p), offset, `partition ${p}`);
    };
    await topic.append(0, clicks(10));
    await topic.append(1, clicks(10));
    reading.seekAll();
    await reading.something();
    await told(null, null);
    await reading.source.committed(new Map());
    await reading.source.committed(new Map([[0, 4]]));
    await told(4, null);
    await reading.source.committed(new Map([[0, 10], [1, 7]]));
    await told(10, 7);
    await topic.append(0, clicks(1));
    await reading.drain();
    // Offsets in the group do not affect where it reads.
    assert.equal((await reading.source.assigned()).length, 2);
    reading.seekAll();
    await reading.drain();
  });

  test("delivers large records among small ones", 2, async ({ topic, reading }) => {
    const random = new Random(3);
    for (const partition of [0, 1]) {
      for (const bytes of [10, 1_000_000, 0, 1_000_000, 700_000]) {
        await topic.append(partition, [noise(random, bytes)]);
        await topic.append(partition, clicks(100, 1000));
      }
    }
    reading.seekAll();
    await reading.drain();
    reading.seek([1, 101]);
    await reading.drain();
  });

  test("reads only the partitions of the last seek", 3, async ({ topic, reading }) => {
    for (const partition of [0, 1, 2]) await topic.append(partition, clicks(20));
    reading.seek([1, 5]);
    await reading.drain();
    await topic.append(0, clicks(1));
    assert.deepEqual(await reading.poll(300), []);
    reading.seek([0, 3], [2, null]);
    await reading.drain();
    reading.seek();
    await topic.append(1, clicks(1));
    assert.deepEqual(await reading.poll(300), []);
  });

  test("starves no partition while others have records", 6, async ({ topic, reading }) => {
    for (const partition of [0, 1, 2, 3, 4]) {
      for (let written = 0; written < 30; written++) await topic.append(partition, clicks(100, 1000));
    }
    await topic.append(5, [noise(new Random(4), 1_000_000), ...clicks(1)]);
    reading.seekAll();
    const silent = new Set(topic.log.keys());
    while (silent.size > 0) {
      for (const { partition } of await reading.something()) silent.delete(partition);
      const waiting = [...silent].join(", ");
      for (const p of [0, 1, 2, 3, 4]) {
        assert.ok(silent.size === 0 || reading.lag(p) > 0, `partition ${p} is read, partition ${waiting} not begun`);
      }
    }
    await reading.drain();
  });

  const goesOn = async ({ topic, reading }: Given) => {
    await topic.append(0, clicks(50));
    await topic.append(0, clicks(50));
    await topic.append(1, clicks(10));
    await topic.trim(0, 60);
    for (const offset of [null, 0, 59, 60, 99]) {
      reading.seek([0, offset], [1, 4]);
      await reading.drain();
    }
  };
  test("continues at the earliest record if the log has deleted those before", 2, goesOn, !trims);

  test("can be closed twice, even while a poll waits", 1, async ({ topic, reading }) => {
    await topic.append(0, clicks(3));
    reading.seekAll();
    await reading.drain();
    const [waiting] = await Promise.all([
      reading.source.poll(300).catch((error) => error),
      reading.source.close(),
    ]);
    assert.ok(Array.isArray(waiting) ? waiting.length === 0 : waiting instanceof Error);
    await reading.source.close();
  });

  test("can be followed by another source after it was closed", 1, async ({ topic, reading, under }) => {
    await topic.append(0, clicks(5));
    reading.seekAll();
    await reading.drain();
    await reading.source.close();
    const next = new Reading(under.open(), topic);
    try {
      assert.deepEqual(await next.source.assigned(), [0]);
      next.seek([0, 2]);
      await next.drain();
    } finally {
      await next.source.close();
    }
  });
}
