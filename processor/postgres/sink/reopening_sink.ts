/**
 * A sink that reconnects after a failure.
 * @module
 */
import { type Commit, type Position, PositionsMoved, type Sink } from "../../pipeline/commit.ts";

/** Passes all calls to a sink that it opens on demand, and opens again after a failure. */
export class ReopeningSink implements Sink {
  readonly #open: () => Promise<Sink>;
  #sink: Promise<Sink> | null = null;

  constructor(open: () => Promise<Sink>) {
    this.#open = open;
  }

  /** Opens the sink if it is not open. */
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
    // A sink that failed to open needs no closing.
    await sink?.then((opened) => opened.close(), () => {});
  }

  async #use<T>(body: (sink: Sink) => Promise<T>): Promise<T> {
    const mine = this.#sink ??= this.#open();
    try {
      return await body(await mine);
    } catch (error) {
      // A position that moved says nothing about the connection. After any other error its state is unknown. Do not
      // wait for it to close, so that another can be opened at once.
      if (!(error instanceof PositionsMoved) && this.#sink === mine) void this.close().catch(() => {});
      throw error;
    }
  }
}
