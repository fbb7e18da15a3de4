/**
 * HTTP/1.1 connections within limits on time, size and number, which Deno's own server doesn't have: whoever is slow or
 * idle is let go, whoever comes new is answered, and running out of files ends nothing.
 * @module
 */
import { inWords } from "../config/secret.ts";
import { type HttpRequest, parseHead } from "./head.ts";
import type { Log } from "../host/log.ts";

/** An answer to a request. A stream is sent as it comes, and ends the connection. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | ReadableStream<Uint8Array> | null;
}

/** Limits on a connection. */
export interface Limits {
  /** Most connections, without those that take a stream. One more, and the one that did nothing for longest is closed. */
  readonly connections: number;
  /** Milliseconds for a request's head to come, from its first byte, or from the connection's beginning. */
  readonly headMs: number;
  /** Milliseconds that a connection may wait for its next request. */
  readonly idleMs: number;
  /** Milliseconds in which a client has to take some of what it is sent. */
  readonly writeMs: number;
  /** Most bytes of a request's head. */
  readonly headBytes: number;
}

/** Limits that hold where nothing else is said. Prometheus asks every 15 s, on the same connection. */
export const LIMITS: Limits = {
  connections: 256,
  headMs: 10_000,
  idleMs: 60_000,
  writeMs: 30_000,
  headBytes: 16 * 1024,
};

/** How often it is looked for who has been too slow, in milliseconds. */
const SWEEP_MS = 500;

/** After an error of accepting, it is tried again; said in the log at most so often, in milliseconds. */
const ACCEPT_AGAIN_MS = 100;
const SAY_AGAIN_MS = 60_000;
/** At least so many connections may be held, however few files are left. */
const LEAST_CONNECTIONS = 16;

/** A client that has been answered and is let go has time to read the answer, in milliseconds. */
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

/** All connections to one address. */
export class Connections {
  readonly #listener: Deno.TcpListener;
  readonly #answer: (request: HttpRequest) => Answer | Promise<Answer>;
  /** The answer to what is no request. */
  readonly #refuse: (status: number, reason: string) => Answer;
  readonly #log: Log;
  readonly #limits: Limits;
  /** Those that take no stream, the one that has done nothing for longest first. */
  readonly #plain = new Set<Connection>();
  readonly #streaming = new Set<Connection>();
  readonly #running = new Set<Promise<void>>();
  readonly #sweep: number;
  /** How many may be held: less than the limit once no file was left, for Kafka and PostgreSQL need some too. */
  #most: number;
  /** Closed ones of which a write is not over: Deno can't end it, only the client can. */
  #stuck = 0;
  #isClosed = false;
  #saidMs = -Infinity;

  /** @param refuse makes the answer to what is no request */
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

  /** Ends all, without waiting for who is still being answered. */
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

  /** No file may be left for one more connection, or it was gone before it was taken: that passes. */
  async #recover(error: unknown): Promise<void> {
    this.#most = Math.max(LEAST_CONNECTIONS, Math.min(this.#most, this.#plain.size) >> 1);
    this.#letGo(this.#plain.size - this.#most);
    const nowMs = performance.now();
    if (nowMs - this.#saidMs >= SAY_AGAIN_MS) {
      this.#saidMs = nowMs;
      this.#log.warn("could not accept an HTTP connection; tries again", { reason: inWords(error) });
    }
    await new Promise((resolve) => setTimeout(resolve, ACCEPT_AGAIN_MS));
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
      // The client is gone, or was let go.
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

  /** Answers one request; returns whether another may follow. */
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
  /** When it is closed, on the clock of `performance.now`. */
  dueMs = 0;
  readonly #tcp: Deno.TcpConn;
  readonly #limits: Limits;
  /** What has been read and not used; `#used` bytes of it count. */
  #bytes = new Uint8Array(1024);
  #used = 0;
  #isClosed = false;
  /** The write that is not over. */
  writing: Promise<number> | null = null;
  /** Gives up waiting for it. */
  #giveUp: () => void = () => {};

  constructor(tcp: Deno.TcpConn, limits: Limits) {
    this.#tcp = tcp;
    this.#limits = limits;
    this.within(limits.headMs);
  }

  /** Gives it so much time from now on. */
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
      // It was closed from the other side.
    }
  }

  /** The head of the next request, without the empty line at its end; null if none comes. */
  async readHead(): Promise<string | "too long" | "no request" | null> {
    let looked = 0;
    for (;;) {
      // Before it may be left what ended the body of the last request.
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

  /** Sends what comes, until that or the client ends. */
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

  /** Leaves a client that has sent more than was read the time to read the answer: closing at once would cut it off. */
  async linger(): Promise<void> {
    this.within(LINGER_MS);
    await this.#tcp.closeWrite();
    await this.#discard(LINGER_BYTES);
  }

  /** Reads until the client ends, or has sent so many bytes. */
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

  /** Writes what the client takes, or throws once the connection is closed, which does not end the write itself. */
  async #writeSome(bytes: Uint8Array): Promise<number> {
    const writing = this.writing = this.#tcp.write(bytes);
    const written = await new Promise<number>((resolve, reject) => {
      this.#giveUp = () => reject(new Error("the connection is closed"));
      writing.then(resolve, reject);
    }).catch((error) => {
      // It may be over all the same: then nothing is stuck.
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
