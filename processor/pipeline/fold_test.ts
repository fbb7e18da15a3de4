import assert from "node:assert/strict";
import { Batch, type Dictionaries, dictionaries } from "../columns/batch.ts";
import { encoded, SLACK } from "../columns/dictionary.ts";
import { END_OF_TIME_MS } from "../event.ts";
import { deltaOf, fold, mergeSessions, rowOf } from "./fold.ts";
import { Groups } from "../columns/groups.ts";
import { distinctUsers } from "../measures/distinct_users.ts";
import { first } from "../measures/picks.ts";
import { count } from "../measures/totals.ts";
import { Random } from "../../generator/random.ts";
import { type Delta, hopping, session, tumbling, type View, view } from "../views/view.ts";
import { VIEWS } from "../views/mod.ts";
import { testKeyed } from "../testing/fakes/keyed.ts";

interface Click {
  readonly time: number;
  readonly user: string;
  readonly page: string;
}

function batchOf(words: Dictionaries, clicks: readonly Click[], capacity = clicks.length): Batch {
  const batch = new Batch(words, capacity);
  for (const { time, user, page } of clicks) {
    const texts = { type: "page_view", user, pagePath: page, page, device: "unknown", region: "unknown" };
    for (const [column, text] of Object.entries(texts) as [keyof typeof texts, string][]) {
      batch.codes[column][batch.count] = words[column].internText(text);
    }
    batch.codes.session[batch.count] = -1;
    const id = encoded(`${time} ${page}`);
    batch.setId(id, 0, id.byteLength - SLACK, 1, 1, 1);
    batch.time[batch.count] = time;
    batch.keep();
  }
  return batch;
}

function folded(of: View, batches: readonly (readonly Click[])[], capacity?: number): Delta {
  const words = dictionaries("topic", testKeyed());
  const all = fold(of, words);
  for (const clicks of batches) all.add(batchOf(words, clicks, capacity));
  return all.delta();
}

/** The rows of a delta as text, sorted: their order does not matter. */
function texts({ view, count, ...delta }: Delta): string[] {
  return Array.from({ length: count }, (_, r) => {
    const { start, end, key, values } = rowOf({ view, count, ...delta }, r);
    const cells = Object.values(view.measures).map((measure, m) => measure.encode(values[m]));
    return JSON.stringify([start, end, key, cells.flat().map((cell) => cell instanceof Uint8Array ? [...cell] : cell)]);
  }).sort();
}

function randomClicks(seed: number, n: number): Click[] {
  const random = new Random(seed);
  return Array.from({ length: n }, () => ({
    time: random.below(40) * 97_000,
    user: `u${random.below(30)}`,
    page: `/${random.below(5)}`,
  }));
}

Deno.test("events fold the same in batches of any size and capacity", () => {
  const clicks = randomClicks(1, 3000);
  const sizes = [1, 255, 256, 1024, 3, 8192];
  const cut: Click[][] = [];
  for (let from = 0, n = 0; from < clicks.length; n++) {
    cut.push(clicks.slice(from, from + sizes[n % sizes.length]!));
    from += cut.at(-1)!.length;
  }
  for (const one of VIEWS) {
    const whole = texts(folded(one, [clicks]));
    assert.deepEqual(texts(folded(one, cut)), whole, one.name);
    assert.deepEqual(texts(folded(one, cut, 8192)), whole, `${one.name}, with room to spare`);
  }
});

Deno.test("no events fold to no rows", () => {
  for (const one of VIEWS) assert.equal(folded(one, []).count, 0);
});

Deno.test("windows work at both ends of time", () => {
  const clicks = [0, 59_999, 60_000, END_OF_TIME_MS - 1].map((time) => ({ time, user: "u", page: "/" }));
  const delta = folded(view({ name: "v", about: "", window: tumbling(60_000), by: [], measures: { n: count() } }), [
    clicks,
  ]);
  assert.deepEqual(texts(delta), [
    `[0,60000,[],[2]]`,
    `[${END_OF_TIME_MS - 60_000},${END_OF_TIME_MS},[],[1]]`,
    `[60000,120000,[],[1]]`,
  ]);
});

Deno.test("hopping windows by key match a loop over all events", () => {
  const hop = view({
    ...{ name: "v", about: "", window: hopping(300_000, 100_000), by: ["pagePath"] },
    measures: { n: count(), users: distinctUsers() },
  });
  const clicks = randomClicks(2, 400);
  const naive = new Set<string>();
  for (const { time, page } of clicks) {
    for (let start = Math.floor(time / 100_000) * 100_000; start > time - 300_000; start -= 100_000) {
      const inside = clicks.filter((other) =>
        other.page === page && other.time >= start && other.time < start + 300_000
      );
      naive.add(
        JSON.stringify([start, start + 300_000, [page], [inside.length, new Set(inside.map(({ user }) => user)).size]]),
      );
    }
  }
  const delta = folded(hop, [clicks]);
  const found = Array.from({ length: delta.count }, (_, r) => {
    const { start, end, key, values } = rowOf(delta, r);
    return JSON.stringify([start, end, key, [values[0], (values[1] as { count: number }).count]]);
  });
  assert.deepEqual(found.sort(), [...naive].sort());
});

Deno.test("a delta converts to rows and back", () => {
  const delta = folded(VIEWS[0]!, [randomClicks(3, 50)]);
  const rows = Array.from({ length: delta.count }, (_, r) => rowOf(delta, r));
  assert.deepEqual(texts(deltaOf(VIEWS[0]!, rows)), texts(delta));
});

Deno.test("sessions merge to the same result, in any parts", () => {
  const visits = view({
    ...{ name: "v", about: "", window: session(10), by: ["user"] },
    measures: { n: count(), page: first("pagePath", { at: "at", by: "by" }) },
  });
  for (let seed = 0; seed < 300; seed++) {
    const random = new Random(seed);
    const clicks = Array.from(
      { length: 1 + random.below(12) },
      (_, n) => ({ time: random.below(120), user: "u", page: `/${n}` }),
    );
    const whole = texts(folded(visits, [clicks]));
    const parts = clicks.map((click) => rowOf(folded(visits, [[click]]), 0));
    const merged = random.shuffled(parts).reduce(
      (sessions, part) => mergeSessions(visits, [...sessions, part]),
      [parts[0]!].slice(1),
    );
    assert.deepEqual(texts(deltaOf(visits, merged)), whole, `seed ${seed}`);
    assert.deepEqual(texts(deltaOf(visits, mergeSessions(visits, parts))), whole, `seed ${seed}`);
    const halves = [clicks.filter((_, n) => n % 2 === 0), clicks.filter((_, n) => n % 2 === 1)].flatMap((half) => {
      const delta = folded(visits, [half]);
      return Array.from({ length: delta.count }, (_, r) => rowOf(delta, r));
    });
    assert.deepEqual(texts(deltaOf(visits, mergeSessions(visits, halves))), whole, `seed ${seed}: long ones overlap`);
  }
});

Deno.test("groups number rows like a map", () => {
  const random = new Random(4);
  const groups = new Groups(2);
  const rows = new Map<string, number>();
  const column = () => Int32Array.of(random.pick([-1, 0, 1, random.below(1000)]));
  for (let n = 0; n < 20_000; n++) {
    const window = random.pick([0, 1, 2 ** 32 - 1, 4_223_371_679, random.below(50)]);
    const codes = [column(), column()];
    const name = `${window} ${codes.map(([code]) => code)}`;
    const row = groups.row(window, codes, 0);
    if (!rows.has(name)) rows.set(name, rows.size);
    assert.equal(row, rows.get(name), name);
    assert.deepEqual([groups.window(row), groups.code(row, 0), groups.code(row, 1)], [
      window,
      codes[0]![0],
      codes[1]![0],
    ]);
  }
  assert.equal(groups.count, rows.size);
});
