/**
 * Server-sent events to whoever looks. What is sent is written once for all of them; who can't keep up misses some of it
 * and is told so, and never makes the process grow.
 * @module
 */

/** Bytes that may wait for one client. */
const QUEUE_BYTES = 256 * 1024;

/** A client whose queue has been full for as long is given up, in milliseconds. */
const GIVE_UP_AFTER_MS = 30_000;

/** Most clients at a time. */
export const MOST_CLIENTS = 500;

/** An event as it is sent: a name, and what will be its JSON. */
export type Sent = readonly [event: string, data: unknown];

interface Client {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  /** Messages that it has missed since it was last told. */
  missed: number;
  /** Since when its queue has been full; null if it isn't. */
  fullSinceMs: number | null;
}

const TEXT = new TextEncoder();

/** Everybody who looks. */
export class Audience {
  readonly #clients = new Set<Client>();
  readonly #now: () => number;
  readonly #changed: (count: number) => void;

  /**
   * @param now milliseconds on a clock that only goes forward
   * @param changed is told how many there are, whenever that changes
   */
  constructor(now: () => number, changed: (count: number) => void = () => {}) {
    this.#now = now;
    this.#changed = changed;
  }

  /** How many there are. */
  get size(): number {
    return this.#clients.size;
  }

  /** What one more client is sent, beginning with a greeting; null if there are too many. */
  join(greeting: readonly Sent[]): ReadableStream<Uint8Array> | null {
    if (this.#clients.size >= MOST_CLIENTS) return null;
    let client: Client;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        client = { controller, missed: 0, fullSinceMs: null };
        controller.enqueue(TEXT.encode(`retry: 1000\n\n${written(greeting)}`));
        this.#clients.add(client);
        this.#changed(this.#clients.size);
      },
      pull: () => this.#catchUp(client),
      cancel: () => this.#leave(client),
    }, new ByteLengthQueuingStrategy({ highWaterMark: QUEUE_BYTES }));
  }

  /** Sends the same to all. */
  send(all: readonly Sent[]): void {
    if (this.#clients.size === 0) return;
    const bytes = TEXT.encode(written(all));
    for (const client of this.#clients) this.#sendTo(client, bytes);
  }

  /** Sends all of them away. */
  close(): void {
    for (const client of this.#clients) {
      this.#leave(client);
      client.controller.close();
    }
  }

  #sendTo(client: Client, bytes: Uint8Array): void {
    if ((client.controller.desiredSize ?? 0) > 0) return client.controller.enqueue(bytes);
    client.missed++;
    client.fullSinceMs ??= this.#now();
    if (this.#now() - client.fullSinceMs < GIVE_UP_AFTER_MS) return;
    this.#leave(client);
    client.controller.error(new Error("the client does not take what it is sent"));
  }

  /** Called when there is room again. */
  #catchUp(client: Client): void {
    if (client.missed === 0) return;
    client.controller.enqueue(TEXT.encode(written([["missed", { messages: client.missed }]])));
    client.missed = 0;
    client.fullSinceMs = null;
  }

  #leave(client: Client): void {
    if (this.#clients.delete(client)) this.#changed(this.#clients.size);
  }
}

/** JSON has no line ends but in whitespace, so each event is one line of data. */
function written(all: readonly Sent[]): string {
  return all.map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join("");
}
