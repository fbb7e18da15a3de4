/**
 * Hostile input to every parser and outlet that needs no network: a fixed number of cases, and every input that broke a
 * promise once. `deno task hostile` runs ten million.
 */
import assert from "node:assert/strict";
import { Random } from "../../../generator/random.ts";
import { runs } from "../../../testing/effort.ts";
import { CORPUS } from "./corpus.ts";
import { hunt, tried } from "./hunt.ts";
import { SHARES } from "./mod.ts";
import { mutated } from "./mutate.ts";
import { bytesOf, concat, split, type Target, textOf } from "./target.ts";

/** Cases of each target, and outcomes that must occur: a hunt without them proves nothing. */
const CASES: Readonly<Record<string, readonly [cases: number, outcomes: readonly string[]]>> = {
  records: [1500, ["event", "not_json", "not_utf8", "bad_value", "wrong_type", "missing_field", "expired"]],
  logs: [3000, ["read", "refused", "lost", "nothing"]],
  frames: [1000, ["gzip", "snappy", "lz4", "zstd"].flatMap((codec) => [`${codec} unpacked`, `${codec} refused`])],
  answers: [2000, [
    ...["fetch by id: read", "fetch by id: refused", "fetch by name: read", "fetch by name: refused"],
    ...["groups: members", "groups: refused"],
  ]],
  heads: [20_000, ["400", "505", "request", "last request"]],
  settings: [3000, ["allowed", "1 refused", "4 refused"]],
  "settings-files": [2000, ["settings", "no setting", "refused"]],
  "database-urls": [10_000, ["parsed", "refused"]],
  arguments: [1500, ["refused", "help", "run", "produce", "list", "rebuild"]],
  files: [1500, ["all taken", "some refused", "all refused", "no line"]],
  reports: [2000, ["printed", "refused"]],
  outlets: [2000, ["plain", "hostile"]],
};

const NETWORKED = ["requests"];

for (const [name, [cases, outcomes]] of Object.entries(CASES)) {
  const { target } = SHARES.find(({ target }) => target.name === name)!;
  Deno.test(`${name}: ${target.about}`, async () => {
    const all = runs(cases);
    const hunted = await hunt(target, { cases: all, seed: 1 });
    const { found } = hunted;
    assert.equal(found, null, `case ${found?.at} of seed 1: ${found?.error.stack}\n${found?.input.toBase64()}`);
    assert.equal(hunted.cases, all);
    if (all === cases) assert.deepEqual(outcomes.filter((outcome) => !hunted.outcomes.has(outcome)), []);
  });
}

Deno.test("no input breaks a promise again", async () => {
  for (const { target: name, what, input } of CORPUS) {
    const { target } = SHARES.find(({ target }) => target.name === name)!;
    const outcome = await tried(target, input);
    assert.ok(typeof outcome === "string", `${name}: ${what}: ${outcome instanceof Error ? outcome.stack : ""}`);
  }
});

Deno.test("every target is tested, and the shares of all are 1", () => {
  assert.deepEqual(SHARES.map(({ target }) => target.name).sort(), [...Object.keys(CASES), ...NETWORKED].sort());
  assert.ok(Math.abs(SHARES.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9);
});

/** A target that can't stand two bytes in this order. */
const FRAIL: Target = {
  name: "frail",
  about: "",
  open: () => ({
    draw: (random) => Uint8Array.from({ length: random.below(50) }, () => 1 + random.below(30)),
    check(input) {
      const at = input.indexOf(7);
      if (at >= 0 && input.subarray(at).includes(9)) throw new Error("broken");
      return "whole";
    },
  }),
};

Deno.test("a broken promise is found, shrunk, and found again by its seed", async () => {
  const { found, cases } = await hunt(FRAIL, { cases: 1000, seed: 3 });
  assert.ok(found !== null && cases === found.at + 1 && cases < 100);
  assert.deepEqual([...found.input], [7, 9]);
  assert.ok((await FRAIL.open()).draw(new Random(found.seed, found.at)).includes(7));
  assert.deepEqual(await hunt(FRAIL, { cases: 1000, seed: 3 }), {
    cases,
    outcomes: new Map([["whole", found.at]]),
    found,
  });
  assert.equal((await hunt(FRAIL, { cases: found.at, seed: 3 })).found, null);
});

Deno.test("mutations are repeatable, and change nearly everything", () => {
  const valid = bytesOf('{"length": 12, "text": "some words"}');
  const all = Array.from({ length: 500 }, (_, n) => mutated(new Random(n), valid));
  assert.deepEqual(all[17], mutated(new Random(17), valid));
  assert.ok(new Set(all.map(textOf)).size > 450);
  assert.ok(all.some(({ length }) => length > valid.length) && all.some(({ length }) => length < valid.length));
  assert.equal(textOf(valid), '{"length": 12, "text": "some words"}');
  assert.deepEqual(split(concat([bytesOf("a"), Uint8Array.of(0), bytesOf("b")]), 0).map(textOf), ["a", "b"]);
});
