import assert from "node:assert/strict";
import { encoded, SLACK } from "./dictionary.ts";
import { Duplicates, KEPT_MINUTES, WINDOW_MS } from "./duplicates.ts";
import { Hasher } from "./hash.ts";
import { Random } from "./testing/random.ts";
import { at } from "./testing/scenario.ts";

/** An event on the log of one partition. */
interface Sent {
  readonly id: string;
  readonly time: number;
}

const MINUTE = 60_000;
const NOON = at("12:00:00");

const hasher = new Hasher();

function seen(memory: Duplicates, id: string, kafkaTime: number): boolean {
  const view = encoded(id);
  hasher.hash(view, 0, view.byteLength - SLACK);
  return memory.seen(hasher.high, hasher.low, kafkaTime);
}

/** Whether the event at an offset of the log is a duplicate. */
function tell(memory: Duplicates, log: readonly Sent[], offset: number): boolean {
  const { id, time } = log[offset]!;
  memory.pass(offset, time);
  return seen(memory, id, time);
}

/** Which events of a log are duplicates, from `from` up to `until`. */
function told(log: readonly Sent[], memory = new Duplicates(), from = 0, until = log.length): boolean[] {
  return log.slice(from, until).map((_, i) => tell(memory, log, from + i));
}

/** The contract, literally: an earlier event of the id within 10 minutes. */
function toldLiterally(log: readonly Sent[]): boolean[] {
  return log.map(({ id, time }, i) =>
    log.slice(0, i).some((earlier) => earlier.id === id && Math.abs(time - earlier.time) <= WINDOW_MS)
  );
}

/** Events whose timestamps go forward by up to `stepMs` and lie back behind the latest by up to `disorderMs`. */
function randomLog(seed: number, events: number, stepMs: number, disorderMs: number): Sent[] {
  const random = new Random(seed);
  const ids = 2 + random.below(12);
  let latest = NOON + random.below(MINUTE);
  return Array.from({ length: events }, () => {
    latest += random.pick([0, 0, 1, random.below(stepMs), MINUTE - latest % MINUTE]);
    const back = random.pick([0, 0, random.below(disorderMs + 1), disorderMs]);
    // Gaps of exactly the window, and a millisecond more, are where mistakes are made.
    if (random.chance(0.1)) latest += random.pick([WINDOW_MS, WINDOW_MS + 1, WINDOW_MS - 1]);
    return { id: `id-${random.below(ids)}`, time: latest - back };
  });
}

const TABLE: readonly (readonly [string, readonly (readonly [string, string, boolean])[]])[] = [
  ["another id is no repetition", [["a", "12:00:00", false], ["b", "12:00:00", false]]],
  ["the same id at the same time is", [["a", "12:00:00", false], ["a", "12:00:00", true], ["a", "12:00:00", true]]],
  ["10 minutes to the millisecond", [["a", "12:00:00.000", false], ["a", "12:10:00.000", true]]],
  ["a millisecond more is another event", [["a", "12:00:00.000", false], ["a", "12:10:00.001", false]]],
  ["each repetition counts for the next", [
    ["a", "12:00:00", false],
    ["a", "12:09:00", true],
    ["a", "12:18:00", true],
    ["a", "12:28:00.000", true],
    ["a", "12:38:00.001", false],
    ["a", "12:38:00.001", true],
  ]],
  ["timestamps may go back", [["a", "12:10:00.000", false], ["a", "12:00:00.000", true]]],
  ["but not by more", [["a", "12:10:00.001", false], ["a", "12:00:00.000", false]]],
  ["an early repetition does not hide the one before it", [
    ["a", "12:01:30", false],
    ["a", "12:00:00", true],
    ["a", "12:11:00", true],
  ]],
  ["a whole log time apart", [["a", "12:00:00", false], ["b", "12:59:00", false], ["a", "12:59:01", false]]],
];

for (const [name, log] of TABLE) {
  Deno.test(`duplicates: ${name}`, () => {
    const sent = log.map(([id, time]) => ({ id, time: at(time) }));
    assert.deepEqual(told(sent), log.map(([, , duplicate]) => duplicate));
    assert.deepEqual(toldLiterally(sent), log.map(([, , duplicate]) => duplicate));
  });
}

Deno.test("as the contract says, where timestamps are out of order by up to two minutes", () => {
  for (let seed = 0; seed < 400; seed++) {
    const log = randomLog(seed, 150, seed % 2 === 0 ? 5_000 : 3 * MINUTE, seed % 3 * MINUTE);
    assert.deepEqual(told(log), toldLiterally(log), `seed ${seed}`);
  }
});

Deno.test("after a restart anywhere, replayed from where it says, it tells the same", () => {
  let forgotten = 0;
  for (let seed = 0; seed < 150; seed++) {
    // However wild the timestamps: a day out of order, or none at all.
    const log = randomLog(seed, 120, 4 * MINUTE, [0, 2 * MINUTE, 30 * MINUTE, 24 * 60 * MINUTE][seed % 4]!)
      .map((sent, i) => seed % 5 === 0 && i % 7 === 0 ? { ...sent, time: -1 } : sent);
    const whole = new Duplicates();
    const answers: boolean[] = [];
    const replayFrom = log.map((_, i) => {
      answers.push(tell(whole, log, i));
      return whole.replayFrom(i + 1);
    });
    for (let cut = 1; cut < log.length; cut++) {
      const again = new Duplicates();
      const from = replayFrom[cut - 1]!;
      forgotten += from > 0 ? 1 : 0;
      assert.ok(from <= cut, `seed ${seed}`);
      told(log, again, from, cut);
      assert.equal(again.replayFrom(cut), from, `seed ${seed}, cut at ${cut}`);
      assert.deepEqual(told(log, again, cut), answers.slice(cut), `seed ${seed}, cut at ${cut}, replayed from ${from}`);
    }
  }
  assert.ok(forgotten > 1000, "most cuts must have something to forget");
});

Deno.test("nothing passed, nothing to replay", () => {
  assert.equal(new Duplicates().replayFrom(17), 17);
});

Deno.test("a record without a timestamp neither repeats one nor is repeated", () => {
  const log = [{ id: "a", time: -1 }, { id: "a", time: -1 }, { id: "a", time: NOON }, { id: "a", time: -1 }, {
    id: "a",
    time: NOON,
  }];
  const memory = new Duplicates();
  assert.deepEqual(told(log, memory), [false, false, false, false, true]);
  assert.equal(memory.replayFrom(5), 2);
});

Deno.test("what is forgotten is dropped: memory holds the last minutes, not the day", () => {
  const memory = new Duplicates();
  const perMinute = 500;
  for (let n = 0; n < 24 * 60 * perMinute; n++) {
    const time = NOON + n * MINUTE / perMinute;
    memory.pass(n, time);
    assert.equal(seen(memory, `id-${n}`, time), false);
  }
  const next = 24 * 60 * perMinute;
  assert.ok(memory.size < (KEPT_MINUTES + 1) * perMinute * 3, `${memory.size} ids are held`);
  assert.equal(memory.replayFrom(next), next - (KEPT_MINUTES + 1) * perMinute);
});

Deno.test("one id sent over and over takes one place a minute", () => {
  const memory = new Duplicates();
  memory.pass(0, NOON);
  assert.equal(seen(memory, "same", NOON), false);
  for (let n = 1; n < 200_000; n++) {
    memory.pass(n, NOON + n * 10);
    assert.equal(seen(memory, "same", NOON + n * 10), true);
  }
  assert.ok(memory.size <= 200_000 * 10 / MINUTE + 1);
});

Deno.test("ids that look alike are told apart", () => {
  const memory = new Duplicates();
  memory.pass(0, NOON);
  for (let n = 0; n < 300_000; n++) {
    for (const id of [`user-${n}`, `${n}`.padStart(12, "0"), String.fromCodePoint(0x10000 + n, 65)]) {
      assert.equal(seen(memory, id, NOON), false, id);
    }
  }
});

Deno.test("a timestamp far ahead stops the forgetting, not the telling", () => {
  const microseconds = NOON * 1000;
  const log = [{ id: "a", time: NOON }, { id: "b", time: microseconds }, { id: "b", time: microseconds }, {
    id: "c",
    time: NOON,
  }];
  assert.deepEqual(told([...log, { id: "c", time: NOON + WINDOW_MS }]), [false, false, true, false, true]);
});
