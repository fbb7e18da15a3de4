import assert from "node:assert/strict";
import { Activity } from "../status/activity.ts";
import { addressText } from "../config/address.ts";
import { until } from "../../testing/servers/child.ts";
import { DatabaseUnavailable } from "../postgres/database.ts";
import { type HttpServer, serveHttp } from "./http.ts";
import { Live } from "./live.ts";
import { openLog } from "../host/log.ts";
import { Metrics } from "./metrics.ts";
import { Audience, MOST_CLIENTS } from "./stream.ts";

const KILOBYTE = "x".repeat(1000);

function audience() {
  const clock = { ms: 0 };
  const counts: number[] = [];
  return { clock, counts, all: new Audience(() => clock.ms, (count) => counts.push(count)) };
}

/** What a reader has received so far, as text. */
async function read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  return new TextDecoder().decode((await reader.read()).value);
}

Deno.test("sends each client a greeting, and all clients the same messages", async () => {
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

Deno.test("a slow client misses messages, hears how many, and uses bounded memory", async () => {
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

Deno.test("a client that reads nothing for 30 s is disconnected", () => {
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

Deno.test("the number of clients is bounded", () => {
  const { all } = audience();
  for (let i = 0; i < MOST_CLIENTS; i++) assert.notEqual(all.join([]), null);
  assert.equal(all.join([]), null);
  all.close();
  assert.notEqual(all.join([]), null);
  all.close();
});

/** A server that streams to this audience. */
function serving(all: Pick<Audience, "join">): HttpServer {
  const activity = new Activity(() => Date.now());
  return serveHttp({ hostname: "127.0.0.1", port: 0 }, {
    notReady: () => null,
    status: () => {
      throw new Error("no test requests this");
    },
    stream: () => all.join([["hello", null]]),
    metrics: new Metrics(activity),
  }, openLog({ level: "error", format: "json", write: () => {} }));
}

Deno.test("a client that reads nothing uses bounded memory, and others receive everything", async () => {
  const { all } = audience();
  const server = serving(all);
  const stuck = await Deno.connect(server.address);
  await stuck.write(new TextEncoder().encode("GET /api/stream HTTP/1.1\r\nhost: localhost\r\n\r\n"));
  await until("it is connected", () => all.size === 1, 10_000, 10);
  const response = await fetch(`http://${addressText(server.address)}/api/stream`);
  const reader = response.body!.getReader();
  await read(reader);
  const megabyte = "x".repeat(1 << 20);
  let got = 0;
  for (let i = 1; i <= 64; i++) {
    all.send([["tick", megabyte]]);
    while (got < i << 20) got += (await reader.read()).value!.length;
  }
  assert.equal(all.size, 2);
  // Everything before the message about missed ones was buffered, here or in the network.
  const buffer = new Uint8Array(1 << 18);
  let held = 0;
  let text = "";
  while (!text.includes("event: missed")) {
    const length = await stuck.read(buffer) ?? 0;
    held += length;
    text = text.slice(-100) + new TextDecoder().decode(buffer.subarray(0, length));
  }
  assert.ok(held < 24 << 20, `${held} bytes of 64 MiB were held`);
  await reader.cancel();
  stuck.close();
  await until("both have disconnected", () => all.size === 0, 10_000, 10);
  await server.close();
});

Deno.test("200 clients share one read of the status", async () => {
  const activity = new Activity(() => Date.now());
  const sinceMs = performance.now();
  let opened = 0;
  const watched: boolean[] = [];
  const live = new Live({
    about: { version: "0", instance: "here", topic: "clicks", startedAt: Date.now(), settings: {} },
    activity,
    open: () => {
      opened++;
      return Promise.reject(new DatabaseUnavailable("down", { kind: "postgres_unreachable" }));
    },
    watched: (isWatched) => watched.push(isWatched),
  });
  const server = serving({ join: () => live.stream() });
  const url = `http://${addressText(server.address)}/api/stream`;
  const readers = await Promise.all(Array.from({ length: 200 }, async () => {
    const response = await fetch(url);
    return response.body!.getReader();
  }));
  for (const reader of readers) {
    let text = "";
    while (!/event: point\n/.test(text)) text += await read(reader);
    assert.match(text, /^retry: 1000\n\nevent: status\ndata: \{"state":"waiting".*\n\nevent: history\n/);
  }
  assert.deepEqual(watched, [true]);
  // An unreachable database is tried once a second, however many clients are connected.
  const seconds = (performance.now() - sinceMs) / 1000;
  assert.ok(opened <= seconds + 2, `opened ${opened} times in ${seconds} s`);
  for (const reader of readers) await reader.cancel();
  await until("no client is connected", () => watched.at(-1) === false, 10_000, 10);
  assert.deepEqual(watched, [true, false]);
  await live.close();
  await server.close();
});
