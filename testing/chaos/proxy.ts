/**
 * A TCP proxy with faults, between the service and a server: slow, narrow, silent, half open, or reset.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { closed, reset } from "./reset.ts";

/** State of the network. */
export interface Weather {
  /** Delay of each piece of data, in milliseconds. */
  readonly latencyMs: number;
  readonly bytesPerSecond: number;
  /** Whether nothing passes, and nobody is told. */
  readonly isHole: boolean;
  /** Whether new connections are closed at once. */
  readonly isRefusing: boolean;
}

/** The network as it should be. */
export const FAIR: Weather = { latencyMs: 0, bytesPerSecond: Infinity, isHole: false, isRefusing: false };

/** How a connection ends: `silent` takes whatever comes, answers nothing, and never ends. */
export type Ending = "reset" | "close" | "silent";

/** How much of some data passes, and how the connection ends after it; null: it goes on. */
export interface Verdict {
  readonly bytes: number;
  readonly then: Ending | null;
}

/** Looks at what passes through one connection. */
export interface Watch {
  fromClient(data: Uint8Array): Verdict;
  fromServer(data: Uint8Array): Verdict;
}

const PIECE_BYTES = 64 * 1024;
/** How often a connection in a hole looks whether that has ended, in milliseconds. */
const LOOK_EVERY_MS = 20;

/** A proxy in front of one local port. */
export class Proxy implements AsyncDisposable {
  /** Where it listens. */
  readonly port: number;
  weather: Weather = FAIR;
  readonly #listener: Deno.TcpListener;
  readonly #watch: (() => Watch) | null;
  readonly #links = new Set<Link>();
  readonly #running: Promise<void>;

  /**
   * @param target port of the server, asked for at every connection
   * @param watch creates what looks at a new connection
   */
  constructor(target: () => number, watch: (() => Watch) | null = null, port = 0) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port });
    this.port = this.#listener.addr.port;
    this.#watch = watch;
    this.#running = this.#listen(target);
  }

  /** Number of open connections. */
  get size(): number {
    return this.#links.size;
  }

  /** Ends all connections; returns their number. */
  end(how: Ending): number {
    const { size } = this.#links;
    for (const link of this.#links) link.end(how);
    return size;
  }

  async #listen(target: () => number): Promise<void> {
    for await (const client of this.#listener) void this.#serve(client, target());
  }

  async #serve(client: Deno.TcpConn, port: number): Promise<void> {
    if (this.weather.isRefusing) return closed(client);
    const server = await Deno.connect({ hostname: "127.0.0.1", port }).catch(() => null);
    if (server === null) return reset(client);
    const link = new Link(client, server, () => this.weather, this.#watch?.() ?? null);
    this.#links.add(link);
    await link.ended;
    this.#links.delete(link);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#running;
    this.end("close");
  }
}

/** One connection. */
class Link {
  /** Resolves at its end. */
  readonly ended: Promise<void>;
  readonly #client: Deno.TcpConn;
  readonly #server: Deno.TcpConn;
  readonly #weather: () => Weather;
  readonly #watch: Watch | null;
  #isSilent = false;
  #isOver = false;

  constructor(client: Deno.TcpConn, server: Deno.TcpConn, weather: () => Weather, watch: Watch | null) {
    this.#client = client;
    this.#server = server;
    this.#weather = weather;
    this.#watch = watch;
    client.setNoDelay();
    server.setNoDelay();
    this.ended = Promise.all([this.#pass(client, server), this.#pass(server, client)]).then(() => this.end("close"));
  }

  end(how: Ending): void {
    if (this.#isOver) return;
    if (how === "silent") {
      // The server's side ends, but the client never learns it.
      this.#isSilent = true;
      return closed(this.#server);
    }
    this.#isOver = true;
    for (const side of [this.#client, this.#server]) (how === "reset" ? reset : closed)(side);
  }

  async #pass(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(PIECE_BYTES);
    try {
      for (;;) {
        const count = await from.read(buffer);
        if (count === null) break;
        if (this.#isSilent) continue;
        const data = buffer.subarray(0, count);
        const { bytes, then } = this.#look(from, data);
        await this.#wait(bytes);
        if (!this.#isSilent) await write(to, data.subarray(0, bytes));
        if (then !== null) this.end(then);
      }
      if (!this.#isSilent) await to.closeWrite();
      else if (from === this.#client) this.#finish();
    } catch {
      // A side that fails ends both, except that a silent connection hides its server's end.
      if (!this.#isSilent || from === this.#client) this.#finish();
    }
  }

  #finish(): void {
    this.#isSilent = false;
    this.end("close");
  }

  #look(from: Deno.TcpConn, data: Uint8Array): Verdict {
    if (this.#watch === null) return { bytes: data.length, then: null };
    return from === this.#client ? this.#watch.fromClient(data) : this.#watch.fromServer(data);
  }

  async #wait(bytes: number): Promise<void> {
    const { latencyMs, bytesPerSecond } = this.#weather();
    const waitMs = latencyMs + bytes / bytesPerSecond * 1000;
    if (waitMs >= 1) await setTimeout(waitMs);
    while (this.#weather().isHole && !this.#isOver) await setTimeout(LOOK_EVERY_MS);
  }
}

async function write(to: Deno.TcpConn, data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length;) at += await to.write(data.subarray(at));
}
