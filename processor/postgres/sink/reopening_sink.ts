/**
 * A sink that reconnects after a failure.
 * @module
 */
import { type Commit, type Positions, PositionsMoved, type Sink } from "../../pipeline/commit.ts";
import { revocable } from "../database_errors.ts";

/**
 * Passes all calls to a sink that it opens on demand, and opens again after a failure. Once it has read, a login that
 * PostgreSQL refuses is worth a retry, and once it has committed, so is a missing right: they were there, somebody took
 * them away, and may give them back. Before that, both are mistakes of the configuration.
 */
export class ReopeningSink implements Sink {
  readonly #open: () => Promise<Sink>;
  #sink: Promise<Sink> | null = null;
  #hasRead = false;
  #hasCommitted = false;

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

  async positions(topic: string, partitions: readonly number[]): Promise<Positions> {
    const positions = await this.#use((sink) => sink.positions(topic, partitions));
    this.#hasRead = true;
    return positions;
  }

  async commit(commit: Commit): Promise<void> {
    await this.#use((sink) => sink.commit(commit));
    this.#hasCommitted = true;
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
      throw revocable(error, { login: this.#hasRead, rights: this.#hasCommitted });
    }
  }
}
