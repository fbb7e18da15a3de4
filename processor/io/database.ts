/**
 * PostgreSQL, on a server or embedded: the little that the processor asks of it.
 * @module
 */
import { Buffer } from "node:buffer";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { PGlite, type Transaction } from "@electric-sql/pglite";
// @ts-types="@types/pg"
import pg from "pg";
// @ts-types="@types/pg-copy-streams"
import { from as copyFrom } from "pg-copy-streams";
import { Unavailable } from "../pipeline.ts";

/** What a statement returned. */
export interface Result<R> {
  readonly rows: R[];
  /** Rows returned or changed. */
  readonly rowCount: number;
}

/** One connection to PostgreSQL. Parameters and results are best asked for as text: no parser stands between. */
export interface Database {
  query<R = Record<string, unknown>>(sql: string, params?: readonly unknown[]): Promise<Result<R>>;
  /** Runs several statements, which take no parameters. */
  exec(sql: string): Promise<void>;
  /** Runs `copy … from stdin` in text format with these chunks. */
  copyIn(sql: string, chunks: Iterable<Uint8Array>): Promise<void>;
  /** Runs `body` in a transaction: committed when it resolves, rolled back when it rejects. */
  transaction<T>(body: (tx: Database) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** PostgreSQL can't be reached, is starting, stopping, full, or has ended the connection: worth another try. */
export class DatabaseUnavailable extends Unavailable {
  override readonly name = "DatabaseUnavailable";
}

/** How to connect. */
export interface PostgresOptions {
  /** PEM text of the authority that the server's certificate must come from; with it, TLS is required. */
  readonly tlsCa?: string;
  readonly applicationName?: string;
  /** Session settings, such as `statement_timeout`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Longest time to wait for the connection, in milliseconds. */
  readonly connectTimeoutMs?: number;
}

/**
 * Classes and codes of SQLSTATE that a later try may get past: connection trouble, resources, an operator's
 * intervention, deadlocks and serialization, locks and time limits, read-only while failing over.
 */
const TRANSIENT = /^(08|53|57P|58|40)|^(55P03|57014|25006|25P03|25P04)$/;

/** True for an error that is the world's fault and may pass. */
export function isTransient(error: unknown): boolean {
  if (error instanceof Unavailable) return true;
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && !code.startsWith("E")) return TRANSIENT.test(code);
  if (typeof code === "string" && /^E[A-Z]+/.test(code)) return true;
  return /Connection terminated|Connection ended|not queryable|timeout|socket|ECONN/i.test(String(message));
}

/** Connects to a server. `url` is `postgres://user:password@host:port/database`; it is never shown. */
export async function openPostgres(url: string, options: PostgresOptions = {}): Promise<Database> {
  const { tlsCa, applicationName = "clickstream", settings = {}, connectTimeoutMs = 10_000 } = options;
  const client = new pg.Client({
    connectionString: url,
    application_name: applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    ...(tlsCa === undefined ? {} : { ssl: { ca: tlsCa, rejectUnauthorized: true } }),
    options: Object.entries({ TimeZone: "UTC", DateStyle: "ISO", ...settings })
      .map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\ ]/g, "\\$&")}`).join(" "),
  });
  const database = new PostgresDatabase(client);
  await database.connect();
  return database;
}

class PostgresDatabase implements Database {
  readonly #client: pg.Client;
  /** Why the connection is lost; a client that has ended says less. */
  #lost: Error | null = null;

  constructor(client: pg.Client) {
    this.#client = client;
    // Without a listener a connection that is lost while idle would end the process.
    client.on("error", (error) => this.#lost ??= error);
    client.on("end", () => this.#lost ??= new Error("the connection has ended"));
  }

  async connect(): Promise<void> {
    try {
      await this.#client.connect();
    } catch (error) {
      await this.#client.end().catch(() => {});
      const { host, port, database, user } = this.#client;
      throw named(error, `connect to PostgreSQL at ${host}:${port}, database ${database}, as ${user}`);
    }
  }

  async query<R>(sql: string, params?: readonly unknown[]): Promise<Result<R>> {
    const result = await this.#run(() => this.#client.query(sql, params === undefined ? undefined : [...params]));
    return { rows: result.rows as R[], rowCount: result.rowCount ?? 0 };
  }

  async exec(sql: string): Promise<void> {
    await this.#run(() => this.#client.query(sql));
  }

  async copyIn(sql: string, chunks: Iterable<Uint8Array>): Promise<void> {
    await this.#run(() => pipeline(Readable.from(chunks), this.#client.query(copyFrom(sql))));
  }

  async transaction<T>(body: (tx: Database) => Promise<T>): Promise<T> {
    await this.exec("begin");
    try {
      const value = await body(this);
      await this.exec("commit");
      return value;
    } catch (error) {
      // Where the connection is lost the server rolls back by itself; the first error says why.
      await this.exec("rollback").catch(() => {});
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => {});
  }

  async #run<T>(body: () => Promise<T>): Promise<T> {
    if (this.#lost !== null) throw named(this.#lost, "use the connection to PostgreSQL");
    try {
      return await body();
    } catch (error) {
      throw named(error, "run a statement on PostgreSQL");
    }
  }
}

/** The error as one that says what was attempted, and whether another try is worth it. */
function named(error: unknown, attempted: string): Error {
  const message = error instanceof Error ? error.message || String((error as { code?: string }).code) : String(error);
  if (isTransient(error)) return new DatabaseUnavailable(`could not ${attempted}: ${message}`, { cause: error });
  return new Error(`could not ${attempted}: ${message}`, { cause: error });
}

/** Opens the embedded PostgreSQL in `folder`, or in memory. */
export async function openEmbedded(folder?: string): Promise<Database> {
  const db = await PGlite.create(folder === undefined ? {} : { dataDir: folder });
  await db.exec("set timezone = 'UTC'");
  return new EmbeddedDatabase(db, db);
}

class EmbeddedDatabase implements Database {
  readonly #db: PGlite;
  readonly #in: PGlite | Transaction;

  constructor(db: PGlite, within: PGlite | Transaction) {
    this.#db = db;
    this.#in = within;
  }

  async query<R>(sql: string, params?: readonly unknown[]): Promise<Result<R>> {
    const { rows, affectedRows } = await this.#in.query<R>(sql, params === undefined ? undefined : [...params]);
    return { rows, rowCount: Math.max(affectedRows ?? 0, rows.length) };
  }

  async exec(sql: string): Promise<void> {
    await this.#in.exec(sql);
  }

  async copyIn(sql: string, chunks: Iterable<Uint8Array>): Promise<void> {
    const blob = new Blob([Buffer.concat([...chunks])]);
    await this.#in.query(sql.replace(/from stdin/i, "from '/dev/blob'"), [], { blob });
  }

  async transaction<T>(body: (tx: Database) => Promise<T>): Promise<T> {
    return await this.#db.transaction((tx) => body(new EmbeddedDatabase(this.#db, tx)));
  }

  async close(): Promise<void> {
    await this.#db.close();
  }
}
