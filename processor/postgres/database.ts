/**
 * PostgreSQL, on a server or embedded: the little that the processor asks of it.
 * @module
 */
import type { Result, Statements } from "./statements.ts";
export { DatabaseError, DatabaseUnavailable } from "./database_errors.ts";

/** One connection to PostgreSQL. Statements and transactions wait for each other. */
export interface Database extends Omit<Statements, "begin"> {
  /**
   * Runs `body` in a transaction: committed when it resolves, rolled back when it rejects. Inside, only `tx` may be
   * used: the connection itself waits for the end. A transaction in a transaction is a part of it.
   */
  transaction<T>(body: (tx: Database) => Promise<T>): Promise<T>;
}

/** Lets one thing be done after another. */
class Queue {
  #last: Promise<unknown> = Promise.resolve();

  after<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#last.then(run);
    this.#last = result.catch(() => {});
    return result;
  }
}

/** Lets statements and transactions wait for each other, so that none strays into the transaction of another. */
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
        // Where the connection is lost the server rolls back by itself; the first error says why.
        await statements.exec("rollback").catch(() => {});
        throw error;
      }
    });
  }

  async close(): Promise<void> {
    await this.#statements.close();
  }
}

/** A connection as it is seen from inside a transaction. */
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
