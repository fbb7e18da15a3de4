import assert from "node:assert/strict";
import { encoded, SLACK } from "../columns/dictionary.ts";
import type { DuplicateFinder, PieceLengths } from "../decode/decoder.ts";
import { Kernel } from "../kernel/kernel.ts";
import { Duplicates, KEPT_PIECES, PIECE_LENGTHS, WINDOW_MS } from "./duplicates.ts";
import { testKeyed } from "../testing/fakes/keyed.ts";
import { Random } from "../../generator/random.ts";
import { at } from "../testing/scenario.ts";

/** An event on the log of one partition. */
interface Sent {
  readonly id: string;
  readonly time: number;
}

const MINUTE = 60_000;
const NOON = at("12:00:00");

/** Pieces so short that a log of a hundred events has many. */
const SHORT: PieceLengths = { shortest: 1, wrong: 40, longest: 100 };

const keyed = testKeyed();
const words = new Int32Array(3);

function seen(memory: DuplicateFinder, id: string, kafkaTime: number): boolean {
  const view = encoded(id);
  keyed.hash(view, 0, view.byteLength - SLACK);
  words.set([keyed.a, keyed.b, keyed.c]);
  return memory.seen(words, 0, kafkaTime);
}

/** Whether the event at an offset of the log is a duplicate. */
function tell(memory: DuplicateFinder, log: readonly Sent[], offset: number): boolean {
  const { id, time } = log[offset]!;
  memory.pass(offset, time);
  return seen(memory, id, time);
}

/** The contract, literally: there is an earlier event of the id within 10 minutes. */
function toldLiterally(log: readonly Sent[]): boolean[] {
  return log.map(({ id, time }, i) =>
    log.slice(0, i).some((earlier) => earlier.id === id && Math.abs(time - earlier.time) <= WINDOW_MS)
  );
}

/** Events with timestamps that advance by up to `stepMs` and lie up to `disorderMs` behind the latest. */
function randomLog(seed: number, events: number, stepMs: number, disorderMs: number): Sent[] {
  const random = new Random(seed);
  const ids = 2 + random.below(12);
  let latest = NOON + random.below(MINUTE);
  return Array.from({ length: events }, () => {
    latest += random.pick([0, 0, 1, random.below(stepMs), MINUTE - latest % MINUTE]);
    const back = random.pick([0, 0, random.below(disorderMs + 1), disorderMs]);
    // Gaps of about the window's length, where off-by-one errors would show.
    if (random.chance(0.1)) latest += random.pick([WINDOW_MS, WINDOW_MS + 1, WINDOW_MS - 1]);
    return { id: `id-${random.below(ids)}`, time: latest - back };
  });
}

const TABLE: readonly (readonly [string, readonly (readonly [string, string, boolean])[]])[] = [
  ["another id is another event", [["a", "12:00:00", false], ["b", "12:00:00", false]]],
  ["the same id at once is a duplicate", [["a", "12:00:00", false], ["a", "12:00:00", true], ["a", "12:00:00", true]]],
  ["exactly 10 minutes apart is a duplicate", [["a", "12:00:00.000", false], ["a", "12:10:00.000", true]]],
  ["a millisecond more is another event", [["a", "12:00:00.000", false], ["a", "12:10:00.001", false]]],
  ["each duplicate counts for the next one", [
    ["a", "12:00:00", false],
    ["a", "12:09:00", true],
    ["a", "12:18:00", true],
    ["a", "12:28:00.000", true],
    ["a", "12:38:00.001", false],
    ["a", "12:38:00.001", true],
  ]],
  ["timestamps may go back by 10 minutes", [["a", "12:10:00.000", false], ["a", "12:00:00.000", true]]],
  ["timestamps that go back by more are another event", [["a", "12:10:00.001", false], ["a", "12:00:00.000", false]]],
  ["an earlier duplicate does not hide the event before it", [
    ["a", "12:01:30", false],
    ["a", "12:00:00", true],
    ["a", "12:11:00", true],
  ]],
  ["between two distant events, near the first", [
    ["a", "12:00:00", false],
    ["a", "13:00:00", false],
    ["a", "12:00:02", true],
    ["a", "12:30:00", false],
    ["a", "12:20:00", true],
  ]],
  ["an hour apart is another event", [["a", "12:00:00", false], ["b", "12:59:00", false], ["a", "12:59:01", false]]],
];

/** A finder that says how many ids it holds. */
type Finder = DuplicateFinder & { readonly size: number; free?(): void };

/** Registers the tests that any finder of duplicates must pass. `make` returns one that remembers nothing. */
function suite(kind: string, of: (lengths?: PieceLengths) => Finder): void {
  const made: Finder[] = [];
  const make = (lengths?: PieceLengths) => {
    const finder = of(lengths);
    made.push(finder);
    return finder;
  };
  /** Gives the memory of all finders back. */
  const forget = () => made.splice(0).forEach((finder) => finder.free?.());
  const test = (promise: string, body: () => void) =>
    Deno.test(`duplicates, ${kind}: ${promise}`, () => {
      body();
      forget();
    });

  /** Which events of a log are duplicates, from `from` up to `until`. */
  function told(log: readonly Sent[], memory = make(), from = 0, until = log.length): boolean[] {
    return log.slice(from, until).map((_, i) => tell(memory, log, from + i));
  }

  for (const [name, log] of TABLE) {
    test(name, () => {
      const sent = log.map(([id, time]) => ({ id, time: at(time) }));
      assert.deepEqual(told(sent), log.map(([, , duplicate]) => duplicate));
      assert.deepEqual(toldLiterally(sent), log.map(([, , duplicate]) => duplicate));
    });
  }

  test("duplicates match the contract if timestamps are out of order by up to two minutes", () => {
    for (let seed = 0; seed < 400; seed++) {
      const log = randomLog(seed, 150, seed % 2 === 0 ? 5_000 : 3 * MINUTE, seed % 3 * MINUTE);
      assert.deepEqual(told(log), toldLiterally(log), `seed ${seed}`);
      const memory = make({ ...SHORT, longest: Infinity });
      assert.deepEqual(told(log, memory), toldLiterally(log), `seed ${seed}, with short pieces`);
      assert.equal(memory.takeUnchecked(), 0, `seed ${seed}`);
    }
  });

  test("after a restart at any offset and a replay, the same duplicates are found", () => {
    let forgotten = 0;
    for (let seed = 0; seed < 150; seed++) {
      // With very wrong timestamps too: a day out of order, or missing.
      const log = randomLog(seed, 120, 4 * MINUTE, [0, 2 * MINUTE, 30 * MINUTE, 24 * 60 * MINUTE][seed % 4]!)
        .map((sent, i) => seed % 5 === 0 && i % 7 === 0 ? { ...sent, time: -1 } : sent);
      const lengths = seed % 3 === 0 ? SHORT : { shortest: 1 + seed % 4, wrong: 3 + seed % 5, longest: 9 + seed % 7 };
      const whole = make(lengths);
      const answers: boolean[] = [];
      const replayFrom = log.map((_, i) => {
        answers.push(tell(whole, log, i));
        return whole.replayFrom(i + 1);
      });
      for (let cut = 1; cut < log.length; cut++) {
        const again = make(lengths);
        const from = replayFrom[cut - 1]!;
        forgotten += from > 0 ? 1 : 0;
        assert.ok(from <= cut, `seed ${seed}`);
        told(log, again, from, cut);
        assert.equal(again.replayFrom(cut), from, `seed ${seed}, cut at ${cut}`);
        assert.deepEqual(
          told(log, again, cut),
          answers.slice(cut),
          `seed ${seed}, cut at ${cut}, replayed from ${from}`,
        );
      }
      forget();
    }
    assert.ok(forgotten > 1000, "most cuts must have something to forget");
  });

  test("without records there is nothing to replay", () => {
    assert.equal(make().replayFrom(17), 17);
  });

  test("a record without a timestamp is never a duplicate and has none", () => {
    const log = [{ id: "a", time: -1 }, { id: "a", time: -1 }, { id: "a", time: NOON }, { id: "a", time: -1 }, {
      id: "a",
      time: NOON,
    }];
    const memory = make();
    assert.deepEqual(told(log, memory), [false, false, false, false, true]);
    assert.equal(memory.replayFrom(5), 2);
  });

  test("forgotten ids are dropped: memory holds the last minutes, not the day", () => {
    const memory = make();
    const perMinute = PIECE_LENGTHS.shortest;
    for (let n = 0; n < 24 * 60 * perMinute; n++) {
      const time = NOON + n * MINUTE / perMinute;
      memory.pass(n, time);
      assert.equal(seen(memory, `id-${n}`, time), false);
    }
    const next = 24 * 60 * perMinute;
    assert.ok(memory.size < (KEPT_PIECES + 1) * perMinute * 3, `${memory.size} ids are held`);
    assert.equal(memory.replayFrom(next), next - (KEPT_PIECES + 1) * perMinute);
  });

  test("one id sent again and again takes one entry per minute", () => {
    const memory = make();
    memory.pass(0, NOON);
    assert.equal(seen(memory, "same", NOON), false);
    for (let n = 1; n < 200_000; n++) {
      memory.pass(n, NOON + n * 10);
      assert.equal(seen(memory, "same", NOON + n * 10), true);
    }
    assert.ok(memory.size <= 200_000 * 10 / MINUTE + 1);
  });

  test("of half a million ids, with most of them forgotten on the way, each is recognised for its time", () => {
    const memory = make();
    const [perMinute, stepMs] = [30_000, 2];
    let largest = 0;
    for (let n = 0; n < 500_000; n++) {
      // Every tenth event repeats an id of five minutes before, and every other tenth one of eleven minutes before.
      const back = n % 10 === 0 ? 5 * perMinute - 1 : n % 10 === 5 ? 11 * perMinute - 1 : 0;
      const time = NOON + n * stepMs;
      memory.pass(n, time);
      assert.equal(seen(memory, `id-${n - back}`, time), n % 10 === 0 && n >= back, `event ${n}`);
      largest = Math.max(largest, memory.size);
    }
    assert.ok(largest < 2 * (KEPT_PIECES + 1) * perMinute, `${largest} ids are held`);
  });

  test("one id at times so far apart that each takes an entry, all in one piece", () => {
    const memory = make();
    for (let n = 0; n < 10_000; n++) {
      const time = NOON - n * 70_000;
      memory.pass(n, time);
      assert.equal(seen(memory, "same", time), n > 0);
    }
    assert.equal(seen(memory, "other", NOON), false);
    assert.equal(seen(memory, "same", NOON + WINDOW_MS), true);
    assert.equal(seen(memory, "same", NOON - 10_000 * 70_000 - WINDOW_MS), false);
  });

  test("similar ids are not confused", () => {
    const memory = make();
    memory.pass(0, NOON);
    for (let n = 0; n < 300_000; n++) {
      for (const id of [`user-${n}`, `${n}`.padStart(12, "0"), String.fromCodePoint(0x10000 + n, 65)]) {
        assert.equal(seen(memory, id, NOON), false, id);
      }
    }
  });

  /** A log of one event per second, each with its own id. */
  function steadyLog(seconds: number, name: string, fromMs = NOON): Sent[] {
    return Array.from({ length: seconds }, (_, n) => ({ id: `${name}-${n}`, time: fromMs + n * 1000 }));
  }

  test("with any timestamps in between, an id is recognised for ten minutes", () => {
    const first = { id: "d1", time: NOON };
    const again = { id: "d1", time: NOON + 1000 };
    const HOUR = 60 * MINUTE;
    const between: Record<string, Sent[]> = {
      "one, an hour ahead": [{ id: "x", time: NOON + HOUR }],
      "one, in the year 9999": [{ id: "x", time: 253_402_300_799_999 }],
      "one, in microseconds": [{ id: "x", time: NOON * 1000 }],
      "a producer whose clock is an hour ahead": steadyLog(600, "fast", NOON + HOUR),
      "five thousand, each a day after the other": Array.from({ length: 5000 }, (_, n) => ({
        id: `day-${n}`,
        time: NOON + n * 24 * HOUR,
      })),
      "a producer whose clock is an hour behind": steadyLog(600, "slow", NOON - HOUR),
      "the id itself, an hour ahead": [{ id: "d1", time: NOON + HOUR }],
    };
    for (const [name, log] of Object.entries(between)) {
      const answers = told([first, ...log, again]);
      assert.equal(answers[0], false, name);
      assert.equal(answers.at(-1), true, name);
      assert.ok(answers.slice(1, -1).every((isDuplicate) => !isDuplicate), name);
    }
  });

  test("two producers an hour apart: exactly the duplicates of each are found", () => {
    const log: Sent[] = [];
    const isRepetition: boolean[] = [];
    for (let n = 0; n < 40_000; n++) {
      const isFast = n % 2 === 0;
      const time = NOON + n * 100 + (isFast ? 60 * MINUTE : 0);
      // For 9 minutes all ids are new; for the next 9, every tenth event repeats the producer's id from 9 minutes before.
      const back = n % 20 < 2 && Math.floor(n / 5400) % 2 === 1 ? 5400 : 0;
      log.push({ id: `${isFast}-${n - back}`, time });
      isRepetition.push(back > 0);
    }
    assert.deepEqual(told(log), isRepetition);
  });

  test("memory stays bounded when a wrong clock is corrected", () => {
    const memory = make({ shortest: 10, wrong: 1000, longest: 5000 });
    memory.pass(0, NOON + 24 * 60 * MINUTE);
    let largest = 0;
    for (let n = 1; n < 100_000; n++) {
      const time = NOON + n * 600;
      memory.pass(n, time);
      assert.equal(seen(memory, `id-${n}`, time), false);
      largest = Math.max(largest, memory.size);
    }
    // A hundred per minute for thirteen minutes, and once the thousand of the wrong clock.
    assert.ok(largest < 3 * (1000 + 13 * 100), `${largest} ids are held`);
    assert.equal(memory.replayFrom(100_000), 100_000 - 100 * (KEPT_PIECES + 1));
  });

  test("with a stopped clock, at most thirteen pieces of maximum length are kept", () => {
    const memory = make({ shortest: 10, wrong: 100, longest: 1000 });
    for (let n = 0; n < 100_000; n++) {
      memory.pass(n, NOON);
      assert.equal(seen(memory, `id-${n}`, NOON), false);
    }
    assert.ok(memory.size < 3 * 13_000, `${memory.size} ids are held`);
    assert.equal(memory.replayFrom(100_000), 100_000 - 13_000);
    // These ids were within ten minutes but are forgotten: such events are counted as unchecked.
    assert.ok(memory.takeUnchecked() > 80_000);
  });

  test("events too old to check are counted", () => {
    const memory = make({ ...SHORT, wrong: 1000 });
    const log = steadyLog(3600, "id");
    told(log, memory);
    assert.equal(memory.takeUnchecked(), 0);
    const late = [
      { id: "id-2", time: NOON + 2000 },
      { id: "other", time: NOON + 40 * MINUTE },
      { id: "in time", time: NOON + 58 * MINUTE + 1000 },
      { id: "id-3599", time: NOON + 3599_000 },
    ];
    assert.deepEqual(told([...log, ...late], memory, log.length), [false, false, false, true]);
    assert.equal(memory.takeUnchecked(), 2);
    assert.equal(memory.takeUnchecked(), 0);
  });
}

const kernel = new Kernel({ keepMs: MINUTE }).begin();

suite("by the kernel", (lengths = PIECE_LENGTHS) => kernel.duplicates(lengths, 1));
suite("by the reference", (lengths) => new Duplicates(lengths));
