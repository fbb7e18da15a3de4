import assert from "node:assert/strict";
import { Batch, type Dictionaries, dictionaries, EVERYTHING } from "../columns/batch.ts";
import type { RunDecoder } from "../decode/decoder.ts";
import { funnel } from "../measures/funnel.ts";
import { last } from "../measures/picks.ts";
import { count } from "../measures/totals.ts";
import { Pending, wantedBy } from "./pending.ts";
import { testKeyed } from "../testing/fakes/keyed.ts";
import { hopping, minutes, session, tumbling, type View, view } from "../views/view.ts";
import { VIEWS } from "../views/mod.ts";

const plain: View = view({
  name: "plain",
  about: "events",
  window: tumbling(minutes(1)),
  by: ["type"],
  measures: { events: count() },
});

Deno.test("columns that no view needs are not wanted", () => {
  assert.deepEqual(wantedBy([plain], false), { ids: false, sessions: false, agents: false, events: false });
  assert.deepEqual(wantedBy([], false), { ids: false, sessions: false, agents: false, events: false });
});

Deno.test("columns that any view needs are wanted", () => {
  const picked = last("pagePath", { at: "last_at", by: "last_by" });
  const bySession: View = { ...plain, window: session(1000), by: ["user", "session"] };
  const filtered: View = { ...plain, where: { session: ["s"] } };
  const measured = (measure: View["measures"][string]): View => ({ ...plain, measures: { measure } });
  const wanted = (...views: View[]) => wantedBy([plain, ...views], false);
  assert.deepEqual(wanted(bySession), { ids: false, sessions: true, agents: false, events: false });
  assert.deepEqual(wanted(filtered), { ids: false, sessions: true, agents: false, events: false });
  assert.deepEqual(wanted(measured(count({ session: ["s"] }))), {
    ids: false,
    sessions: true,
    agents: false,
    events: false,
  });
  assert.deepEqual(wanted(measured(picked)), { ids: true, sessions: false, agents: false, events: false });
  assert.deepEqual(wanted(measured(last("session", { at: "a", by: "b" }))), {
    ids: true,
    sessions: true,
    agents: false,
    events: false,
  });
  const byCurrency: View = { ...plain, by: ["currency"] };
  assert.deepEqual(wanted(byCurrency), EVERYTHING);
  assert.deepEqual(wanted(measured(count({ currency: ["EUR"] }))), EVERYTHING);
  assert.deepEqual(wanted(measured(funnel([{}, { product: ["p"] }], "state"))), EVERYTHING);
  const withoutSessions = VIEWS.filter(({ name }) => name !== "sessions" && name !== "currencies");
  assert.deepEqual(wantedBy(withoutSessions, false), { ids: false, sessions: false, agents: true, events: false });
  assert.deepEqual(wanted({ ...plain, where: { bot: ["true"] } }), {
    ids: false,
    sessions: false,
    agents: true,
    events: false,
  });
  assert.deepEqual(wantedBy(VIEWS, false), EVERYTHING);
});

Deno.test("with raw events, all columns are wanted", () => {
  assert.deepEqual(wantedBy([plain], true), EVERYTHING);
});

Deno.test("memory of a large commit is oversized for small ones, but not for equal ones", () => {
  const pending = new Pending({
    ...{ topic: "topic", keyed: testKeyed(), views: VIEWS, storeEvents: true, now: () => 0, mostTextBytes: Infinity },
  });
  pending.records = 16_000;
  assert.equal(pending.isOversized, false, "it has not been larger before");
  pending.clear();
  pending.records = 1_000;
  assert.equal(pending.isOversized, false);
  pending.records = 999;
  assert.equal(pending.isOversized, true);
});

Deno.test("a commit takes memory with its first event, and a larger batch only after a full one", () => {
  const made: number[] = [];
  const runs = {
    dictionaries: (...about: Parameters<typeof dictionaries>) => dictionaries(...about),
    batch(words: Dictionaries, capacity: number) {
      made.push(capacity);
      return new Batch(words, capacity);
    },
    textBytes: () => 0,
    check() {},
  } as Partial<RunDecoder> as RunDecoder;
  const pending = new Pending({
    ...{ topic: "topic", keyed: testKeyed(), views: [plain], storeEvents: true, now: () => 0 },
    ...{ mostTextBytes: Infinity, runs },
  });
  const sizesAfter = (events: number) => {
    for (let n = 0; n < events; n++) {
      const { batch } = pending;
      batch.codes.type[batch.count] = batch.words.type.internText("page_view");
      batch.setPlaceAsId();
      pending.store(1);
    }
    const { deltas, batches } = pending.finish();
    assert.equal(deltas[0]?.values[0]?.at(0) ?? 0, events);
    assert.equal(batches.reduce((sum, { count }) => sum + count, 0), events);
    pending.clear();
    return made;
  };
  assert.deepEqual(sizesAfter(0), []);
  assert.deepEqual(sizesAfter(3), [256]);
  assert.deepEqual(sizesAfter(256), [256]);
  assert.deepEqual(sizesAfter(300), [256, 1024]);
});

Deno.test("many distinct users or pages fill a commit, because each has rows", () => {
  const counts = (views: typeof VIEWS, user: (n: number) => string, page: (n: number) => string) => {
    const pending = new Pending({
      ...{ topic: "topic", keyed: testKeyed(), views, storeEvents: false, now: () => 0, mostTextBytes: 40_000 },
    });
    let n = 0;
    for (; n < 200 && !pending.full; n++) {
      const { batch } = pending;
      batch.codes.user[batch.count] = batch.words.user.internText(user(n));
      batch.codes.pagePath[batch.count] = batch.words.pagePath.internText(page(n));
      pending.store(1);
    }
    return n;
  };
  const [same, other] = [() => "a", (n: number) => `a${n}`];
  assert.equal(counts(VIEWS, same, same), 200);
  // Types, devices and regions have rows too, of which there is one here.
  assert.equal(counts(VIEWS, other, same), 76);
  assert.equal(counts(VIEWS, same, other), 31);
  // No table has a row for each of them.
  assert.equal(counts(VIEWS.filter(({ name }) => name === "traffic"), other, other), 200);
  // Each page has a row in twelve windows, and one in the next view.
  const measures = { views: count() };
  const overlapping = view({ name: "o", about: "", window: hopping(60, 5), by: ["pagePath"], measures });
  assert.equal(counts([overlapping, { ...overlapping, window: tumbling(60) }], same, other), 7);
});
