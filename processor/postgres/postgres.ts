/**
 * A connection to a PostgreSQL server.
 * @module
 */
import { type Duplex, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
// @ts-types="@types/pg"
import pg from "pg";
// @ts-types="@types/pg-copy-streams"
import { from as copyFrom } from "pg-copy-streams";
import { type DatabaseAddress, type DatabaseHost, hostText, parseDatabaseUrl } from "../config/database_url.ts";
import { databaseError, DatabaseUnavailable, OwnMistake } from "./database_errors.ts";
import { readValue, type Result, type Statements, written } from "./statements.ts";
import { type Database, OneByOne } from "./database.ts";

/** How to connect. */
export interface PostgresOptions {
  /** PEM text of the authorities that the server's certificate must come from; with it, TLS is required. */
  readonly tlsCa?: string;
  readonly applicationName?: string;
  /** Session settings, such as `statement_timeout` or `lock_timeout`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Longest time to wait for the connection, in milliseconds. */
  readonly connectTimeoutMs?: number;
  /** Longest time to wait for an answer, in milliseconds, before the connection is given up; without it, forever. */
  readonly answerTimeoutMs?: number;
}

const CLOSE_TIMEOUT_MS = 2000;

/**
 * Connects to the first of the servers in `url` that answers and is as wanted (`target_session_attrs`). Where one refuses
 * the login, the others are not tried, as in libpq.
 *
 * @throws {RangeError} if `url` is not the address of a database
 */
export async function postgresStatements(url: string, options: PostgresOptions): Promise<Statements> {
  const address = parseDatabaseUrl(url);
  const reasons: DatabaseUnavailable[] = [];
  for (const host of address.hosts) {
    try {
      return await connected(address, host, options);
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

async function connected(address: DatabaseAddress, at: DatabaseHost, options: PostgresOptions): Promise<Statements> {
  const { tlsCa, applicationName = "clickstream", settings = {}, connectTimeoutMs = 10_000 } = options;
  const { user, password, database } = address;
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
    ssl: tlsOf(address, at, tlsCa),
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

/** TLS as the address wants it; authorities of ours win over what it says, and a socket has none. */
function tlsOf(
  { tls, files }: DatabaseAddress,
  { host }: DatabaseHost,
  tlsCa: string | undefined,
): false | { ca?: string; cert?: string; key?: string; rejectUnauthorized: boolean } {
  if (host.startsWith("/") || (tlsCa === undefined && tls === "disable")) return false;
  const ca = tlsCa ?? (files.ca === null || files.ca === "system" ? undefined : read("sslrootcert", files.ca));
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(files.cert === null ? {} : { cert: read("sslcert", files.cert) }),
    ...(files.key === null ? {} : { key: read("sslkey", files.key) }),
    rejectUnauthorized: tlsCa !== undefined || tls === "verify-full",
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

/** The statements that set one setting for a transaction. */
function locally([name, value]: readonly [string, string]): string[] {
  // What begins a transaction comes too late for its default.
  if (name === "default_transaction_read_only") return value === "on" ? ["set local transaction_read_only to on"] : [];
  return [`set local "${name}" to '${value.replaceAll("'", "''")}'`];
}

/** The same chunks; an error in making one is no error of the connection. */
function* owned(chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    throw new OwnMistake(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

class PostgresStatements implements Statements {
  readonly #client: pg.Client;
  readonly #answerTimeoutMs: number | null;
  readonly #where: string;
  /** Statements that set what each transaction needs; null where the session keeps it. */
  #local: readonly string[] | null = null;
  /** Why the connection is lost; a client that has ended says less. */
  #lost: Error | null = null;

  constructor(client: pg.Client, answerTimeoutMs: number | null, where: string) {
    this.#where = where;
    this.#client = client;
    this.#answerTimeoutMs = answerTimeoutMs;
    // Without a listener a connection that is lost while idle would end the process.
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
    return this.#local === null ? "begin" : ["begin", ...this.#local].join("; ");
  }

  get pooled(): boolean {
    return this.#local !== null;
  }

  /**
   * Keeps settings for the session; behind a pooler, where the next transaction may be in another session and this one
   * become somebody else's, for each transaction.
   */
  async keep(settings: Readonly<Record<string, string>>): Promise<void> {
    // A pooler answers the login itself, and with a number of its own.
    const { processID } = this.#client as { readonly processID?: number | null };
    const pid = "pg_backend_pid() is distinct from $1::integer";
    // Not as options of the connection, which poolers refuse.
    const set = Object.keys(settings).map((_, i) => `set_config($${2 * i + 2}, $${2 * i + 3}, ${pid})`);
    const { rows } = await this.query<{ pooled: boolean }>(
      `select ${[`${pid} as pooled`, ...set].join(", ")}`,
      [processID ?? null, ...Object.entries(settings).flat()],
    );
    if (rows[0]!.pooled) this.#local = Object.entries(settings).flatMap(locally);
  }

  async query<R>(sql: string, params?: readonly unknown[]): Promise<Result<R>> {
    const result = await this.#run(() => this.#client.query(sql, params?.map(written)));
    return { rows: result.rows as R[], rowCount: result.rowCount ?? 0 };
  }

  async exec(sql: string): Promise<void> {
    await this.#run(() => this.#client.query(sql));
  }

  async copyIn(sql: string, chunks: Iterable<Uint8Array>): Promise<void> {
    await this.#run(() => pipeline(Readable.from(owned(chunks)), this.#client.query(copyFrom(sql))));
  }

  async close(): Promise<void> {
    this.#lost ??= new Error("the connection has been closed");
    // Where the network is gone nobody answers our leave-taking.
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

  /** What can't be read of an answer, for bytes of it were lost, ends the connection instead of the process. */
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
