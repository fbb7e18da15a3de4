import assert from "node:assert/strict";
// @ts-types="@types/pg"
import pg from "pg";
import { Random } from "../../generator/random.ts";
import { until } from "../servers/child.ts";
import { onServer } from "../servers/databases.ts";
import { openPostgres } from "../../processor/postgres/postgres.ts";
import { type Message, MessageReader, PostgresFaults } from "./postgres_wire.ts";
import { FAIR, Proxy } from "./proxy.ts";

/** A server that sends back what it gets. */
function startEcho(): Disposable & { readonly port: number } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  (async () => {
    for await (const connection of listener) void connection.readable.pipeTo(connection.writable).catch(() => {});
  })();
  return { port: listener.addr.port, [Symbol.dispose]: () => listener.close() };
}

async function read(connection: Deno.Conn): Promise<string | null> {
  const buffer = new Uint8Array(100);
  const count = await connection.read(buffer);
  return count === null ? null : new TextDecoder().decode(buffer.subarray(0, count));
}

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("a proxy passes bytes, delays them, loses them, and ends connections in each way", async () => {
  using echo = startEcho();
  await using proxy = new Proxy(() => echo.port);
  const connect = () => Deno.connect({ hostname: "127.0.0.1", port: proxy.port });
  {
    using one = await connect();
    await one.write(bytes("hello"));
    assert.equal(await read(one), "hello");
    proxy.weather = { ...FAIR, latencyMs: 100 };
    const sinceMs = performance.now();
    await one.write(bytes("slow"));
    assert.equal(await read(one), "slow");
    // There and back.
    assert.ok(performance.now() - sinceMs >= 190);
    proxy.weather = { ...FAIR, isHole: true };
    await one.write(bytes("lost"));
    const answer = read(one);
    assert.equal(
      await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 200, "nothing"))]),
      "nothing",
    );
    proxy.weather = FAIR;
    assert.equal(await answer, "lost");
    proxy.end("reset");
    await assert.rejects(read(one), Deno.errors.ConnectionReset);
  }
  {
    using one = await connect();
    await until("the proxy has the connection", () => proxy.size === 1);
    proxy.end("close");
    assert.equal(await read(one), null);
  }
  {
    using one = await connect();
    await until("the proxy has the connection", () => proxy.size === 1);
    proxy.end("silent");
    await one.write(bytes("anybody there?"));
    const answer = read(one).catch(() => null);
    assert.equal(
      await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 200, "nothing"))]),
      "nothing",
    );
    assert.equal(proxy.size, 1);
  }
  await until("the proxy forgets a silent connection when its client ends it", () => proxy.size === 0);
  proxy.weather = { ...FAIR, isRefusing: true };
  using refused = await connect();
  assert.equal(await read(refused), null);
});

Deno.test("messages are found in whatever pieces they arrive", () => {
  const message = (type: string, text: string) => {
    const length = 4 + text.length;
    return [...bytes(type), length >>> 24, length >>> 16 & 255, length >>> 8 & 255, length & 255, ...bytes(text)];
  };
  const stream = Uint8Array.from([
    ...message("", "startup, which has no type"),
    ...message("Q", "begin\0"),
    ...message("d", "x".repeat(300)),
    ...message("c", ""),
    ...message("Q", "commit\0"),
  ]);
  const expected = [["", "startup,"], ["Q", "begin\0"], ["d", "xxxxxxxx"], ["c", ""], ["Q", "commit\0"]];
  for (let size = 1; size <= stream.length; size++) {
    const reader = new MessageReader(false);
    const found: Message[] = [];
    for (let at = 0; at < stream.length; at += size) found.push(...reader.read(stream.subarray(at, at + size)));
    assert.deepEqual(found.map(({ type, head }) => [type, head]), expected);
  }
});

onServer("a proxy in front of PostgreSQL", async (t, server) => {
  const url = await server.createDatabase();
  const faults = new PostgresFaults(new Random(1));
  await using proxy = new Proxy(() => server.port, () => faults.watch());
  const through = url.replace(`:${server.port}/`, `:${proxy.port}/`);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const count = async () => (await client.query("select count(*)::int as n from t")).rows[0].n;
  await client.query("create table t (n int)");
  const insert = async () => {
    const db = await openPostgres(through);
    await db.transaction((tx) => tx.exec("insert into t values (1)")).finally(() => db.close());
  };
  const copy = async () => {
    const db = await openPostgres(through);
    const rows = bytes("1\n".repeat(1000));
    await db.transaction((tx) => tx.copyIn("copy t from stdin", [rows])).finally(() => db.close());
  };

  await t.step("swallows the reply of a commit that took place", async () => {
    faults.plan("swallowed", 1);
    await assert.rejects(insert());
    assert.equal(await count(), 1);
    await insert();
    assert.equal(await count(), 2);
  });

  await t.step("keeps a commit from the server", async () => {
    faults.plan("unsent", 1);
    await assert.rejects(insert());
    assert.equal(await count(), 2);
  });

  await t.step("cuts a COPY in the middle of its rows", async () => {
    faults.plan("cut", 1);
    await assert.rejects(copy());
    assert.equal(await count(), 2);
    await copy();
    assert.equal(await count(), 1002);
  });

  await t.step("counts what it has struck", async () => {
    assert.deepEqual(faults.struck, { swallowed: 1, unsent: 1, cut: 1 });
    await client.end();
  });
});
