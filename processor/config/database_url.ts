/**
 * Parses the address of a PostgreSQL database like libpq: hosts, sockets and parameters. A parameter that the client
 * does not support like libpq is an error, never ignored.
 * @module
 */
import { Secret } from "./secret.ts";

/** What libpq's `sslmode` means. */
export type TlsMode = typeof TLS_MODES[number];

const TLS_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;

/** A server: name or address, or the folder of its socket if `host` starts with a slash. */
export interface DatabaseHost {
  readonly host: string;
  readonly port: number;
}

/** The parts of a database's address. */
export interface DatabaseAddress {
  /** In the order in which they are tried; at least one. */
  readonly hosts: readonly DatabaseHost[];
  /** Null: the user of the operating system. */
  readonly user: string | null;
  readonly password: string | null;
  readonly database: string;
  /**
   * `allow` encrypts if the server demands it, `prefer` if it can. `require` always encrypts and trusts any certificate.
   * `verify-ca` checks its authority, `verify-full` its host name too.
   */
  readonly tls: TlsMode;
  /** Files of `sslrootcert` (or `system`), `sslcert` and `sslkey`, and `sslpassword`; null if absent. */
  readonly files: {
    readonly ca: string | null;
    readonly cert: string | null;
    readonly key: string | null;
    readonly keyPassword: string | null;
  };
  /** Required kind of server: any that answers, one that accepts writes, or one that is not a standby. */
  readonly wants: "any" | "read-write" | "primary";
  readonly applicationName: string | null;
  readonly options: string | null;
  /** Connection timeout per host, in milliseconds; null: the caller's default. */
  readonly connectTimeoutMs: number | null;
}

/** Supported parameters, with their allowed values. */
const PARAMETERS: Readonly<Record<string, readonly string[] | "any">> = {
  host: "any",
  port: "any",
  user: "any",
  password: "any",
  dbname: "any",
  sslmode: TLS_MODES,
  ssl: ["true"],
  sslrootcert: "any",
  sslcert: "any",
  sslkey: "any",
  sslpassword: "any",
  target_session_attrs: ["any", "read-write", "primary"],
  application_name: "any",
  options: "any",
  connect_timeout: "any",
  channel_binding: ["disable", "prefer"],
  gssencmode: ["disable", "prefer"],
  uselibpqcompat: ["true"],
};

/** Known unsupported parameters: an error may name them, while any other text may be part of a password. */
const UNSUPPORTED = [
  ...["hostaddr", "passfile", "service", "servicefile", "sslcrl", "sslnegotiation", "sslcompression"],
  ...["requirepeer", "require_auth", "krbsrvname", "gsslib", "keepalives", "keepalives_idle", "keepalives_interval"],
  ...["keepalives_count", "tcp_user_timeout", "load_balance_hosts", "fallback_application_name", "client_encoding"],
  ...["replication", "ssl_min_protocol_version", "ssl_max_protocol_version", "sslcertmode", "sslsni", "pgbouncer"],
  ...["statement_timeout", "lock_timeout", "query_timeout", "idle_in_transaction_session_timeout", "schema"],
] as const;

const PARTS = /^(postgres(?:ql)?):\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^/?#@]*))?(?:\?([^#]*))?$/s;

/**
 * Checks the connection string of a PostgreSQL database, and hides its password; surrounding blanks are removed.
 *
 * @throws {RangeError} if it is invalid or not supported; the message contains no part of the value
 */
export function databaseUrl(value: string): Secret {
  const text = value.trim();
  const address = parseDatabaseUrl(text);
  return new Secret(text, shown(text, address));
}

/**
 * Parses the connection string of a PostgreSQL database.
 *
 * @throws {RangeError} if it is invalid or not supported; the message contains no part of the value
 */
export function parseDatabaseUrl(text: string): DatabaseAddress {
  if (!/^postgres(ql)?:\/\//.test(text)) throw new RangeError("it is not a postgres:// address");
  const parts = PARTS.exec(text);
  // An unencoded password would land in another part, and be shown.
  if (parts === null) throw new RangeError("a part is missing or not encoded");
  const [, , login = "", authority = "", path = "", query = ""] = parts;
  const given = parametersOf(query);
  const colon = login.indexOf(":");
  const user = given.get("user") ?? decoded(colon < 0 ? login : login.slice(0, colon));
  const password = given.get("password") ?? (colon < 0 ? "" : decoded(login.slice(colon + 1)));
  const database = given.get("dbname") ?? decoded(path);
  if (database === "") throw new RangeError("it names no database");
  for (const part of [user, password, database]) {
    if (part.includes("\0")) throw new RangeError("a part contains a NUL");
  }
  return {
    hosts: hostsOf(authority, given),
    user: user === "" ? null : user,
    password: password === "" ? null : password,
    database,
    tls: tlsOf(given),
    files: {
      ca: given.get("sslrootcert") ?? null,
      cert: given.get("sslcert") ?? null,
      key: given.get("sslkey") ?? null,
      keyPassword: given.get("sslpassword") ?? null,
    },
    wants: (given.get("target_session_attrs") ?? "any") as DatabaseAddress["wants"],
    applicationName: given.get("application_name") ?? null,
    options: given.get("options") ?? null,
    connectTimeoutMs: timeoutOf(given.get("connect_timeout")),
  };
}

/** A server as `host:port`, with an IPv6 host in brackets, or as the path of its socket. */
export function hostText({ host, port }: DatabaseHost): string {
  if (host.startsWith("/")) return `${host}/.s.PGSQL.${port}`;
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function parametersOf(query: string): ReadonlyMap<string, string> {
  const given = new Map<string, string>();
  for (const pair of query.split("&").filter((pair) => pair !== "")) {
    const [, name = "", value = ""] = /^([^=]*)=(.*)$/s.exec(pair) ?? [];
    const allowed = PARAMETERS[name];
    if (!Object.hasOwn(PARAMETERS, name) || allowed === undefined) {
      const which = UNSUPPORTED.some((known) => known === name) ? `its parameter ${name}` : "one of its parameters";
      const all = Object.keys(PARAMETERS).join(", ");
      throw new RangeError(`${which} is not supported; supported are ${all}`);
    }
    const meant = decoded(value);
    if (allowed !== "any" && !allowed.includes(meant)) {
      throw new RangeError(`its parameter ${name} may only be ${allowed.join(", ")}${WHY_NOT[name] ?? ""}`);
    }
    given.set(name, meant);
  }
  return given;
}

/** Why other values of libpq are not allowed. */
const WHY_NOT: Readonly<Record<string, string>> = {
  target_session_attrs: ": the tables are written to",
};

/** As in libpq: without `sslmode`, TLS is used if the server has it; with `sslrootcert`, `require` checks the authority. */
function tlsOf(given: ReadonlyMap<string, string>): DatabaseAddress["tls"] {
  const root = given.get("sslrootcert");
  const least = root === "system" ? "verify-full" : given.has("ssl") ? "require" : "prefer";
  const mode = (given.get("sslmode") ?? least) as TlsMode;
  if (root === "system" && mode !== "verify-full") {
    throw new RangeError("with sslrootcert=system, sslmode must be verify-full: anybody gets a certificate from those");
  }
  if (root !== undefined && ["disable", "allow", "prefer"].includes(mode)) {
    throw new RangeError("with sslrootcert, sslmode must be require, verify-ca or verify-full");
  }
  if (root === undefined && mode === "verify-ca") {
    throw new RangeError("with sslmode=verify-ca, sslrootcert must name the file of the authority");
  }
  const [cert, key] = [given.has("sslcert"), given.has("sslkey")];
  if (cert !== key) throw new RangeError("sslcert and sslkey need each other");
  if (mode === "disable" && cert) throw new RangeError("sslcert and sslkey need an sslmode with TLS");
  if (given.has("sslpassword") && !key) throw new RangeError("sslpassword needs sslkey");
  return mode === "require" && root !== undefined ? "verify-ca" : mode;
}

function timeoutOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^\d{1,6}$/.test(text)) throw new RangeError("its connect_timeout is not a whole number of seconds");
  // As in libpq, 0 means no limit, and 1 means 2.
  return text === "0" ? null : Math.max(2, Number(text)) * 1000;
}

const NAME = /^[\p{L}\p{N}_](?:[\p{L}\p{N}._-]*[\p{L}\p{N}_.])?$/u;

function hostsOf(authority: string, given: ReadonlyMap<string, string>): DatabaseHost[] {
  const places = authority.split(",").map((place) => {
    const parts = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]*))(?::(\d*))?$/i.exec(place);
    if (parts === null) throw new RangeError(NO_HOST);
    const [, v6, name = "", port = ""] = parts;
    return { host: decoded(v6 ?? name), port };
  });
  const names = given.get("host")?.split(",") ?? places.map(({ host }) => host);
  const ports = given.get("port")?.split(",") ?? places.map(({ port }) => port);
  if (ports.length !== 1 && ports.length !== names.length) {
    throw new RangeError("it has a different number of ports than of hosts");
  }
  return names.map((host, n) => {
    const port = ports.length === 1 ? ports[0]! : ports[n]!;
    if (host === "") throw new RangeError("it names no host; for a socket, add its folder: ?host=/var/run/postgresql");
    if (!host.startsWith("/") && !NAME.test(host) && !/^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(host)) {
      throw new RangeError(NO_HOST);
    }
    if (!/^\d{0,5}$/.test(port) || port === "0" || Number(port) > 65_535) {
      throw new RangeError("a port is not a whole number from 1 to 65535");
    }
    return { host, port: port === "" ? 5432 : Number(port) };
  });
}

const NO_HOST = "a host is not a name, an address (IPv6 in brackets) or the folder of a socket";

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new RangeError("a % is not followed by two hexadecimal digits of UTF-8; write %25 for a literal %");
  }
}

/** The address as it was written, without password and parameters. */
function shown(text: string, { hosts, user, database }: DatabaseAddress): string {
  const [scheme, ...rest] = text.split("://");
  const isPortGiven = /:\d+(?:[,/?]|$)/.test(rest.join("://").replace(/^[^/?#]*@/, "")) || /[?&]port=/.test(text);
  const places = hosts.map(({ host, port }) => {
    const name = host.startsWith("/") ? encodeURIComponent(host) : host.includes(":") ? `[${host}]` : host;
    return isPortGiven ? `${name}:${port}` : name;
  });
  const login = user === null ? "" : `${encodeURIComponent(user)}@`;
  return `${scheme}://${login}${places.join(",")}/${encodeURIComponent(database)}`;
}
