/**
 * Hostile HTTP requests: to the parser of heads, and to the real server over real sockets.
 * @module
 */
import assert from "node:assert/strict";
import { parseHead } from "../../http/head.ts";
import { LIMITS } from "../../http/connections.ts";
import { serveHttp } from "../../http/http.ts";
import { Metrics } from "../../http/metrics.ts";
import { Audience } from "../../http/stream.ts";
import { openLog } from "../../host/log.ts";
import { Activity } from "../../status/activity.ts";
import { History } from "../../status/history.ts";
import { statusReport } from "../../status/report.ts";
import type { Random } from "../../../generator/random.ts";
import { mutated, TOKENS } from "./mutate.ts";
import { bytesOf, concat, type Opened, type Target } from "./target.ts";

const METHODS = ["GET", "GET", "GET", "HEAD", "POST", "PUT", "OPTIONS", "CONNECT", "TRACE", "PRI", "get", "G ET"];
const PATHS = [
  ...["/", "/health", "/ready", "/metrics", "/api/status", "/api/stream", "/page/style.css", "/x", "/../../etc/passwd"],
  ...[
    "/%2e%2e/",
    "//health",
    "/health?x=1",
    "/health#x",
    "*",
    "http://localhost/health",
    "http://evil.example/",
    "/\\",
  ],
];
const HEADERS = [
  ...["Host: localhost", "Host: localhost:80", "Host: 127.0.0.1", "Host: evil.example", "Connection: close"],
  ...["Connection: keep-alive", "Content-Length: 0", "Content-Length: 5", "Content-Length: -1", "Content-Length: 00"],
  ...["Transfer-Encoding: chunked", "Range: bytes=0-", "Range: bytes=9-1", "Accept-Encoding: gzip, br, *;q=0"],
  ...["User-Agent: x", "Accept: text/event-stream", "Last-Event-ID: 7", "Upgrade: h2c", "Expect: 100-continue", "X: "],
  ...["If-None-Match: *", "Cookie: a=b", "Content-Encoding: gzip", " folded: x", "Host : localhost", "X\t: y"],
];

/** The head of a request to what the server makes of it. */
export const heads: Target = {
  name: "heads",
  about: "a head is a request with a clean path and host, or an error of HTTP; never an exception",
  open: (): Opened => ({ draw: drawHead, check: checkHead }),
};

const LATIN1 = new TextDecoder("latin1");

function checkHead(input: Uint8Array): string {
  const head = LATIN1.decode(input);
  const request = parseHead(head);
  if ("status" in request) {
    assert.ok((request.status === 400 || request.status === 505) && /^[a-z][ -~]*$/.test(request.reason));
    return String(request.status);
  }
  const { method, path, host, keepAlive } = request;
  assert.match(method, /^[A-Z]{1,20}$/);
  assert.match(path, /^\/[\x21-\x7e]*$/);
  assert.match(host, /^[a-z0-9._:[\]-]+$/);
  // A body is not read: whatever follows one would be taken for a request.
  const hasBody = /^transfer-encoding:|^content-length:(?![ \t]*0[ \t]*$)/im.test(head);
  assert.ok(!(keepAlive && hasBody), "a request with a body, and another may follow");
  return keepAlive ? "request" : "last request";
}

function drawHead(random: Random): Uint8Array {
  const head = bytesOf(headText(random));
  return random.chance(0.4) ? mutated(random, head, 3) : head;
}

function headText(random: Random): string {
  const target = random.chance(0.9) ? random.pick(PATHS) : `/${random.pick(TOKENS)}`;
  const version = random.chance(0.9) ? "HTTP/1.1" : random.pick(["HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "http/1.1", ""]);
  const host = random.chance(0.9) ? ["Host: localhost"] : [];
  const more = Array.from({ length: random.below(4) }, () => random.pick(HEADERS));
  const odd = random.chance(0.1) ? [`X-${random.below(9)}: ${random.pick(TOKENS)}`] : [];
  return [`${random.pick(METHODS)} ${target} ${version}`, ...random.shuffled([...host, ...more, ...odd])].join("\r\n");
}

/** Bytes on a connection to what the server answers. */
export const requests: Target = {
  name: "requests",
  about: "the server answers any bytes with whole answers of HTTP, logs no error, and goes on answering others",
  open: openServer,
};

/** Cases after which the server must answer another client. */
const ASK_EVERY = 50;
/** Longest time that the server may need for a case, in milliseconds; it sends a stream until its client ends. */
const PATIENCE_MS = 20_000;
/** First byte of a case: into how many pieces its bytes are cut. */
const MOST_PIECES = 4;

function openServer(): Opened {
  const activity = new Activity(() => Date.now());
  const history = new History(activity);
  const about = { version: "1.2.3", instance: "here/1", topic: "clicks", startedAt: 0, settings: {} };
  const audience = new Audience(() => performance.now());
  const shown = {
    notReady: () => activity.notReady,
    status: () => statusReport(about, activity, history, { now: 0, stopping: false, database: null }),
    stream: () => audience.join([["hello", null]]),
    metrics: new Metrics(activity),
  };
  const logged: string[] = [];
  const log = openLog({ level: "debug", format: "json", write: (line) => logged.push(line) });
  const server = serveHttp({ hostname: "127.0.0.1", port: 0 }, shown, log, { limits: LIMITS });
  let done = 0;
  return {
    draw: drawConnection,
    async check(input) {
      const outcome = await connection(server.address, input);
      assert.deepEqual(logged, [], "the server has logged an error");
      if (++done % ASK_EVERY === 0) {
        const answer = await connection(server.address, bytesOf("\0GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert.equal(answer, "200", "another client is not answered");
      }
      return outcome;
    },
    async close() {
      audience.close();
      await server.close();
    },
  };
}

/**
 * Sends bytes, but the first, on a connection of their own; returns the statuses of the answers.
 *
 * @throws {AssertionError} if an answer is not one of HTTP
 */
export async function connection(
  address: { readonly hostname: string; readonly port: number },
  input: Uint8Array,
): Promise<string> {
  const client = await Deno.connect(address);
  const timer = setTimeout(() => client.close(), PATIENCE_MS);
  try {
    const bytes = input.subarray(1);
    const size = Math.ceil(bytes.length / (1 + (input[0] ?? 0) % MOST_PIECES));
    // The server may close the connection before it has read everything.
    const sending = sent(client, bytes, Math.max(1, size)).catch(() => {});
    const answers = await received(client);
    await sending;
    return statusesOf(answers, bytes);
  } finally {
    clearTimeout(timer);
    try {
      client.close();
    } catch {
      // It was too late.
    }
  }
}

async function sent(client: Deno.TcpConn, bytes: Uint8Array, size: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    for (let n = 0; n < piece.length;) n += await client.write(piece.subarray(n));
  }
  await client.closeWrite();
}

async function received(client: Deno.TcpConn): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const buffer = new Uint8Array(64 * 1024);
  for (;;) {
    // A connection that is closed with bytes in flight may end as a reset.
    const read = await client.read(buffer).catch(() => null);
    if (read === null) return concat(pieces);
    pieces.push(buffer.slice(0, read));
  }
}

/** The statuses of answers one after another; each must be whole, but for the last. */
function statusesOf(bytes: Uint8Array, asked: Uint8Array): string {
  const text = LATIN1.decode(bytes);
  const statuses: string[] = [];
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\r\n\r\n", at);
    assert.ok(end >= 0, `an answer without an end of its head: ${JSON.stringify(text.slice(at, at + 200))}`);
    const [line = "", ...headers] = text.slice(at, end).split("\r\n");
    const [, status] = /^HTTP\/1\.1 (200|400|404|405|421|431|503|505) [A-Z][A-Za-z -]*$/.exec(line) ?? [];
    assert.ok(status !== undefined, `another status line: ${JSON.stringify(line)}`);
    for (const header of headers) assert.match(header, /^[a-z-]+: [\x20-\x7e]*$/);
    statuses.push(status);
    const length = headers.find((header) => header.startsWith("content-length: "));
    at = end + 4;
    // A stream ends with its connection; an answer to HEAD has a length, and no body.
    if (length === undefined) {
      assert.ok(status === "200" && headers.includes("content-type: text/event-stream"), "an answer without a length");
      break;
    }
    if (!text.startsWith("HTTP/1.1 ", at)) at += Number(length.slice("content-length: ".length));
  }
  // No answer to bytes that a client never sent as a request.
  const lines = LATIN1.decode(asked).split("\n").length;
  assert.ok(statuses.length <= lines + 1, `${statuses.length} answers to ${lines} lines`);
  return statuses.length > 3 ? "many" : statuses.join(" ") || "none";
}

function drawConnection(random: Random): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.of(random.below(MOST_PIECES))];
  for (let left = random.chance(0.7) ? 1 : 1 + random.below(5); left > 0; left--) {
    parts.push(bytesOf(`${headText(random)}\r\n\r\n`));
    if (random.chance(0.1)) parts.push(bytesOf(random.pick(["hello", "0\r\n\r\n", "5\r\nhello\r\n", "\r\n", "\0"])));
  }
  if (random.chance(0.01)) parts.push(bytesOf(`GET / HTTP/1.1\r\nX: ${"y".repeat(random.below(40_000))}\r\n\r\n`));
  const all = concat(parts);
  return random.chance(0.5) ? concat([all.subarray(0, 1), mutated(random, all.subarray(1), 3)]) : all;
}
