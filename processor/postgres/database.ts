/**
 * The interface to PostgreSQL, on a server or embedded: only what the processor needs.
 * @module
 */
import type { Result, Statements } from "./statements.ts";
export { DatabaseError, DatabaseUnavailable } from "./database_errors.ts";

/** One connection to PostgreSQL. It runs statements and transactions one after the other. */
export interface Database extends Omit<Statements, "begin"> {
  /**
   * Runs `body` in a transaction, which is committed if `body` resolves and rolled back if it rejects. Use only `tx` in
   * `body`: the connection itself waits for the end. A nested transaction is part of the outer one.
   */
  transaction<T>(body: (tx: Database) => Promise<T>): Promise<T>;
}

/** Runs functions one after the other. */
class Queue {
  #last: Promise<unknown> = Promise.resolve();

  after<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#last.then(run);
    this.#last = result.catch(() => {});
    return result;
  }
}

/** Runs statements and transactions one after the other, so that no statement gets into another's transaction. */
export class OneByOne implements Database {
  readonly #statements: Statements;
  readonly #queue = new Queue();

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  get pooled(): boolean {
    return this.#statements.pooled;
  }

  query<R>(sql: string, params?: readonly unknown[]): Promise<Result<R>> {
    if (this.pooled) return this.transaction((tx) => tx.query<R>(sql, params));
    return this.#queue.after(() => this.#statements.query<R>(sql, params));
  }

  exec(sql: string): Promise<void> {
    if (this.pooled) return this.transaction((tx) => tx.exec(sql));
    return this.#queue.after(() => this.#statements.exec(sql));
  }

  copyIn(sql: string, chunks: Iterable<Uint8Array>): Promise<void> {
    if (this.pooled) return this.transaction((tx) => tx.copyIn(sql, chunks));
    return this.#queue.after(() => this.#statements.copyIn(sql, chunks));
  }

  transaction<T>(body: (tx: Database) => Promise<T>): Promise<T> {
    return this.#queue.after(async () => {
      const statements = this.#statements;
      try {
        await statements.exec(statements.begin);
        const value = await body(new Inside(statements));
        await statements.exec("commit");
        return value;
      } catch (error) {
        // If the connection is lost, the server rolls back by itself. The first error is the cause.
        await statements.exec("rollback").catch(() => {});
        throw error;
      }
    });
  }

  async close(): Promise<void> {
    await this.#statements.close();
  }
}

/** The connection inside a transaction. */
class Inside implements Database {
  readonly pooled: boolean;
  readonly query: Database["query"];
  readonly exec: Database["exec"];
  readonly copyIn: Database["copyIn"];

  constructor(statements: Statements) {
    const queue = new Queue();
    this.pooled = statements.pooled;
    this.query = (sql, params) => queue.after(() => statements.query(sql, params));
    this.exec = (sql) => queue.after(() => statements.exec(sql));
    this.copyIn = (sql, chunks) => queue.after(() => statements.copyIn(sql, chunks));
  }

  transaction<T>(body: (tx: Database) => Promise<T>): Promise<T> {
    return body(this);
  }

  close(): Promise<void> {
    return Promise.reject(new Error("could not close the connection: a transaction is under way"));
  }
}
