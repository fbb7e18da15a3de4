/**
 * Checks that PostgreSQL accepts writes, safely and fast enough.
 * @module
 */
import { statfs } from "node:fs/promises";
import { MIGRATIONS } from "../../../migrations/mod.ts";
import { type Settings, workersOf } from "../../config/config.ts";
import { type DatabaseAddress, type DatabaseHost, hostText, parseDatabaseUrl } from "../../config/database_url.ts";
import { readText } from "../../config/files.ts";
import type { Database } from "../../postgres/database.ts";
import { openPostgres } from "../../postgres/postgres.ts";
import { schemaState } from "../../postgres/operations/migrations.ts";
import { gapsIn, openGapRecords, unaccounted } from "../../postgres/operations/gaps.ts";
import { positionsOf, type Standing, topicIdOf } from "../../postgres/operations/progress.ts";
import { missingRights, needlessRights } from "../../postgres/operations/rights.ts";
import { inWords } from "../../config/secret.ts";
import { loginTo } from "../cli/connection.ts";
import { choiceOfHost, loginCure, ownCertificate } from "./logins.ts";
import { checkDeclarations } from "./declarations.ts";
import { checkMoney } from "./money.ts";
import { checkPeer, isWell } from "./network.ts";
import { advice, bad, type Finding, good } from "./finding.ts";
import { checkTimeZone } from "./time_zone.ts";
import type { READS } from "../cli/reads.ts";

type DoctorSettings = Settings<typeof READS.doctor[number]>;

/** The findings, and the log that the tables follow; null if not known. */
export interface PostgresFindings {
  readonly findings: readonly Finding[];
  readonly followed: Followed | null;
}

/** The log that the tables follow, and their positions in it. */
export interface Followed {
  /** Kafka's id of the topic; null if not known. */
  readonly topicId: string | null;
  readonly positions: ReadonlyMap<number, Standing>;
}

/** The first version with all features that the schema uses. */
const LEAST_VERSION = 140_000;

/** A larger difference between clocks makes lags and finality look wrong, in milliseconds. */
const CLOCK_MS = 2000;

/** A slower commit makes the service slow, in milliseconds; so does a lower write speed, in bytes/s. */
const COMMIT_MS = 50;
const LEAST_SPEED = 5e6;

/** Number of days ahead that should have partitions. */
const AHEAD_DAYS = 2;

/** With less free space, in bytes, a database will stop soon. */
const LEAST_FREE = 2e9;

const REQUEST_TLS = Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47);

/** Checks PostgreSQL until a check fails that the next ones need. */
export async function checkPostgres(settings: DoctorSettings): Promise<PostgresFindings> {
  const { DATABASE_URL: secret, DATABASE_TLS_CA: authorities } = settings;
  const address = parseDatabaseUrl(secret.reveal());
  const isVerified = authorities !== null || address.tls === "verify-full";
  const ca = authorities === null ? null : { pem: authorities.pem, setting: "DATABASE_TLS_CA" };
  const findings = await checkHosts(address.hosts, ca);
  findings.push(...choiceOfHost(address), ...clientCertificate(address));
  if (!isWell(findings)) return { findings, followed: null };
  let db: Database;
  try {
    db = await openPostgres(secret.reveal(), {
      ...loginTo(settings),
      applicationName: "clickstream doctor",
      // Limits of this session only; the user's own are read from pg_settings.
      settings: { statement_timeout: "30s", default_transaction_read_only: "off" },
    });
  } catch (error) {
    return {
      findings: [...findings, bad("postgres login", inWords(error), loginCure(inWords(error)))],
      followed: null,
    };
  }
  try {
    findings.push(
      good("postgres login", `as ${address.user ?? "the default user"}, ${secret}`),
    );
    if (db.pooled) {
      const found =
        "connected through a pooler; refusals replay, forget and rebuild need a direct connection to PostgreSQL";
      findings.push(good("postgres pooler", found));
    }
    findings.push(await tried("postgres encryption", () => encryption(db, isVerified)));
    findings.push(...await several("postgres settings", () => server(db, settings)));
    findings.push(await tried("postgres clock", () => clock(db)));
    findings.push(await tried("postgres write speed", () => speed(db)));
    findings.push(await tried("postgres free space", () => space(db)));
    const followed = await schema(db, settings, findings);
    return { findings, followed };
  } finally {
    await db.close();
  }
}

/** Checks every server; one that works is enough. */
async function checkHosts(
  hosts: readonly DatabaseHost[],
  ca: { readonly pem: string; readonly setting: string } | null,
): Promise<Finding[]> {
  const all: Finding[][] = [];
  for (const { host, port } of hosts) {
    if (host.startsWith("/")) {
      all.push([await socket(hostText({ host, port }))]);
      continue;
    }
    const peer = { name: "postgres", address: { hostname: host, port }, setting: "DATABASE_URL", ca };
    all.push(await checkPeer({ ...peer, request: REQUEST_TLS }));
  }
  if (!all.some(isWell)) return all.flat();
  return all.flat().map((finding) => ({ ...finding, verdict: finding.verdict === "bad" ? "advice" : finding.verdict }));
}

async function socket(path: string): Promise<Finding> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return good("postgres connection", `${path} accepts connections`);
  } catch (error) {
    const todo =
      "check that PostgreSQL runs on this machine, that unix_socket_directories names this folder, and DATABASE_URL";
    return bad("postgres connection", `${path}: ${inWords(error)}`, todo);
  }
}

/** True if the server is on this machine: connected over a socket or a local address. */
async function isLocal(db: Database): Promise<boolean> {
  const { rows: [row] } = await db.query<{ local: boolean }>(
    "select coalesce(inet_server_addr() = inet_client_addr(), true) as local",
  );
  return row!.local;
}

async function tried(check: string, body: () => Promise<Finding>): Promise<Finding> {
  return (await several(check, async () => [await body()]))[0]!;
}

async function several(check: string, body: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await body();
  } catch (error) {
    return [bad(check, inWords(error), "check PostgreSQL's log")];
  }
}

/** Whether the certificate that DATABASE_URL names is valid. */
function clientCertificate({ files: { cert } }: DatabaseAddress): Finding[] {
  return cert === null ? [] : [ownCertificate("postgres client certificate", readText(cert), "sslcert")];
}

async function encryption(db: Database, isVerified: boolean): Promise<Finding> {
  const check = "postgres encryption";
  const { rows: [row] } = await db.query<{ ssl: boolean; version: string | null }>(
    "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()",
  );
  if (row?.ssl && isVerified) return good(check, `the connection uses ${row.version}`);
  if (await isLocal(db)) return good(check, "none is needed: PostgreSQL is on this machine");
  if (row?.ssl) {
    const found = `the connection uses ${row.version}, but nobody verifies the server`;
    return advice(check, found, "set DATABASE_TLS_CA, or sslmode=verify-full and sslrootcert in DATABASE_URL");
  }
  return advice(
    check,
    "password and events cross the network unencrypted",
    "set ssl = on in PostgreSQL, and DATABASE_TLS_CA here",
  );
}

async function server(db: Database, settings: DoctorSettings): Promise<Finding[]> {
  const { rows: [row] } = await db.query<Record<string, string>>(
    `select current_setting('server_version_num') as num, current_setting('server_version') as version,
       current_setting('server_encoding') as encoding, current_setting('fsync') as fsync,
       current_setting('full_page_writes') as pages, current_setting('autovacuum') as autovacuum,
       (select reset_val from pg_settings where name = 'default_transaction_read_only') as read_only,
       pg_is_in_recovery()::text as standby,
       (current_setting('max_connections')::int
         - (select count(*) from pg_stat_activity where backend_type = 'client backend'))::text as free,
       (select reset_val from pg_settings where name = 'statement_timeout') as timeout`,
  );
  const is = row!;
  const findings: Finding[] = [];
  const rule = (wrong: boolean, check: string, found: string, todo: string, hard = true) => {
    if (!wrong) findings.push(good(check, found));
    else findings.push(hard ? bad(check, found, todo) : advice(check, found, todo));
  };
  const wanted = workersOf(settings) + 2;
  const timeout = Number(is["timeout"]);
  rule(Number(is["num"]) < LEAST_VERSION, "postgres version", is["version"]!, "upgrade to PostgreSQL 14 or later");
  rule(is["encoding"] !== "UTF8", "postgres encoding", is["encoding"]!, "create the database with encoding 'UTF8'");
  rule(
    is["read_only"] === "on" || is["standby"] === "true",
    "postgres writable",
    is["standby"] === "true"
      ? "the server is a standby, which is read only"
      : is["read_only"] === "on"
      ? "read only"
      : "it accepts writes",
    is["standby"] === "true"
      ? "set DATABASE_URL to the primary"
      : "set default_transaction_read_only = off, for the server, the database and the user",
  );
  const durable = is["fsync"] === "on" && is["pages"] === "on";
  rule(
    !durable,
    "postgres durability",
    `fsync is ${is["fsync"]}, full_page_writes is ${is["pages"]}`,
    "turn both on: without them, a power cut destroys the database",
  );
  rule(
    is["autovacuum"] !== "on",
    "postgres autovacuum",
    `it is ${is["autovacuum"]}`,
    "set autovacuum = on: every commit updates the rows of recent windows, and leaves dead rows behind",
  );
  rule(
    Number(is["free"]) < wanted,
    "postgres connections",
    `${is["free"]} are free; the service needs ${wanted}`,
    "raise max_connections, or close other connections",
  );
  rule(
    timeout > 0 && timeout < 5000,
    "postgres timeouts",
    timeout === 0 ? "no statement_timeout is set for this user" : `statement_timeout is ${timeout} ms for this user`,
    "the service sets its own; raise it for the other commands: alter role … set statement_timeout = '30s'",
    false,
  );
  return findings;
}

async function clock(db: Database): Promise<Finding> {
  const before = Date.now();
  const { rows } = await db.query<{ now: string }>(
    "select (extract(epoch from clock_timestamp()) * 1000)::bigint as now",
  );
  const offMs = Number(rows[0]!.now) - (before + Date.now()) / 2;
  const found = `${Math.abs(offMs).toFixed(0)} ms ${offMs < 0 ? "behind" : "ahead of"} this machine's clock`;
  if (Math.abs(offMs) < CLOCK_MS) return good("postgres clock", found);
  return bad("postgres clock", found, "synchronize the clocks of both machines by NTP (timedatectl set-ntp true)");
}

/** Measures commits of messages in the write-ahead log, which leave nothing in any table. */
async function speed(db: Database): Promise<Finding> {
  const check = "postgres write speed";
  const took = async (statement: string) => {
    const start = performance.now();
    await db.query(statement);
    return performance.now() - start;
  };
  const times: number[] = [];
  for (let n = 0; n < 5; n++) times.push(await took("select pg_logical_emit_message(true, 'clickstream', 'doctor')"));
  const commitMs = times.sort((a, b) => a - b)[2]!;
  const bytes = 8e6;
  const bulkMs = await took(`select pg_logical_emit_message(true, 'clickstream', repeat('x', ${bytes}))`);
  const found = `a commit takes ${commitMs.toFixed(1)} ms, and large writes reach ${
    (bytes / bulkMs / 1000).toFixed(0)
  } MB/s`;
  if (commitMs <= COMMIT_MS && bytes / bulkMs * 1000 >= LEAST_SPEED) return good(check, found);
  return advice(check, found, "use a faster or nearer disk for PostgreSQL, or move other load off it");
}

async function space(db: Database): Promise<Finding> {
  const check = "postgres free space";
  const { rows: [row] } = await db.query<{ size: string; folder: string | null }>(
    `select pg_size_pretty(pg_database_size(current_database())) as size,
       case when pg_has_role(current_user, 'pg_read_all_settings', 'usage') then current_setting('data_directory') end as folder`,
  );
  const { size, folder } = row!;
  const disk = folder !== null && await isLocal(db) ? await statfs(folder).catch(() => null) : null;
  if (disk === null) {
    return good(check, `the database uses ${size}; free space cannot be seen from here, so monitor it on the server`);
  }
  const free = disk.bavail * disk.bsize;
  const found = `the database uses ${size}, ${(free / 1e9).toFixed(1)} GB are free`;
  if (free >= LEAST_FREE) return good(check, found);
  return bad(check, found, "enlarge the disk, or keep less: lower EVENTS_KEEP_DAYS and run `clickstream maintain`");
}

async function schema(
  db: Database,
  settings: DoctorSettings,
  findings: Finding[],
): Promise<Followed | null> {
  const check = "schema";
  try {
    const { state, detail } = await schemaState(db, MIGRATIONS);
    if (state !== "current") {
      const todo = state === "missing" || state === "behind"
        ? "run: clickstream migrate"
        : "use the version of this program that applied it";
      findings.push(bad(check, `it is ${state}: ${detail}`, todo));
      return null;
    }
    findings.push(good(check, `current: ${detail}`));
    findings.push(await checkDeclarations(db, settings.VIEWS_FILE));
  } catch (error) {
    findings.push(
      bad(check, inWords(error), "grant clickstream_writer to the user of DATABASE_URL, as an administrator"),
    );
    return null;
  }
  findings.push(await tried("rights", () => rights(db)));
  findings.push(await tried("rights to spare", () => rightsToSpare(db)));
  findings.push(await tried("time zone", () => checkTimeZone(db, settings.TIME_ZONE)));
  findings.push(await tried("partitions", () => partitions(db)));
  findings.push(await tried("currency", () => checkMoney(db, settings.CURRENCY)));
  findings.push(await tried("forgotten users", () => unfinished(db)));
  findings.push(await tried("conservation", () => conservation(db, settings.KAFKA_TOPIC)));
  findings.push(await tried("gaps", () => gaps(db, settings.KAFKA_TOPIC)));
  try {
    const topic = settings.KAFKA_TOPIC;
    return { topicId: await topicIdOf(db, topic), positions: await positionsOf(db, topic) };
  } catch {
    return null;
  }
}

async function conservation(db: Database, topic: string): Promise<Finding> {
  const check = "conservation";
  const wrong = await unaccounted(db, topic);
  if (wrong.length === 0) return good(check, "every offset is consumed, skipped or in a gap");
  const todo = "somebody changed the tables by hand, or this is a bug: report it with these numbers";
  return bad(check, wrong.slice(0, 3).join("; "), todo);
}

async function gaps(db: Database, topic: string): Promise<Finding> {
  const check = "gaps";
  const open = (await gapsIn(db, topic)).filter(({ acknowledged_at: at }) => at === null);
  if (open.length === 0) return good(check, "no unacknowledged gaps");
  const records = await openGapRecords(db, topic);
  const named = open.slice(0, 3).map(({ partition, from_offset: from, to_offset: to }) =>
    `offsets ${from} to ${BigInt(to) - 1n} of partition ${partition}`
  );
  const found = `Kafka deleted ${records} records before they were read: ${named.join(", ")}` +
    (open.length > 3 ? ` and ${open.length - 3} more gaps` : "");
  return advice(check, found, "keep records for longer (retention.ms); then run `clickstream gaps acknowledge`");
}

async function rights(db: Database): Promise<Finding> {
  const missing = await missingRights(db);
  if (missing.length === 0) return good("rights", "the user has all rights that the service needs");
  const shown = missing.length > 3
    ? `${missing.slice(0, 3).join(", ")} and ${missing.length - 3} more`
    : missing.join(", ");
  return bad(
    "rights",
    `missing: ${shown}`,
    "grant clickstream_writer to the user of DATABASE_URL, as an administrator",
  );
}

async function rightsToSpare(db: Database): Promise<Finding> {
  const needless = await needlessRights(db);
  if (needless.length === 0) return good("rights to spare", "none");
  const todo = "let the service log in as a user that is a member of clickstream_writer only";
  return advice("rights to spare", `the user ${needless.join(", ")}`, todo);
}

async function partitions(db: Database): Promise<Finding> {
  const { rows: [row] } = await db.query<{ ahead: number; stray: boolean }>(
    `select (select count(*)::int from generate_series(0, ${AHEAD_DAYS}) d
              where to_regclass('clickstream.events_' ||
                to_char((now() at time zone 'UTC')::date + d, 'YYYYMMDD')) is not null) as ahead,
       pg_relation_size('clickstream.events_default') > 0 as stray`,
  );
  const { ahead, stray } = row!;
  const todo = "run `clickstream maintain` once a day, as the owner";
  if (ahead <= AHEAD_DAYS) {
    return advice("partitions", `the partitions of events do not reach ${AHEAD_DAYS} days ahead`, todo);
  }
  if (stray) return advice("partitions", "some events are of days that have no partition", todo);
  return good("partitions", `the partitions of events reach ${AHEAD_DAYS} days ahead or more`);
}

async function unfinished(db: Database): Promise<Finding> {
  const { rows } = await db.query<{ n: string; oldest: string | null }>(
    `select count(*) as n, min(forgotten_at)::text as oldest from clickstream.forgotten
      where done_at is null and forgotten_at < now() - interval '1 hour'`,
  );
  const { n, oldest } = rows[0]!;
  if (n === "0") return good("forgotten users", "all of them are erased");
  return bad(
    "forgotten users",
    `${n} not fully erased, the first since ${oldest}`,
    "run `clickstream forget … --yes` again for them",
  );
}
