/**
 * HTTP/1.1 connections with limits on time, size and number, which Deno's own server does not have. Slow and idle clients
 * are closed, new clients are answered, and running out of file descriptors stops nothing.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { inWords } from "../config/secret.ts";
import { type HttpRequest, parseHead } from "./head.ts";
import type { Log } from "../host/log.ts";

/** A response. A stream is sent as it comes, and its end closes the connection. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | ReadableStream<Uint8Array> | null;
}

/** Limits of connections. */
export interface Limits {
  /** Most connections, without those with a stream. One more closes the one that was idle for longest. */
  readonly connections: number;
  /** Longest time for a request's head, in milliseconds. */
  readonly headMs: number;
  /** Longest wait for the next request, in milliseconds. */
  readonly idleMs: number;
  /** Longest time in which a client reads nothing of a response, in milliseconds. */
  readonly writeMs: number;
  /** Most bytes of a request's head. */
  readonly headBytes: number;
}

/** Default limits. Prometheus scrapes every 15 s on the same connection. */
export const LIMITS: Limits = {
  connections: 256,
  headMs: 10_000,
  idleMs: 60_000,
  writeMs: 30_000,
  headBytes: 16 * 1024,
};

/** Interval of looking for slow clients, in milliseconds. */
const SWEEP_MS = 500;

/** Interval of log messages about errors of accept, which is retried, in milliseconds. */
const ACCEPT_AGAIN_MS = 100;
const SAY_AGAIN_MS = 60_000;
/** Connections that are kept however few file descriptors are left. */
const LEAST_CONNECTIONS = 16;

/** Time for a client to read the last response before its connection closes, in milliseconds. */
const LINGER_MS = 1000;
const LINGER_BYTES = 64 * 1024;

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};

const TEXT = new TextEncoder();
const LATIN1 = new TextDecoder("latin1");
const LETTER_A = 0x41;
const LETTER_Z = 0x5a;
const CR = 13;
const LF = 10;

/** All connections of one address. */
export class Connections {
  readonly #listener: Deno.TcpListener;
  readonly #answer: (request: HttpRequest) => Answer | Promise<Answer>;
  /** Response to a malformed request. */
  readonly #refuse: (status: number, reason: string) => Answer;
  readonly #log: Log;
  readonly #limits: Limits;
  /** Connections without a stream, the longest idle first. */
  readonly #plain = new Set<Connection>();
  readonly #streaming = new Set<Connection>();
  readonly #running = new Set<Promise<void>>();
  readonly #sweep: number;
  /** Most connections now: fewer than the limit after file descriptors ran out, because Kafka and PostgreSQL need some. */
  #most: number;
  /** Closed connections with a pending write, which only the client can end. */
  #stuck = 0;
  #isClosed = false;
  #saidMs = -Infinity;

  /** @param refuse makes the response to a malformed request */
  constructor(
    listener: Deno.TcpListener,
    answer: (request: HttpRequest) => Answer | Promise<Answer>,
    refuse: (status: number, reason: string) => Answer,
    log: Log,
    limits: Limits,
  ) {
    this.#listener = listener;
    this.#answer = answer;
    this.#refuse = refuse;
    this.#log = log;
    this.#limits = limits;
    this.#most = limits.connections;
    this.#sweep = setInterval(() => this.#closeLate(), SWEEP_MS);
    this.#run(this.#accept());
  }

  /** Closes all connections at once. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#sweep);
    this.#listener.close();
    for (const connection of [...this.#plain, ...this.#streaming]) connection.close();
    await Promise.all(this.#running);
  }

  #run(work: Promise<void>): void {
    const running = work.finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #accept(): Promise<void> {
    while (!this.#isClosed) {
      try {
        const connection = new Connection(await this.#listener.accept(), this.#limits);
        this.#letGo(this.#plain.size + 1 - this.#most);
        if (this.#stuck >= this.#limits.connections) {
          connection.close();
          continue;
        }
        this.#plain.add(connection);
        this.#run(this.#serve(connection));
      } catch (error) {
        if (!this.#isClosed) await this.#recover(error);
      }
    }
  }

  /** Accepting fails when file descriptors run out or a client is gone already: retry. */
  async #recover(error: unknown): Promise<void> {
    this.#most = Math.max(LEAST_CONNECTIONS, Math.min(this.#most, this.#plain.size) >> 1);
    this.#letGo(this.#plain.size - this.#most);
    const nowMs = performance.now();
    if (nowMs - this.#saidMs >= SAY_AGAIN_MS) {
      this.#saidMs = nowMs;
      this.#log.warn("could not accept an HTTP connection; tries again", { reason: inWords(error) });
    }
    await setTimeout(ACCEPT_AGAIN_MS);
  }

  #letGo(count: number): void {
    for (const connection of this.#plain) {
      if (count-- <= 0) return;
      this.#plain.delete(connection);
      connection.close();
    }
  }

  #closeLate(): void {
    const nowMs = performance.now();
    for (const all of [this.#plain, this.#streaming]) {
      for (const connection of all) if (connection.dueMs <= nowMs) connection.close();
    }
  }

  async #serve(connection: Connection): Promise<void> {
    try {
      while (await this.#turn(connection)) {
        connection.within(this.#limits.idleMs);
        this.#plain.delete(connection);
        this.#plain.add(connection);
      }
    } catch {
      // The client is gone, or was closed.
    } finally {
      this.#plain.delete(connection);
      this.#streaming.delete(connection);
      connection.close();
      if (connection.writing !== null) {
        this.#stuck++;
        void connection.writing.finally(() => this.#stuck--).catch(() => {});
      }
    }
  }

  /** Answers one request; true if another may follow. */
  async #turn(connection: Connection): Promise<boolean> {
    const head = await connection.readHead();
    if (head === null) return false;
    connection.within(this.#limits.writeMs);
    const request = head === "too long" ? null : head === "no request" ? parseHead("") : parseHead(head);
    if (request === null || "status" in request) {
      const [status, reason] = request === null
        ? [431, `the head of a request has at most ${this.#limits.headBytes} bytes here`] as const
        : [request.status, request.reason] as const;
      await connection.send(this.#refuse(status, reason), false, false);
      await connection.linger();
      return false;
    }
    const isHead = request.method === "HEAD";
    const answer = await this.#answered(request);
    if (answer.body instanceof ReadableStream) {
      this.#plain.delete(connection);
      this.#streaming.add(connection);
      await connection.stream(answer, answer.body);
      return false;
    }
    await connection.send(answer, isHead, request.keepAlive);
    if (!request.keepAlive) await connection.linger();
    return request.keepAlive;
  }

  async #answered(request: HttpRequest): Promise<Answer> {
    try {
      return await this.#answer(request);
    } catch (error) {
      this.#log.error("a request could not be answered", { reason: inWords(error) });
      return this.#refuse(500, "internal error; the log says more");
    }
  }
}

/** A connection of one client. */
class Connection {
  /** Deadline, on the clock of `performance.now`. */
  dueMs = 0;
  readonly #tcp: Deno.TcpConn;
  readonly #limits: Limits;
  /** Bytes that were read and not parsed; `#used` of them are valid. */
  #bytes = new Uint8Array(1024);
  #used = 0;
  #isClosed = false;
  /** The pending write. */
  writing: Promise<number> | null = null;
  /** Stops waiting for it. */
  #giveUp: () => void = () => {};

  constructor(tcp: Deno.TcpConn, limits: Limits) {
    this.#tcp = tcp;
    this.#limits = limits;
    this.within(limits.headMs);
  }

  /** Sets the deadline from now. */
  within(ms: number): void {
    this.dueMs = performance.now() + ms;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#giveUp();
    try {
      this.#tcp.close();
    } catch {
      // The client closed it.
    }
  }

  /** Head of the next request without the empty line at its end; null if none comes. */
  async readHead(): Promise<string | "too long" | "no request" | null> {
    let looked = 0;
    for (;;) {
      // The line end of the last request may come first.
      if (this.#used > 0 && (this.#bytes[0]! < LETTER_A || this.#bytes[0]! > LETTER_Z)) return "no request";
      const end = this.#endOfHead(looked);
      if (end >= 0) {
        const head = LATIN1.decode(this.#bytes.subarray(0, end));
        this.#bytes.copyWithin(0, end + 4, this.#used);
        this.#used -= end + 4;
        return head;
      }
      looked = Math.max(0, this.#used - 3);
      if (this.#used >= this.#limits.headBytes) return "too long";
      if (this.#used === this.#bytes.length) this.#grow();
      const read = await this.#tcp.read(this.#bytes.subarray(this.#used));
      if (read === null) return null;
      if (this.#used === 0) this.within(this.#limits.headMs);
      this.#used += read;
    }
  }

  async send({ status, headers, body }: Answer, isHead: boolean, keepAlive: boolean): Promise<void> {
    const bytes = TEXT.encode(typeof body === "string" ? body : "");
    const length = isHead && body === null ? {} : { "content-length": String(bytes.length) };
    const more = { ...length, ...keepAlive ? {} : { connection: "close" } };
    await this.#write(TEXT.encode(headOf(status, { ...headers, ...more })));
    if (!isHead) await this.#write(bytes);
  }

  /** Sends a stream until it or the client ends. */
  async stream({ status, headers }: Answer, body: ReadableStream<Uint8Array>): Promise<void> {
    const reader = body.getReader();
    try {
      await this.#write(TEXT.encode(headOf(status, { ...headers, connection: "close" })));
      void this.#discard(Infinity).catch(() => {}).then(() => reader.cancel()).catch(() => {});
      for (;;) {
        this.dueMs = Infinity;
        const { done, value } = await reader.read();
        if (done) return;
        await this.#write(value);
      }
    } finally {
      await reader.cancel().catch(() => {});
    }
  }

  /** Gives a client that sent too much the time to read the response: closing at once would cut it off. */
  async linger(): Promise<void> {
    this.within(LINGER_MS);
    await this.#tcp.closeWrite();
    await this.#discard(LINGER_BYTES);
  }

  /** Reads until the client closes, or up to this many bytes. */
  async #discard(most: number): Promise<void> {
    const bytes = new Uint8Array(1024);
    for (let read = 0; read < most;) {
      const more = await this.#tcp.read(bytes);
      if (more === null) return;
      read += more;
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let written = 0; written < bytes.length;) {
      this.within(this.#limits.writeMs);
      written += await this.#writeSome(bytes.subarray(written));
    }
  }

  /** Writes bytes; throws once the connection is closed, which does not end the write itself. */
  async #writeSome(bytes: Uint8Array): Promise<number> {
    const writing = this.writing = this.#tcp.write(bytes);
    const written = await new Promise<number>((resolve, reject) => {
      this.#giveUp = () => reject(new Error("the connection is closed"));
      writing.then(resolve, reject);
    }).catch((error) => {
      // It may have ended meanwhile: then nothing hangs.
      writing.then(() => this.writing = null, () => this.writing = null);
      throw error;
    });
    this.writing = null;
    return written;
  }

  #endOfHead(from: number): number {
    const bytes = this.#bytes.subarray(0, this.#used);
    for (let at = bytes.indexOf(CR, from); at >= 0 && at + 3 < bytes.length; at = bytes.indexOf(CR, at + 1)) {
      if (bytes[at + 1] === LF && bytes[at + 2] === CR && bytes[at + 3] === LF) return at;
    }
    return -1;
  }

  #grow(): void {
    const bytes = new Uint8Array(Math.min(this.#limits.headBytes, 4 * this.#bytes.length));
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }
}

function headOf(status: number, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ ...headers, date: new Date().toUTCString() }).map(([name, value]) =>
    `${name}: ${value}\r\n`
  );
  return `HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\n${lines.join("")}\r\n`;
}
