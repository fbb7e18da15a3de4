/**
 * Every setting: its name, default, bounds and meaning.
 * @module
 */
import type { z } from "zod";
import { addressOf, addressText } from "./address.ts";
import { databaseUrl } from "./database_url.ts";
import { certificates, declaredViews } from "./files.ts";
import { AWS_SETTINGS, KAFKA_LOGIN_SETTINGS } from "./login_settings.ts";
import { loginFaults } from "./logins.ts";
import { flag, list, oneOf, parsed, type Setting, text, wholeNumber } from "./schemas.ts";
import { withoutPasswords } from "./secret.ts";
import { find, WrongSettings } from "./sources.ts";
import { TELEMETRY } from "./telemetry.ts";
import { type DeclaredViews, withDeclared } from "../declared/file.ts";
import { sessions } from "../views/sessions.ts";
import type { View } from "../views/view.ts";
import { type Machine, machine } from "./machine.ts";
import { MINOR_DIGITS } from "../currency.ts";
import { VIEWS, withCurrencies } from "../views/mod.ts";
import { visible } from "./visible.ts";

export { WrongSettings };

/** Most workers per core; more would only compete for it. */
const WORKERS_A_CORE = 4;

/**
 * Cores for each worker by default: one for itself, and one for what PostgreSQL and Kafka do for it. Where two cores are
 * all that they share, a second worker costs 15 to 25 % more CPU time per event, and hardly reads faster.
 */
const CORES_A_WORKER = 2;

/** Memory that a busy worker needs, in bytes. */
const WORKER_BYTES = 200e6;

/** Least `MEMORY_MB`, and the most by default. */
const LEAST_MEMORY_MB = 300;
const MOST_MEMORY_MB = 1024;

/** All settings, in the order in which they are shown. */
export const SETTINGS = {
  KAFKA_BROKERS: {
    schema: parsed((value) => list(value).map((broker) => addressText(addressOf(broker, 9092)))),
    default: "localhost:9092",
    allowed: "host:port, several separated by commas",
    about: "Kafka bootstrap brokers",
  },
  KAFKA_TOPIC: {
    schema: text(/^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$/),
    default: "clickstream-events",
    allowed: "1 to 249 letters, digits, '.', '_' and '-'",
    about: "topic with the events",
  },
  KAFKA_PARTITIONS: {
    schema: wholeNumber(1, 10_000),
    default: "6",
    allowed: "a whole number from 1 to 10000",
    about: "number of partitions, if `generate` or `produce` creates the topic",
  },
  KAFKA_GROUP_ID: {
    schema: text(/^[\x21-\x7e]{1,255}$/),
    default: "clickstream",
    allowed: "1 to 255 printable ASCII characters without spaces",
    about: "consumer group; processes of one group share the partitions",
  },
  ...KAFKA_LOGIN_SETTINGS,
  DATABASE_URL: {
    schema: parsed(databaseUrl),
    allowed:
      "postgres://user:password@host:port/database, several host:port separated by commas, or ?host= with the folder of a socket " +
      "(in the password, percent-encode @ : / ? # and %)",
    about: "PostgreSQL database",
    secret: true,
  },
  DATABASE_TLS_CA: {
    schema: parsed(certificates),
    default: null,
    allowed: "a readable PEM file, its text, or 'public' for the well-known authorities",
    about: "certificate authorities of PostgreSQL; turns TLS on",
  },
  DATABASE_AUTH: {
    schema: oneOf("password", "AWS_RDS_IAM"),
    default: "password",
    allowed: "password or AWS_RDS_IAM",
    about: "login to PostgreSQL: the password or certificate of DATABASE_URL, or a token signed with AWS credentials",
  },
  ...AWS_SETTINGS,
  ALLOW_PLAINTEXT: {
    schema: flag(),
    default: "false",
    allowed: "true or false",
    about: "send logins to public addresses even without TLS that verifies the server",
  },
  HTTP_LISTEN: {
    schema: parsed((value) => addressOf(value, null)),
    default: "127.0.0.1:8080",
    allowed: "host:port; port 0 picks a free one",
    about: "address of the status page, /health, /ready, /metrics and /api/status",
  },
  HTTP_HOSTS: {
    schema: parsed((value) => list(value).map((host) => addressOf(host, 80).hostname.toLowerCase())),
    default: null,
    allowed: "host names, separated by commas",
    about:
      "further host names of the status page, such as a reverse proxy's; IP addresses, localhost, the machine's name and the " +
      "name in HTTP_LISTEN are always answered",
  },
  WORKERS: {
    schema: wholeNumber(1, 256),
    default: null,
    allowed: "a whole number from 1 to 256, at most 4 for each core and 1 for each 200 MB of memory",
    about: "workers (default: one for each 2 cores, fewer if memory is short)",
  },
  MEMORY_MB: {
    schema: wholeNumber(LEAST_MEMORY_MB, 65_536),
    default: null,
    allowed: `a whole number from ${LEAST_MEMORY_MB} to 65536`,
    about:
      "memory of the service, in MB; the more, the larger and cheaper are commits, and the more ids of events are " +
      "remembered for telling duplicates " +
      `(default: a quarter of the machine's, at most ${MOST_MEMORY_MB})`,
  },
  COMMIT_EVERY_MS: {
    schema: wholeNumber(10, 60_000),
    default: "1000",
    allowed: "a whole number from 10 to 60000",
    about: "longest time that an event waits for its commit, in milliseconds",
  },
  EVENTS_KEEP_DAYS: {
    schema: wholeNumber(1, 3650),
    default: "30",
    allowed: "a whole number from 1 to 3650",
    about: "retention of events, in days; an older event is refused",
  },
  ROLLUPS_KEEP_DAYS: {
    schema: wholeNumber(1, 36_500),
    default: "400",
    allowed: "a whole number from 1 to 36500, and more than EVENTS_KEEP_DAYS",
    about: "retention of windows and sessions, in days; `maintain` deletes older ones",
  },
  STORE_EVENTS: {
    schema: flag(),
    default: "true",
    allowed: "true or false",
    about: "store each event, besides counting it",
  },
  HASH_ROUTES: {
    schema: flag(),
    default: "true",
    allowed: "true or false",
    about: "count a fragment that begins with / or !/, such as #/cart, as part of the page",
  },
  SITE_HOSTS: {
    schema: parsed(siteHostsOf),
    default: null,
    allowed: "host names, separated by commas",
    about: "hosts of the shop, each with its subdomains; a referrer from one of them is not where a session comes from",
  },
  CURRENCY: {
    schema: parsed(currencyOf),
    default: null,
    allowed: "a code of ISO 4217, such as EUR",
    about:
      "currency of the shop; purchases in others are converted by the table `rates` (default: nothing is converted)",
  },
  TIME_ZONE: {
    schema: parsed(timeZoneNameOf),
    default: null,
    allowed: "the IANA name of a time zone, such as Europe/Berlin",
    about:
      "time zone of the days that users, cohorts, pages and the heatmap are counted by; `migrate` sets it while there " +
      "are no events (default: UTC), `rebuild` changes it, and other commands check it if it is set",
  },
  VIEWS: {
    schema: parsed(chosenViews),
    default: VIEWS.map(({ name }) => name).join(","),
    allowed: `some of ${VIEWS.map(({ name }) => name).join(", ")}, separated by commas`,
    about: "views to maintain",
  },
  VIEWS_FILE: {
    schema: parsed(declaredViews),
    default: null,
    allowed: "a file of declared views, goals and funnels; `clickstream views check` names each fault in it",
    about:
      "file of the shop's own views, goals and funnels, which `clickstream views apply` has applied to the database",
  },
  LOG_LEVEL: {
    schema: oneOf("debug", "info", "warn", "error"),
    default: "info",
    allowed: "debug, info, warn or error",
    about: "lowest severity that is logged",
  },
  LOG_FORMAT: {
    schema: oneOf("json", "text"),
    default: null,
    allowed: "json or text",
    about: "log format (default: text on a terminal, otherwise json)",
  },
  ...TELEMETRY,
} as const satisfies Record<string, Setting>;

type Table = typeof SETTINGS;

/** Name of a setting and of its environment variable. */
export type SettingName = keyof Table;

type Value<D extends Setting> = z.output<D["schema"]> | (D extends { readonly default: null } ? null : never);

/** Values of settings by name; null for an optional one that is absent. */
export type Settings<N extends SettingName = SettingName> = { readonly [K in N]: Value<Table[K]> };

const LEAST_KERNEL_MEBIBYTES = 128;

/** Number of workers: WORKERS, or the default for this machine. */
export function workersOf({ WORKERS }: Settings<"WORKERS">): number {
  return WORKERS ?? defaultWorkers();
}

/** Default number of workers for a machine: one for each 2 cores as far as memory allows, and at least one. */
export function defaultWorkers(of: Machine = machine()): number {
  return Math.max(1, Math.min(Math.floor(of.cores / CORES_A_WORKER), mostWorkers(of)));
}

/** Memory of the service in MB: MEMORY_MB, or the default for this machine. */
export function memoryMbOf({ MEMORY_MB }: Settings<"MEMORY_MB">): number {
  return MEMORY_MB ?? defaultMemoryMb();
}

/** Default memory of the service for a machine, in MB: a quarter of the machine's, within limits. */
export function defaultMemoryMb({ memoryBytes }: Machine = machine()): number {
  return Math.min(MOST_MEMORY_MB, Math.max(LEAST_MEMORY_MB, Math.floor(memoryBytes / 4e6)));
}

/** Address space for the kernel of one worker, in MiB: half of the machine's for all of them, but at most 2 GiB each. */
export function kernelMebibytes(settings: Settings<"WORKERS">, { memoryBytes }: Machine = machine()): number {
  const share = Math.floor(memoryBytes / 2 / workersOf(settings) / 2 ** 20);
  return Math.max(LEAST_KERNEL_MEBIBYTES, Math.min(2048, share));
}

/** Largest number of workers for a machine: 4 for each core, and 1 for each 200 MB of memory. */
export function mostWorkers({ cores, memoryBytes }: Machine = machine()): number {
  return Math.max(1, Math.min(256, cores * WORKERS_A_CORE, Math.floor(memoryBytes / WORKER_BYTES)));
}

/**
 * Reads these settings; an empty variable counts as absent.
 *
 * @throws {WrongSettings} naming every invalid setting
 */
export function readSettings<N extends SettingName>(
  names: readonly N[],
  env: (name: string) => string | undefined = given,
): Settings<N> {
  const wrong: string[] = [];
  const values = names.map((name) => [name, read(name, env(name) || undefined, wrong)] as const);
  const found = new Map<string, unknown>(values);
  wrong.push(...loginFaults({ names, text: (name) => env(name) || undefined, value: (name) => found.get(name) }));
  wrong.push(...sessionsMissing(found));
  // With another `env`, the settings are for a machine that may not exist yet.
  if (env === given) wrong.push(...tooManyWorkers(values));
  if (wrong.length > 0) {
    const count = wrong.length === 1 ? "1 setting is" : `${wrong.length} settings are`;
    throw new WrongSettings(`${count} invalid:\n${wrong.map((line) => `  ${visible(line)}`).join("\n")}`);
  }
  const views = found.get("VIEWS") as readonly View[] | undefined;
  if (views !== undefined && typeof found.get("CURRENCY") === "string") found.set("VIEWS", withCurrencies(views));
  // Each value was parsed by the schema of its setting.
  return Object.fromEntries(found) as Settings<N>;
}

/** Whether a setting is set; an empty text counts as absent. */
export function isSet(name: SettingName): boolean {
  return find(name) !== undefined;
}

/** The value of a setting; adds an error to `wrong` if it is invalid. */
function read(name: SettingName, given: string | undefined, wrong: string[]): unknown {
  const { schema, default: fallback, allowed, secret }: Setting = SETTINGS[name];
  const value = given ?? fallback;
  if (value === null) return null;
  if (value === undefined) return wrong.push(`${name} is not set; it must be ${allowed}`);
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const said = error.issues.find(({ code, message }) => code === "custom" && message !== "")?.message;
  const is = secret ? "has a value that is not shown" : `is ${quoted(withoutPasswords(value))}`;
  return wrong.push(`${name} ${is}${said === undefined ? "" : ` (${said})`}; it must be ${allowed}`);
}

function tooManyWorkers(values: readonly (readonly [SettingName, unknown])[]): string[] {
  const [, workers] = values.find(([name]) => name === "WORKERS") ?? [];
  const most = mostWorkers();
  if (typeof workers !== "number" || workers <= most) return [];
  const { cores, memoryBytes } = machine();
  const has = `${cores} ${cores === 1 ? "core" : "cores"} and ${Math.floor(memoryBytes / 1e6)} MB of memory`;
  return [`WORKERS is "${workers}"; this machine has ${has}, so it must be from 1 to ${most}`];
}

/** What is wrong if goals or funnels are declared, and there are no sessions to count them in. */
function sessionsMissing(found: ReadonlyMap<string, unknown>): string[] {
  // An invalid setting has no list of these.
  const views = found.get("VIEWS") as readonly View[];
  const file = found.get("VIEWS_FILE") as DeclaredViews | null | undefined;
  if (!Array.isArray(views) || !file?.ofSessions?.length) return [];
  const names = views.map(({ name }) => name);
  if (names.includes(sessions.name)) return [];
  return [
    `VIEWS is ${
      quoted(names.join(","))
    }; it must have ${sessions.name}, which count the goals and funnels of VIEWS_FILE`,
  ];
}

/** The views to compute: the chosen ones, and what the shop's file declares. */
export function viewsOf({ VIEWS, VIEWS_FILE }: Settings<"VIEWS" | "VIEWS_FILE">): readonly View[] {
  return withDeclared(VIEWS, VIEWS_FILE);
}

function chosenViews(value: string): readonly View[] {
  const names = list(value);
  const unknown = names.filter((name) => !VIEWS.some((view) => view.name === name));
  if (unknown.length > 0) throw new RangeError(`unknown view: ${unknown.map(quoted).join(", ")}`);
  return VIEWS.filter(({ name }) => names.includes(name));
}

function currencyOf(value: string): string {
  if (!MINOR_DIGITS.has(value)) throw new RangeError("no such currency");
  return value;
}

/** Hosts in lower case without `www.`: a host covers it as it covers any subdomain. */
function siteHostsOf(value: string): readonly string[] {
  return list(value).map((host) => {
    const named = host.toLowerCase().replace(/\.$/, "");
    if (!SITE_HOST.test(named)) throw new RangeError(`${quoted(host)} is not a host name`);
    return named.replace(/^www\.(?=.*\.)/, "");
  });
}

/** Names alone: PostgreSQL would also take offsets, and abbreviations of several zones. */
function timeZoneNameOf(value: string): string {
  if (!/^[A-Za-z]/.test(value)) throw new RangeError("an offset is no name");
  // Throws a RangeError for a name that is not known.
  Intl.DateTimeFormat("en", { timeZone: value });
  return value;
}

const SITE_HOST = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;

function quoted(value: string): string {
  return JSON.stringify(value.length > 100 ? `${value.slice(0, 99)}…` : value);
}

function given(name: string): string | undefined {
  return find(name)?.text;
}

/** The supervisor of the service: systemd. */
export interface Supervisor {
  /** Path of its notification socket. */
  readonly socket: string;
  /** Longest time between two signs of life, in milliseconds; null without a watchdog. */
  readonly watchdogMs: number | null;
}

/** The supervisor of this process; null if there is none. */
export function supervisor(): Supervisor | null {
  const socket = Deno.env.get("NOTIFY_SOCKET");
  if (!socket?.startsWith("/")) return null;
  const watchdogUs = Number(Deno.env.get("WATCHDOG_USEC") ?? NaN);
  return { socket, watchdogMs: watchdogUs > 0 ? watchdogUs / 1000 : null };
}

/** Whether to print the stack of an error that ends the program. */
export function showsStacks(): boolean {
  return Deno.env.get("LOG_LEVEL") === "debug";
}
