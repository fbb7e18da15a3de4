/**
 * Server-sent events to the clients of the status page. A message is serialised once for all of them. A slow client misses
 * messages and is told so; its queue is bounded.
 * @module
 */

/** Most bytes queued for one client. */
const QUEUE_BYTES = 256 * 1024;

/** A client is disconnected after its queue was full for this long, in milliseconds. */
const GIVE_UP_AFTER_MS = 30_000;

/** Most clients. */
export const MOST_CLIENTS = 500;

/** A message: the name of the event and its data. */
export type Sent = readonly [event: string, data: unknown];

interface Client {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  /** Missed messages since it was last told. */
  missed: number;
  /** Since when its queue is full; null if it is not. */
  fullSinceMs: number | null;
}

const TEXT = new TextEncoder();

/** All clients. */
export class Audience {
  readonly #clients = new Set<Client>();
  readonly #now: () => number;
  readonly #changed: (count: number) => void;

  /**
   * @param now monotonic clock, in milliseconds
   * @param changed called with the number of clients whenever it changes
   */
  constructor(now: () => number, changed: (count: number) => void = () => {}) {
    this.#now = now;
    this.#changed = changed;
  }

  /** Number of clients. */
  get size(): number {
    return this.#clients.size;
  }

  /** The stream of one more client, starting with a greeting; null if there are too many. */
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

  /** Sends messages to all clients. */
  send(all: readonly Sent[]): void {
    if (this.#clients.size === 0) return;
    const bytes = TEXT.encode(written(all));
    for (const client of this.#clients) this.#sendTo(client, bytes);
  }

  /** Disconnects all clients. */
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

  /** Called when the queue has room again. */
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

/** JSON has line ends only in whitespace, so each event is one line of data. */
function written(all: readonly Sent[]): string {
  return all.map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join("");
}
