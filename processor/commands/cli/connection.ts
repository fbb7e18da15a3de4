/**
 * Connects commands to PostgreSQL.
 * @module
 */
import type { Settings } from "../../config/config.ts";
import type { Database } from "../../postgres/database.ts";
import type { PostgresOptions } from "../../postgres/postgres.ts";
import { openPostgres } from "../../postgres/postgres.ts";

/** Settings of the connection to PostgreSQL. */
export type DatabaseSettings = Settings<"DATABASE_URL" | "DATABASE_TLS_CA">;

/** Runs `body` with a connection whose application name is the command's. */
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
