import assert from "node:assert/strict";
import { Audience, MOST_CLIENTS } from "./stream.ts";

const KILOBYTE = "x".repeat(1000);

function audience() {
  const clock = { ms: 0 };
  const counts: number[] = [];
  return { clock, counts, all: new Audience(() => clock.ms, (count) => counts.push(count)) };
}

/** What a reader has been sent up to now, as text. */
async function read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  return new TextDecoder().decode((await reader.read()).value);
}

Deno.test("everybody is greeted, and sent the same", async () => {
  const { all, counts } = audience();
  const readers = [1, 2].map((n) => all.join([["hello", { n }]])!.getReader());
  all.send([["a", "line\nend"], ["b", null]]);
  for (const [i, reader] of readers.entries()) {
    assert.equal(await read(reader), `retry: 1000\n\nevent: hello\ndata: {"n":${i + 1}}\n\n`);
    assert.equal(await read(reader), 'event: a\ndata: "line\\nend"\n\nevent: b\ndata: null\n\n');
  }
  await readers[0]!.cancel();
  assert.deepEqual(counts, [1, 2, 1]);
  all.close();
  assert.equal((await readers[1]!.read()).done, true);
  assert.deepEqual(counts, [1, 2, 1, 0]);
});

Deno.test("who is slow misses some of it, is told how much, and holds no memory", async () => {
  const { all } = audience();
  const slow = all.join([])!.getReader();
  for (let i = 0; i < 10_000; i++) all.send([["tick", KILOBYTE]]);
  let text = "";
  while (!text.includes("missed")) text += await read(slow);
  assert.ok(text.length < 300_000, `${text.length} bytes were waiting`);
  const missed = Number(/event: missed\ndata: \{"messages":(\d+)\}/.exec(text)![1]);
  assert.equal(missed + text.match(/event: tick/g)!.length, 10_000);
  all.send([["tick", "on time again"]]);
  assert.match(await read(slow), /on time again/);
  await slow.cancel();
});

Deno.test("who takes nothing for long is given up", () => {
  const { all, clock } = audience();
  const stuck = all.join([])!;
  for (let i = 0; i < 300; i++) all.send([["tick", KILOBYTE]]);
  clock.ms += 29_000;
  all.send([["tick", KILOBYTE]]);
  assert.equal(all.size, 1);
  clock.ms += 1_000;
  all.send([["tick", KILOBYTE]]);
  assert.equal(all.size, 0);
  return assert.rejects(async () => {
    for await (const _ of stuck);
  }, /does not take/);
});

Deno.test("there is room for a bounded number", () => {
  const { all } = audience();
  for (let i = 0; i < MOST_CLIENTS; i++) assert.notEqual(all.join([]), null);
  assert.equal(all.join([]), null);
  all.close();
  assert.notEqual(all.join([]), null);
  all.close();
});
