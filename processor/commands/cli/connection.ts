/**
 * How commands reach PostgreSQL, out of their settings.
 * @module
 */
import type { Settings } from "../../config/config.ts";
import type { Database } from "../../postgres/database.ts";
import type { PostgresOptions } from "../../postgres/postgres.ts";
import { openPostgres } from "../../postgres/postgres.ts";

/** Settings that say where the database is. */
export type DatabaseSettings = Settings<"DATABASE_URL" | "DATABASE_TLS_CA">;

/** Connects for a command, which is what the server calls the connection by. */
export async function connected<T>(
  settings: DatabaseSettings,
  command: string,
  body: (db: Database) => Promise<T>,
  session: NonNullable<PostgresOptions["settings"]> = {},
): Promise<T> {
  const { DATABASE_URL: url, DATABASE_TLS_CA: authorities } = settings;
  const tls = authorities === null ? {} : { tlsCa: authorities.pem };
  const db = await openPostgres(url.reveal(), {
    ...tls,
    applicationName: `clickstream ${command}`,
    settings: session,
  });
  try {
    return await body(db);
  } finally {
    await db.close();
  }
}
