/**
 * A connection to a PostgreSQL server.
 * @module
 */
import type { Duplex } from "node:stream";
// @ts-types="@types/pg"
import pg from "pg";
import type { ConnectionOptions } from "node:tls";
import {
  type DatabaseAddress,
  type DatabaseHost,
  hostText,
  parseDatabaseUrl,
  type TlsMode,
} from "../config/database_url.ts";
import { keyOf } from "../config/files.ts";
import { DatabaseError, databaseError, DatabaseUnavailable, OwnMistake } from "./database_errors.ts";
import { BinaryParameter } from "./binary.ts";
import { type Database, OneByOne } from "./database.ts";
import { readValue, type Result, type Statements, written } from "./statements.ts";
import { type Done, SendBuffer, StreamedCopy, StreamedQuery } from "./streamed.ts";

/** How to connect. */
export interface PostgresOptions {
  /** PEM text of the certificate authorities to trust; with it, TLS is required. */
  readonly tlsCa?: string;
  /** Gives the password of each login, such as a token that expires, in place of the address's. */
  readonly password?: (at: DatabaseHost, user: string) => Promise<string>;
  readonly applicationName?: string;
  /** Session settings, such as `statement_timeout` or `lock_timeout`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Longest time to wait for the connection, in milliseconds. */
  readonly connectTimeoutMs?: number;
  /** Longest time to wait for an answer before closing the connection, in milliseconds (default: no limit). */
  readonly answerTimeoutMs?: number;
}

const CLOSE_TIMEOUT_MS = 2000;

/**
 * Connects to the first server in `url` that answers and fits `target_session_attrs`. If a server refuses the login,
 * the others are not tried, as in libpq.
 *
 * @throws {RangeError} if `url` is not the address of a database
 */
export async function postgresStatements(url: string, options: PostgresOptions): Promise<Statements> {
  const address = parseDatabaseUrl(url);
  const reasons: DatabaseUnavailable[] = [];
  for (const host of address.hosts) {
    try {
      return await connectedAsAllowed(address, host, options);
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable)) throw error;
      reasons.push(error);
    }
  }
  if (reasons.length === 1) throw reasons[0]!;
  const kind = reasons.some((reason) => reason.kind === "postgres_unreachable")
    ? "postgres_unreachable"
    : "postgres_refuses";
  throw new DatabaseUnavailable(reasons.map(({ message }) => message).join("; "), { kind, cause: reasons[0] });
}

/** Whether to try a connection with TLS, in the order of the attempts. */
const WITH_TLS: Readonly<Record<TlsMode, readonly boolean[]>> = {
  "disable": [false],
  "allow": [false, true],
  "prefer": [true, false],
  "require": [true],
  "verify-ca": [true],
  "verify-full": [true],
};

/** Connects with TLS or without, as `sslmode` allows. */
async function connectedAsAllowed(
  address: DatabaseAddress,
  at: DatabaseHost,
  options: PostgresOptions,
): Promise<Statements> {
  // A Unix socket has no TLS.
  const [first, second] = at.host.startsWith("/")
    ? [false]
    : WITH_TLS[options.tlsCa === undefined ? address.tls : "verify-full"];
  try {
    return await connected(address, at, options, first!);
  } catch (error) {
    if (second === undefined || !isAboutTls(error)) throw error;
    try {
      return await connected(address, at, options, second);
    } catch (other) {
      // If the other way is refused for the same reason, the first error says more.
      throw isAboutTls(other) && !LACKS_TLS.test((error as Error).message) ? error : other;
    }
  }
}

const LACKS_TLS = /The server does not support SSL/;

/** SQLSTATE of a login that `pg_hba.conf` has no line for: it may have one with TLS, or without. */
const NO_LINE = "28000";

/** Whether a connection failed in a way that may differ with TLS and without. */
function isAboutTls(error: unknown): boolean {
  return error instanceof DatabaseError && (error.code === NO_LINE || error.code === null);
}

async function connected(
  address: DatabaseAddress,
  at: DatabaseHost,
  options: PostgresOptions,
  withTls: boolean,
): Promise<Statements> {
  const { tlsCa, applicationName = "clickstream", settings = {}, connectTimeoutMs = 10_000 } = options;
  const { user, database } = address;
  const password = options.password === undefined ? address.password : () => options.password!(at, user ?? "");
  const client = new pg.Client({
    ...at,
    database,
    ...(user === null ? {} : { user }),
    ...(password === null ? {} : { password }),
    ...(address.options === null ? {} : { options: address.options }),
    application_name: address.applicationName ?? applicationName,
    connectionTimeoutMillis: Math.min(connectTimeoutMs, address.connectTimeoutMs ?? Infinity),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: { getTypeParser: (oid: number) => (text: string) => readValue(oid, text) },
    ssl: withTls && tlsOf(address, tlsCa),
  });
  const statements = new PostgresStatements(
    client,
    options.answerTimeoutMs ?? null,
    `${hostText(at)}, database ${database}`,
  );
  await statements.connect();
  const all = { TimeZone: "UTC", DateStyle: "ISO", IntervalStyle: "iso_8601", bytea_output: "hex", ...settings };
  try {
    await verifyIsWanted(statements, address, at);
    await statements.keep(all);
  } catch (error) {
    await statements.close();
    throw error;
  }
  return statements;
}

/** TLS settings of the address; `tlsCa` overrides them. */
function tlsOf({ tls, files }: DatabaseAddress, tlsCa: string | undefined): ConnectionOptions {
  const mode = tlsCa === undefined ? tls : "verify-full";
  const cert = files.cert === null ? null : read("sslcert", files.cert);
  const key = files.key === null ? null : read("sslkey", files.key);
  const ca = tlsCa ?? (files.ca === null || files.ca === "system" ? undefined : read("sslrootcert", files.ca));
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === null || key === null ? {} : { cert, key: keyOf(cert, key, files.keyPassword) }),
    rejectUnauthorized: mode === "verify-ca" || mode === "verify-full",
    ...(mode === "verify-ca" ? { checkServerIdentity: () => undefined } : {}),
  };
}

function read(parameter: string, file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    throw databaseError(
      new OwnMistake(String(error)),
      `read ${file}, which ${parameter} in the database's address names`,
    );
  }
}

async function verifyIsWanted(statements: Statements, { wants }: DatabaseAddress, at: DatabaseHost): Promise<void> {
  if (wants === "any") return;
  const { rows: [is] } = await statements.query<{ standby: boolean; read_only: string }>(
    "select pg_is_in_recovery() as standby, current_setting('default_transaction_read_only') as read_only",
  );
  const { standby, read_only } = is!;
  if (!standby && (wants === "primary" || read_only === "off")) return;
  const found = standby ? "it is a standby" : "it is read only";
  const reason = `could not use PostgreSQL at ${hostText(at)}: ${found}, and ${wants} is wanted`;
  throw new DatabaseUnavailable(reason, { kind: "postgres_refuses" });
}

/** Statements that apply one setting to the current transaction. */
function locally([name, value]: readonly [string, string]): string[] {
  // Inside a transaction, its default no longer has an effect.
  if (name === "default_transaction_read_only") return value === "on" ? ["set local transaction_read_only to on"] : [];
  return [`set local "${name}" to '${value.replaceAll("'", "''")}'`];
}

/**
 * Begins a transaction in which a statement sees what was committed before it, also where the database's default is
 * another. A commit that waits for a lock must see what the lock's owner has changed.
 */
const BEGIN = "begin isolation level read committed";

/** What a statement calls back with, as a promise. */
function called<R>(run: (done: Done<R>) => void): Promise<R> {
  return new Promise((resolve, reject) => {
    run((error, result) => error === null || error === undefined ? resolve(result) : reject(error));
  });
}

class PostgresStatements implements Statements {
  readonly #client: pg.Client;
  readonly #answerTimeoutMs: number | null;
  readonly #where: string;
  readonly #buffer = new SendBuffer();
  /** Statements that apply the settings to each transaction; null if the session keeps them. */
  #local: readonly string[] | null = null;
  /** Why the connection is lost. Later errors of the client say less. */
  #lost: Error | null = null;

  constructor(client: pg.Client, answerTimeoutMs: number | null, where: string) {
    this.#where = where;
    this.#client = client;
    this.#answerTimeoutMs = answerTimeoutMs;
    // Without a listener, losing an idle connection would end the process.
    client.on("error", (error) => this.#lost ??= error);
    client.on("end", () => this.#lost ??= new Error("the connection has ended"));
    this.#guard(client.connection.stream);
    client.connection.on("sslconnect", () => this.#guard(client.connection.stream));
  }

  async connect(): Promise<void> {
    try {
      await this.#client.connect();
    } catch (error) {
      await this.close();
      throw databaseError(error, `connect to PostgreSQL at ${this.#where}, as ${this.#client.user}`, {
        connecting: true,
      });
    }
  }

  get begin(): string {
    return [BEGIN, ...this.#local ?? []].join("; ");
  }

  get pooled(): boolean {
    return this.#local !== null;
  }

  /**
   * Applies settings to the session. Behind a pooler they are applied to each transaction: the next one may run in
   * another session, and other clients may get this one.
   */
  async keep(settings: Readonly<Record<string, string>>): Promise<void> {
    // A pooler answers the login itself, with a process id of its own.
    const { processID } = this.#client as { readonly processID?: number | null };
    const pid = "pg_backend_pid() is distinct from $1::integer";
    // Not set as connection options, because poolers refuse them.
    const set = Object.keys(settings).map((_, i) => `set_config($${2 * i + 2}, $${2 * i + 3}, ${pid})`);
    const { rows } = await this.query<{ pooled: boolean }>(
      `select ${[`${pid} as pooled`, ...set].join(", ")}`,
      [processID ?? null, ...Object.entries(settings).flat()],
    );
    if (rows[0]!.pooled) this.#local = Object.entries(settings).flatMap(locally);
  }

  async query<R>(sql: string, params?: readonly unknown[]): Promise<Result<R>> {
    const values = params?.map(written);
    const result = await this.#run(() =>
      values === undefined || !values.some((value) => value instanceof BinaryParameter)
        ? this.#client.query(sql, values)
        : called<pg.QueryResult>((done) => this.#client.query(new StreamedQuery(sql, values, this.#buffer, done)))
    );
    return { rows: result.rows as R[], rowCount: result.rowCount ?? 0 };
  }

  async exec(sql: string): Promise<void> {
    await this.#run(() => this.#client.query(sql));
  }

  async copyIn(sql: string, chunks: Iterable<Uint8Array>): Promise<void> {
    await this.#run(() =>
      called<void>((done) => this.#client.query(new StreamedCopy(sql, chunks, this.#buffer, done)))
    );
  }

  async close(): Promise<void> {
    this.#lost ??= new Error("the connection has been closed");
    // If the network is down, nothing answers our goodbye.
    const timer = setTimeout(() => this.#client.connection.stream.destroy(), CLOSE_TIMEOUT_MS);
    await this.#client.end().catch(() => {});
    clearTimeout(timer);
  }

  async #run<T>(run: () => Promise<T>): Promise<T> {
    const attempted = "run a statement on PostgreSQL";
    if (this.#lost !== null) throw databaseError(this.#lost, attempted);
    const timeoutMs = this.#answerTimeoutMs;
    const timer = timeoutMs === null ? null : setTimeout(() => this.#giveUp(timeoutMs), timeoutMs);
    try {
      return await run();
    } catch (error) {
      throw databaseError(this.#lost ?? error, attempted);
    } finally {
      if (timer !== null) clearTimeout(timer);
    }
  }

  /** Makes an answer that cannot be parsed, because bytes were lost, end the connection instead of the process. */
  #guard(stream: Duplex): void {
    const emit = stream.emit.bind(stream) as (event: string | symbol, ...values: unknown[]) => boolean;
    stream.emit = (event: string | symbol, ...values: unknown[]) => {
      if (event !== "data") return emit(event, ...values);
      try {
        return emit(event, ...values);
      } catch (error) {
        const said = error instanceof Error ? error.message : String(error);
        stream.destroy(new Error(`the server's answer can't be read: ${said}`, { cause: error }));
        return true;
      }
    };
  }

  #giveUp(timeoutMs: number): void {
    this.#lost ??= new Error(`the connection gave no answer in ${timeoutMs} ms`);
    this.#client.connection.stream.destroy();
  }
}

/** Connects to a server. `url` is `postgres://user:password@host:port/database`; its password is never shown. */
export async function openPostgres(url: string, options: PostgresOptions = {}): Promise<Database> {
  return new OneByOne(await postgresStatements(url, options));
}
