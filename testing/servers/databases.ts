/**
 * The databases that the program supports, for tests that must pass on each.
 * @module
 */
import { PGlite } from "@electric-sql/pglite";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { type Database, OneByOne } from "../../processor/postgres/database.ts";
import { openEmbedded, statementsOf } from "../../processor/embedded/embedded.ts";
import { openPostgres } from "../../processor/postgres/postgres.ts";
import { migrate } from "../../processor/postgres/operations/migrations.ts";
import { type PostgresServerOptions, type Server, startPostgres, using } from "./postgres.ts";

/** Creates an empty database and connects to it. */
export interface Open {
  (): Promise<Database>;
  /** Creates one with the schema, as a copy of another, which takes less time than the migrations. */
  readonly migrated?: () => Promise<Database>;
}

/** A step of a test; what `open` connects to is closed when the step ends. */
export type Step = (open: Open) => Promise<void>;

/**
 * Registers the same steps twice: on the embedded PostgreSQL, and on a server of its own.
 *
 * @param onEmbedded the steps on the embedded one, if it is too slow for all that the others try
 */
export function onEachDatabase(
  about: string,
  steps: Readonly<Record<string, Step>>,
  onEmbedded: Readonly<Record<string, Step>> = steps,
): void {
  Deno.test(`${about}, embedded`, (t) => each(t, onEmbedded, openEmbedded, copyOfEmbedded));
  onServer(about, async (t, server) => {
    let template: Promise<string> | null = null;
    const create = async () => await openPostgres(await server.createDatabase());
    const copy = async () => {
      return await openPostgres(await server.createDatabase(undefined, await (template ??= templateOn(server))));
    };
    await each(t, steps, create, copy);
  });
}

/** Creates a database with the schema, and nobody connected to it; returns its name. */
async function templateOn(server: Server): Promise<string> {
  const name = "migrated";
  await using(await server.createDatabase(name), (db) => migrate(db, MIGRATIONS));
  return name;
}

let embedded: Promise<Blob> | null = null;

async function copyOfEmbedded(): Promise<Database> {
  const loadDataDir = await (embedded ??= embeddedFiles());
  return new OneByOne(await statementsOf(await PGlite.create({ loadDataDir })));
}

/** The files of an embedded database with the schema. */
async function embeddedFiles(): Promise<Blob> {
  const pglite = await PGlite.create();
  const db = new OneByOne(await statementsOf(pglite));
  await migrate(db, MIGRATIONS);
  const files = await pglite.dumpDataDir("none");
  await db.close();
  return files;
}

/** Registers a test with its own server. */
export function onServer(
  about: string,
  body: (t: Deno.TestContext, server: Server) => Promise<void>,
  options: PostgresServerOptions = {},
): void {
  Deno.test(`${about}, on a server`, async (t) => {
    await using server = await startPostgres(options);
    await body(t, server);
  });
}

/** Like `open`, but with the schema. */
export async function migrated(open: Open): Promise<Database> {
  if (open.migrated !== undefined) return await open.migrated();
  const db = await open();
  await migrate(db, MIGRATIONS);
  return db;
}

async function each(
  t: Deno.TestContext,
  steps: Readonly<Record<string, Step>>,
  create: () => Promise<Database>,
  copy: () => Promise<Database>,
): Promise<void> {
  for (const [name, step] of Object.entries(steps)) {
    await t.step(name, async () => {
      const opened: Database[] = [];
      try {
        const kept = (open: () => Promise<Database>) => async () => {
          const db = await open();
          opened.push(db);
          return db;
        };
        await step(Object.assign(kept(create), { migrated: kept(copy) }));
      } finally {
        for (const db of opened) await db.close();
      }
    });
  }
}

/** Number of records that the service of a database has consumed. */
export async function consumedBy(url: string): Promise<number> {
  return await using(url, async (db) => {
    const { rows } = await db.query<{ n: string }>(
      "select coalesce(sum(consumed), 0)::text as n from clickstream.progress",
    );
    return Number(rows[0]!.n);
  });
}
