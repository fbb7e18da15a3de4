/**
 * PostgreSQL in this process.
 * @module
 */
import { Buffer } from "node:buffer";
import { gunzipSync } from "node:zlib";
import type { PGlite } from "@electric-sql/pglite";
import { ARRAY_OIDS, BinaryParameter } from "../postgres/binary.ts";
import { databaseError } from "../postgres/database_errors.ts";
import { readValue, type Result, type Statements, written } from "../postgres/statements.ts";
import { type Database, OneByOne } from "../postgres/database.ts";

/** Opens the embedded PostgreSQL in `folder`, or in memory. Only one process may have a folder open at a time. */
export async function embeddedStatements(folder?: string): Promise<Statements> {
  // Loaded on demand: loading takes time and much memory.
  const { PGlite } = await import("@electric-sql/pglite");
  return await statementsOf(await PGlite.create({ ...await packed(), ...folder !== undefined && { dataDir: folder } }));
}

/** Statements for an open PGlite, with the types and session settings that this program expects. */
export async function statementsOf(db: PGlite): Promise<Statements> {
  // PGlite has its own parsers for these types, such as times and large numbers; ours replace them.
  const parsers = Object.keys(db.parsers).map((oid) => [oid, (text: string) => readValue(Number(oid), text)]);
  db.parsers = Object.fromEntries(parsers);
  // Arrays are already in binary format and are sent unchanged; all other parameters are text.
  db.serializers = Object.fromEntries(ARRAY_OIDS.map((oid) => [oid, (value: string) => value]));
  await db.exec("set timezone = 'UTC'; set datestyle = 'ISO'; set intervalstyle = 'iso_8601'");
  return new EmbeddedStatements(db);
}

/**
 * PostgreSQL's program and files as `deno task build` puts them beside this module, compressed. Without them, the package
 * finds its own.
 */
async function packed(): Promise<{ wasmModule: WebAssembly.Module; fsBundle: Blob } | Record<string, never>> {
  const read = async (name: string) => gunzipSync(await Deno.readFile(new URL(`./pglite.${name}.gz`, import.meta.url)));
  try {
    const [program, files] = await Promise.all([read("wasm"), read("data")]);
    return { wasmModule: await WebAssembly.compile(program), fsBundle: new Blob([files]) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return {};
    throw error;
  }
}

class EmbeddedStatements implements Statements {
  readonly begin = "begin";
  readonly pooled = false;
  readonly #db: PGlite;

  constructor(db: PGlite) {
    this.#db = db;
  }

  async query<R>(sql: string, params?: readonly unknown[]): Promise<Result<R>> {
    const values = params?.map(written).map((value) => value instanceof BinaryParameter ? value.bytes : value);
    const { rows, affectedRows } = await this.#run(() => this.#db.query<R>(sql, values));
    return { rows, rowCount: Math.max(affectedRows ?? 0, rows.length) };
  }

  async exec(sql: string): Promise<void> {
    await this.#run(() => this.#db.exec(sql));
  }

  async copyIn(sql: string, chunks: Iterable<Uint8Array>): Promise<void> {
    const blob = new Blob([Buffer.concat(Array.from(chunks, (chunk) => chunk.slice()))]);
    await this.#run(() => this.#db.query(sql.replace(/\bfrom\s+stdin\b/i, "from '/dev/blob'"), [], { blob }));
  }

  async close(): Promise<void> {
    await this.#db.close();
  }

  async #run<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw databaseError(error, "run a statement on the embedded PostgreSQL", { embedded: true });
    }
  }
}

/** Opens the embedded PostgreSQL in `folder`, or in memory. */
export async function openEmbedded(folder?: string): Promise<Database> {
  return new OneByOne(await embeddedStatements(folder));
}
