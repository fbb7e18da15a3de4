/**
 * The databases that the program supports, for tests that must pass on each.
 * @module
 */
import { MIGRATIONS } from "../../migrations/mod.ts";
import type { Database } from "../../processor/postgres/database.ts";
import { openEmbedded } from "../../processor/embedded/embedded.ts";
import { openPostgres } from "../../processor/postgres/postgres.ts";
import { migrate } from "../../processor/postgres/operations/migrations.ts";
import { type PostgresServerOptions, type Server, startPostgres, using } from "./postgres.ts";

/** A step of a test; `open` creates an empty database and connects to it until the step ends. */
export type Step = (open: () => Promise<Database>) => Promise<void>;

/** Registers the same steps twice: on the embedded PostgreSQL, and on a server of its own. */
export function onEachDatabase(about: string, steps: Readonly<Record<string, Step>>): void {
  Deno.test(`${about}, embedded`, (t) => each(t, steps, openEmbedded));
  onServer(about, async (t, server) => {
    await each(t, steps, async () => await openPostgres(await server.createDatabase()));
  });
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
export async function migrated(open: () => Promise<Database>): Promise<Database> {
  const db = await open();
  await migrate(db, MIGRATIONS);
  return db;
}

async function each(
  t: Deno.TestContext,
  steps: Readonly<Record<string, Step>>,
  openNew: () => Promise<Database>,
): Promise<void> {
  for (const [name, step] of Object.entries(steps)) {
    await t.step(name, async () => {
      const opened: Database[] = [];
      try {
        await step(async () => {
          const db = await openNew();
          opened.push(db);
          return db;
        });
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
