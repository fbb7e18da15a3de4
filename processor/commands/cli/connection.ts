/**
 * Connects commands to PostgreSQL.
 * @module
 */
import { CredentialSource } from "../../aws/credentials.ts";
import { rdsToken, regionIn } from "../../aws/tokens.ts";
import { awsEnvironment } from "../../config/aws.ts";
import type { Settings } from "../../config/config.ts";
import type { Database } from "../../postgres/database.ts";
import type { PostgresOptions } from "../../postgres/postgres.ts";
import { openPostgres } from "../../postgres/postgres.ts";

/** Settings of the connection to PostgreSQL. */
export type DatabaseSettings = Settings<"DATABASE_URL" | "DATABASE_TLS_CA" | "DATABASE_AUTH" | "AWS_REGION">;

/** How to log in to the database of these settings. */
export function loginTo(settings: DatabaseSettings): Pick<PostgresOptions, "tlsCa" | "password"> {
  const { DATABASE_TLS_CA: authorities, DATABASE_AUTH: auth } = settings;
  return {
    ...(authorities === null ? {} : { tlsCa: authorities.pem }),
    ...(auth === "AWS_RDS_IAM" ? { password: signed(settings) } : {}),
  };
}

/** One source for the settings of a process, so that its connections share credentials. */
const passwords = new WeakMap<DatabaseSettings, NonNullable<PostgresOptions["password"]>>();

/** Passwords of RDS's logins by IAM: a new one for each connection, which needs no network. */
function signed(settings: DatabaseSettings): NonNullable<PostgresOptions["password"]> {
  const known = passwords.get(settings);
  if (known !== undefined) return known;
  const credentials = new CredentialSource(awsEnvironment(settings.AWS_REGION));
  const password: NonNullable<PostgresOptions["password"]> = async ({ host, port }, user) => {
    // The settings are valid, so one of them is there.
    const region = settings.AWS_REGION ?? regionIn(host)!;
    return await rdsToken({ host, port, user, region }, await credentials.get(), Date.now());
  };
  passwords.set(settings, password);
  return password;
}

/** Runs `body` with a connection whose application name is the command's. */
export async function connected<T>(
  settings: DatabaseSettings,
  command: string,
  body: (db: Database) => Promise<T>,
  session: NonNullable<PostgresOptions["settings"]> = {},
): Promise<T> {
  const db = await openPostgres(settings.DATABASE_URL.reveal(), {
    ...loginTo(settings),
    applicationName: `clickstream ${command}`,
    settings: session,
  });
  try {
    return await body(db);
  } finally {
    await db.close();
  }
}
