/**
 * A sink whose connection may be lost.
 * @module
 */
import { type Commit, type Position, PositionsMoved, type Sink } from "../../pipeline/commit.ts";

/** Passes everything on to a sink that it opens when needed, and opens anew after any failure of it. */
export class ReopeningSink implements Sink {
  readonly #open: () => Promise<Sink>;
  #sink: Promise<Sink> | null = null;

  constructor(open: () => Promise<Sink>) {
    this.#open = open;
  }

  /** Opens the sink if it isn't. */
  async open(): Promise<void> {
    await this.#use(() => Promise.resolve());
  }

  hashKey(): Promise<Uint8Array> {
    return this.#use((sink) => sink.hashKey());
  }

  positions(topic: string, partitions: readonly number[]): Promise<ReadonlyMap<number, Position>> {
    return this.#use((sink) => sink.positions(topic, partitions));
  }

  commit(commit: Commit): Promise<void> {
    return this.#use((sink) => sink.commit(commit));
  }

  async close(): Promise<void> {
    const sink = this.#sink;
    this.#sink = null;
    // One that could not be opened needs no closing.
    await sink?.then((opened) => opened.close(), () => {});
  }

  async #use<T>(body: (sink: Sink) => Promise<T>): Promise<T> {
    const mine = this.#sink ??= this.#open();
    try {
      return await body(await mine);
    } catch (error) {
      // A position that moved says nothing against the connection. With any other error nobody knows what state it is
      // in, and closing it must not take longer than opening another.
      if (!(error instanceof PositionsMoved) && this.#sink === mine) void this.close().catch(() => {});
      throw error;
    }
  }
}
