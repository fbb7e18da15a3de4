/** The connection against servers that misbehave in rare ways; `kafka_test.ts` covers real brokers. */
import assert from "node:assert/strict";
import { Writer } from "@platformatic/kafka";
import { Unavailable } from "../pipeline/commit.ts";
import { BrokerConnection } from "./broker.ts";
import { BufferPool } from "./answer.ts";

/** What a server answers to the bytes of a request. */
type Answer = (request: Uint8Array, conn: Deno.Conn) => Promise<void>;

/** Runs a server for one connection, and a client that talks to it. */
async function talking(answer: Answer, talk: (connection: BrokerConnection) => Promise<void>): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const serving = serve(listener, answer);
  const connection = await BrokerConnection.open("127.0.0.1", port, { clientId: "test" });
  try {
    await talk(connection);
  } finally {
    connection.close();
    listener.close();
    await serving;
  }
}

async function serve(listener: Deno.Listener, answer: Answer): Promise<void> {
  using conn = await listener.accept();
  const bytes = new Uint8Array(1024);
  for (let n; (n = await conn.read(bytes).catch(() => null)) !== null;) await answer(bytes.slice(0, n), conn);
}

/** An answer with this body to a request: length, the request's correlation id, no tagged fields. */
function answered(request: Uint8Array, body: readonly number[]): Uint8Array {
  return Uint8Array.of(0, 0, 0, 5 + body.length, ...request.subarray(8, 12), 0, ...body);
}

async function send(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  await conn.write(bytes).catch(() => 0);
}

const ask = (connection: BrokerConnection, pool = new BufferPool()) =>
  connection.request(1, 12, Writer.create().appendInt32(7), true, pool);

/** True for a retryable error with this message. */
function isUnavailable(message: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof Unavailable && /Kafka at 127\.0\.0\.1:\d+: /.test(error.message) &&
    message.test(error.message);
}

Deno.test("a request follows Kafka's protocol, and its answer is joined from any pieces", async () => {
  const asked: number[][] = [];
  const answer: Answer = async (request, conn) => {
    asked.push([...request]);
    for (const byte of answered(request, [1, 2, 3, asked.length])) await send(conn, Uint8Array.of(byte));
  };
  await talking(answer, async (connection) => {
    const pool = new BufferPool();
    const first = await ask(connection, pool);
    const second = await ask(connection, pool);
    // Both stay in the pool until it is cleared.
    assert.deepEqual([[...first], [...second]], [[1, 2, 3, 1], [1, 2, 3, 2]]);
  });
  const head = (number: number) => [0, 0, 0, 19, 0, 1, 0, 12, 0, 0, 0, number, 0, 4, 116, 101, 115, 116, 0];
  assert.deepEqual(asked, [1, 2].map((number) => [...head(number), 0, 0, 0, 7]));
});

Deno.test("a server that does not speak Kafka's protocol is unavailable, with a reason", async () => {
  const answers: readonly (readonly [Answer, RegExp])[] = [
    [(_, conn) => Promise.resolve(conn.close()), /closed the connection|reset/],
    // What a TLS server answers to plain bytes.
    [(_, conn) => send(conn, Uint8Array.of(21, 3, 3, 0, 2, 2, 10)), /protocol, or requires TLS/],
    [(_, conn) => send(conn, new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n")), /protocol, or requires TLS/],
    [(request, conn) => send(conn, answered(request.map((byte) => byte ^ 1), [])), /to another request/],
  ];
  for (const [answer, says] of answers) {
    await talking(answer, (connection) => assert.rejects(ask(connection), isUnavailable(says)));
  }
});

Deno.test("closing the connection ends a pending request", async () => {
  await talking(() => Promise.resolve(), async (connection) => {
    const waiting = assert.rejects(ask(connection), isUnavailable(/./));
    connection.close();
    await waiting;
  });
});

Deno.test("a broker that is not running is unavailable", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  await assert.rejects(BrokerConnection.open("127.0.0.1", port, { clientId: "test" }), isUnavailable(/refused/));
  await assert.rejects(
    BrokerConnection.open("nowhere.invalid", port, { clientId: "test" }),
    (error) => error instanceof Unavailable && /Kafka at nowhere\.invalid:/.test(error.message),
  );
});
