/**
 * Measures the statements of a commit.
 * @module
 */
import type { Database } from "../postgres/database.ts";
import type { TracedStatement } from "../status/traced_commit.ts";

/** Most statements of a commit that are listed; erasing a forgotten user may take thousands. */
const MOST_STATEMENTS = 64;

const TABLE = /\b(copy|insert into|update|delete from|merge into)\s+([a-z_][\w.]*)/i;
const READ = /^\s*(select|with)\b[^]*?\b(?:from|join)\s+([a-z_]\w*\.\w+)/i;

/** The statements of one commit, and how long each took. */
export class StatementTimes {
  readonly #sinceMs: number;
  readonly #statements: TracedStatement[] = [];
  #leftOut = 0;
  /** When the last one ended: they run one after another, however early they are called. */
  #endMs = 0;

  /** @param sinceMs when the commit was sent, by the same clock as all other times */
  constructor(sinceMs: number) {
    this.#sinceMs = sinceMs;
  }

  /** Adds a statement that was called at one time and answered at another. */
  add(sql: string, calledMs: number, answeredMs: number): void {
    const startMs = Math.max(calledMs - this.#sinceMs, this.#endMs);
    const endMs = this.#endMs = Math.max(startMs, answeredMs - this.#sinceMs);
    // The last place is kept for the commit itself.
    const isCommit = sql === "COMMIT";
    if (this.#statements.length >= MOST_STATEMENTS - (isCommit ? 0 : 1)) this.#leftOut++;
    else this.#statements.push({ ...summaryOf(sql), startMs, endMs });
  }

  get statements(): readonly TracedStatement[] {
    return this.#statements;
  }

  get leftOut(): number {
    return this.#leftOut;
  }
}

/** What a statement does, without its values. */
export function summaryOf(sql: string): Pick<TracedStatement, "operation" | "table"> {
  const [, verb, table] = TABLE.exec(sql) ?? READ.exec(sql) ?? [];
  if (verb === undefined) return { operation: /^\s*(\w+)/.exec(sql)?.[1]?.toUpperCase() ?? "UNKNOWN", table: null };
  const operation = verb.split(" ")[0]!.toUpperCase();
  return { operation: operation === "WITH" ? "SELECT" : operation, table: table! };
}

/**
 * The same connection, with the statements of transactions measured.
 *
 * @param into where to; null while nothing is traced
 * @param now monotonic clock, in milliseconds
 */
export function measured(db: Database, into: () => StatementTimes | null, now: () => number): Database {
  return {
    pooled: db.pooled,
    query: (sql, params) => db.query(sql, params),
    exec: (sql) => db.exec(sql),
    copyIn: (sql, chunks) => db.copyIn(sql, chunks),
    close: () => db.close(),
    async transaction(body) {
      const times = into();
      if (times === null) return await db.transaction(body);
      let doneMs = 0;
      const value = await db.transaction(async (tx) => {
        const value = await body(inside(tx, times, now));
        doneMs = now();
        return value;
      });
      times.add("COMMIT", doneMs, now());
      return value;
    },
  };
}

function inside(tx: Database, times: StatementTimes, now: () => number): Database {
  const timed = async <T>(sql: string, run: () => Promise<T>): Promise<T> => {
    const calledMs = now();
    try {
      return await run();
    } finally {
      times.add(sql, calledMs, now());
    }
  };
  return {
    pooled: tx.pooled,
    query: (sql, params) => timed(sql, () => tx.query(sql, params)),
    exec: (sql) => timed(sql, () => tx.exec(sql)),
    copyIn: (sql, chunks) => timed(sql, () => tx.copyIn(sql, chunks)),
    close: () => tx.close(),
    transaction: (body) => tx.transaction((nested) => body(inside(nested, times, now))),
  };
}
