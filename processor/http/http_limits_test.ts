/**
 * Limits of the HTTP server: slow, idle and many clients, malformed requests, and unknown host names.
 */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { Activity } from "../status/activity.ts";
import { addressText } from "../config/address.ts";
import { BINARY } from "../../testing/servers/binary.ts";
import { Child, freePort, until } from "../../testing/servers/child.ts";
import { type HttpServer, serveHttp, type ServeOptions } from "./http.ts";
import { LIMITS } from "./connections.ts";
import { openLog } from "../host/log.ts";
import { Metrics } from "./metrics.ts";
import { Audience } from "./stream.ts";

const TEXT = new TextEncoder();
const silent = openLog({ level: "error", format: "json", write: () => {} });

async function serving(
  options: ServeOptions,
  body: (server: HttpServer, audience: Audience) => Promise<void>,
): Promise<void> {
  const audience = new Audience(() => performance.now());
  const shown = {
    notReady: () => null,
    status: () => {
      throw new Error("no test requests this");
    },
    stream: () => audience.join([["hello", null]]),
    metrics: new Metrics(new Activity(() => Date.now())),
  };
  const server = serveHttp({ hostname: "127.0.0.1", port: 0 }, shown, silent, options);
  try {
    await body(server, audience);
  } finally {
    audience.close();
    await server.close();
  }
}

const get = (path: string, host = "localhost") => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

async function connect({ address }: HttpServer, sent = ""): Promise<Deno.TcpConn> {
  const client = await Deno.connect(address);
  await client.write(TEXT.encode(sent));
  return client;
}

function end(client: Deno.TcpConn): void {
  try {
    client.close();
  } catch {
    // The server closed it because it was late.
  }
}

/** Everything received until the connection ends, or until this text. */
async function readAll(client: Deno.TcpConn, until = "\0"): Promise<string> {
  // A connection that the server does not close in time fails the test.
  const timer = setTimeout(() => end(client), 10_000);
  const buffer = new Uint8Array(64 * 1024);
  let text = "";
  while (!text.includes(until)) {
    // A connection closed with data in flight may end as a reset.
    const read = await client.read(buffer).catch(() => null);
    if (read === null) break;
    text += new TextDecoder("latin1").decode(buffer.subarray(0, read));
  }
  clearTimeout(timer);
  return text;
}

/** The answer to these bytes on a connection of their own that sends nothing more. */
async function answerTo(server: HttpServer, sent: string): Promise<string> {
  const client = await connect(server, sent);
  await client.closeWrite().catch(() => {});
  const text = await readAll(client);
  end(client);
  return text;
}

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? NaN);

Deno.test("answers known host names only, with a port or without", async () => {
  await serving({ hosts: ["status.shop.example"] }, async (server) => {
    const machine = Deno.hostname();
    const table: readonly (readonly [host: string | null, status: number])[] = [
      ...["localhost", "LOCALHOST", "localhost:8080", "localhost.", machine, machine.toUpperCase()].map((host) =>
        [host, 200] as const
      ),
      ...["127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:80", "10.1.2.3", "[fe80::1]:8080"].map((host) =>
        [host, 200] as const
      ),
      ...["status.shop.example", "Status.Shop.Example:443"].map((host) => [host, 200] as const),
      ...["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "shop.example"]
        .map((host) => [host, 421] as const),
      ...["a.status.shop.example", "x", "1.2.3"].map((host) => [host, 421] as const),
      ...["", " ", "a b", "a/b", "a@localhost", "localhost:port", "[::1", "::1", "-", "localhost, evil.example", "é"]
        .map(
          (host) => [host, 400] as const,
        ),
      [null, 400],
      ["localhost\r\nHost: localhost", 400],
    ];
    for (const path of ["/", "/health", "/ready", "/metrics"]) {
      for (const [host, status] of table) {
        const line = host === null ? "" : `Host: ${host}\r\n`;
        const answer = await answerTo(server, `GET ${path} HTTP/1.1\r\n${line}\r\n`);
        assert.equal(statusOf(answer), status, `${path} ${host}: ${answer.slice(0, 200)}`);
        if (status === 421) {
          assert.match(answer, /^This server does not answer to the name .*\n.*setting HTTP_HOSTS\.$/m);
        }
      }
    }
    assert.equal(statusOf(await answerTo(server, "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n")), 421);
    assert.equal(statusOf(await answerTo(server, "GET http://localhost/health HTTP/1.1\r\nHost: x\r\n\r\n")), 200);
  });
});

Deno.test("answers malformed requests with an error, and ends their connection", async () => {
  await serving({}, async (server) => {
    const table: readonly (readonly [sent: string, status: number])[] = [
      ["nonsense\r\n\r\n", 400],
      ["\x16\x03\x01\x02\x00\x01", 400],
      ["GET /health\r\n\r\n", 400],
      ["GET health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400],
      ["GET /health HTTP/1.1\r\nHost: localhost\r\nno header\r\n\r\n", 400],
      ["GET /health HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n", 400],
      ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
      [`GET /health HTTP/1.1\r\nHost: localhost\r\nx: ${"y".repeat(20_000)}\r\n\r\n`, 431],
      [`GET /${"y".repeat(10_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, 400],
      // The body of a request is not read, so it cannot be mistaken for the next request.
      [`POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n${get("/metrics")}`, 405],
      [`GET /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${get("/metrics")}`, 200],
      [`GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n${get("/metrics")}`, 200],
      [`GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n${get("/metrics")}`, 200],
    ];
    for (const [sent, status] of table) {
      const answer = await answerTo(server, sent);
      assert.equal(statusOf(answer), status, sent.slice(0, 80));
      assert.equal(answer.match(/^HTTP\/1\.1 /gm)!.length, 1, answer);
      assert.match(answer, /^connection: close\r$/m);
    }
    // Requests on one connection are answered in order, however they are split.
    const client = await connect(server);
    for (const piece of [get("/health"), "GET /hea", "lth HTTP/1.1\r\nHost: localhost\r", "\n\r", "\n", get("/x")]) {
      await client.write(TEXT.encode(piece));
      await pause(10);
    }
    await client.write(TEXT.encode(`${get("/health")}${get("/ready")}HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n`));
    await client.closeWrite();
    const answers = await readAll(client);
    assert.deepEqual([...answers.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status), [
      ...["200", "200", "404", "200", "200", "200"],
    ]);
    assert.doesNotMatch(answers, /<html/);
    end(client);
  });
});

Deno.test("closes slow and idle connections, but no stream", async () => {
  const limits = { ...LIMITS, headMs: 400, idleMs: 1200, writeMs: 800 };
  await serving({ limits }, async (server, audience) => {
    const startMs = performance.now();
    const seconds = async (client: Deno.TcpConn) => {
      await readAll(client);
      end(client);
      return (performance.now() - startMs) / 1000;
    };
    const stream = await connect(server, get("/api/stream"));
    await until("a client is connected", () => audience.size === 1, 5000, 10);
    const silent = connect(server).then(seconds);
    const slow = connect(server, "GET /health HTT").then(seconds);
    const drips = connect(server, "GET /health HTTP/1.1\r\n").then(async (client) => {
      const timer = setInterval(() => client.write(TEXT.encode("x: y\r\n")).catch(() => {}), 50);
      const took = await seconds(client);
      clearInterval(timer);
      return took;
    });
    const idle = connect(server, get("/health")).then(seconds);
    // Reads nothing of its answer until the server closes the connection.
    const greedy = await connect(server);
    for (let i = 0; i < 4000; i++) await greedy.write(TEXT.encode(get("/")));
    for (const [name, took] of Object.entries({ silent, slow, drips })) {
      assert.ok(await took > 0.3 && await took < 1.7, `${name} took ${await took} s`);
    }
    assert.ok(await idle > 1.1 && await idle < 3, `idle took ${await idle} s`);
    const taken = await readAll(greedy);
    assert.ok(taken.split("</html>").length < 4000, "the server answered everything to a client that read nothing");
    end(greedy);
    audience.send([["tick", null]]);
    assert.match(await readAll(stream, "event: tick\n"), /event: tick\n/);
    end(stream);
    await until("no client is connected", () => audience.size === 0, 5000, 10);
  });
});

Deno.test("answers new clients however many connections are open", async () => {
  await serving({ limits: { ...LIMITS, connections: 8 } }, async (server, audience) => {
    const stream = await connect(server, get("/api/stream"));
    await until("a client is connected", () => audience.size === 1, 5000, 10);
    const holding: Deno.TcpConn[] = [];
    for (let i = 0; i < 100; i++) {
      holding.push(await connect(server, "GET / HTTP/1.1\r\n"));
      if (i % 10 === 0) assert.equal(statusOf(await answerTo(server, get("/health"))), 200);
    }
    // The oldest connections were closed, and no others.
    for (const client of holding.slice(0, 80)) assert.equal(await readAll(client), "");
    const last = holding.at(-1)!;
    await last.write(TEXT.encode("Host: localhost\r\nConnection: close\r\n\r\n"));
    assert.equal(statusOf(await readAll(last)), 200);
    for (const client of holding) end(client);
    assert.equal(audience.size, 1);
    end(stream);
  });
});

Deno.test("survives thousands of slow connections and the limit of open files, with little memory", async () => {
  const http = { hostname: "127.0.0.1", port: freePort() };
  const env = {
    ...{ KAFKA_BROKERS: "127.0.0.1:1", DATABASE_URL: "postgres://nobody@127.0.0.1:1/none", WORKERS: "1" },
    HTTP_LISTEN: addressText(http),
  };
  const folder = await Deno.makeTempDir();
  // The limit of open files is lower than the limit of connections.
  const limited = ["-c", `ulimit -n 150; exec '${BINARY}' run`];
  await using service = Child.start("bash", limited, `${folder}/log`, env);
  const health = () =>
    fetch(`http://${addressText(http)}/health`).then(async (r) => (await r.text(), r.ok), () => false);
  await until("it listens", health, 20_000, 20);
  const rssMb = async () => {
    const status = await Deno.readTextFile(`/proc/${service.pid}/status`);
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) / 1024;
  };
  const before = await rssMb();
  const clients: Deno.TcpConn[] = [];
  for (let i = 0; i < 3000; i++) {
    const client = await Deno.connect(http).catch(() => null);
    if (client === null) continue;
    clients.push(client);
    await client.write(TEXT.encode("GET / HTTP/1.1\r\nx: ")).catch(() => {});
  }
  await until("it answers again", health, 20_000, 50);
  const grown = await rssMb() - before;
  assert.ok(grown < 40, `it took ${grown.toFixed(0)} MB more`);
  for (const client of clients) end(client);
  assert.match(await Deno.readTextFile(`${folder}/log`), /could not accept an HTTP connection; tries again/);
  assert.equal(await service.end("SIGTERM"), 0, await service.tail());
  await Deno.remove(folder, { recursive: true });
});
