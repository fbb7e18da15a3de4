/**
 * Keeps logins off public networks unless they are encrypted and the server is verified.
 * @module
 */
import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { addressOf } from "./address.ts";
import { type Settings, WrongSettings } from "./config.ts";
import { parseDatabaseUrl } from "./database_url.ts";

/** Settings that decide where logins go, and how. */
export type LoginSettings = Partial<
  Settings<
    | "KAFKA_BROKERS"
    | "KAFKA_TLS_CA"
    | "KAFKA_SASL_MECHANISM"
    | "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL"
    | "DATABASE_URL"
    | "DATABASE_TLS_CA"
    | "OTEL_EXPORTER_OTLP_ENDPOINT"
    | "OTEL_EXPORTER_OTLP_HEADERS"
  >
>;

/** The addresses of a host name; rejects if it has none. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** Networks that no packet reaches from the internet: IANA's special-purpose address registries. */
const NOT_PUBLIC = [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"],
  ...["192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4"],
  ...["::/127", "100::/64", "2001:db8::/32", "3fff::/20", "fc00::/7", "fe80::/10"],
];

const reserved = new BlockList();
for (const network of NOT_PUBLIC) {
  const [address, bits] = network.split("/");
  reserved.addSubnet(address!, Number(bits), address!.includes(":") ? "ipv6" : "ipv4");
}

/** Whether an IP address is reachable from the internet; an IPv4 address inside an IPv6 address counts as itself. */
export function isPublic(address: string): boolean {
  return !reserved.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

/**
 * Asserts that no login is sent to a public address without TLS that verifies the server. A host without an address
 * passes: nothing can be sent to it.
 *
 * @throws {WrongSettings} naming each setting, the host and its address
 */
export async function assertLoginsProtected(settings: LoginSettings, resolve: Resolve = addresses): Promise<void> {
  const wrong = await Promise.all([
    kafka(settings, resolve),
    tokenEndpoint(settings, resolve),
    database(settings, resolve),
    collector(settings, resolve),
  ]);
  const lines = wrong.flat();
  if (lines.length > 0) throw new WrongSettings(lines.join("\n"));
}

async function kafka(settings: LoginSettings, resolve: Resolve): Promise<string[]> {
  const { KAFKA_BROKERS: brokers = [], KAFKA_TLS_CA: authorities, KAFKA_SASL_MECHANISM: mechanism } = settings;
  if (authorities != null || mechanism == null) return [];
  const found = await publicOnes(brokers.map((broker) => addressOf(broker).hostname), resolve);
  return found.map((host) =>
    `KAFKA_BROKERS names ${host}; the login of KAFKA_SASL_MECHANISM would cross the internet unencrypted: ` +
    `set KAFKA_TLS_CA to a PEM file or 'public' (or ALLOW_PLAINTEXT=true, if you accept that)`
  );
}

async function tokenEndpoint(settings: LoginSettings, resolve: Resolve): Promise<string[]> {
  const url = URL.parse(settings.KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL ?? "");
  if (url?.protocol !== "http:") return [];
  const found = await publicOnes([url.hostname.replace(/^\[(.*)\]$/, "$1")], resolve);
  return found.map((host) =>
    `KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL names ${host}; the client's secret and its tokens would cross the ` +
    "internet unencrypted: use https (or ALLOW_PLAINTEXT=true, if you accept that)"
  );
}

async function database(settings: LoginSettings, resolve: Resolve): Promise<string[]> {
  const { DATABASE_URL: url, DATABASE_TLS_CA: authorities } = settings;
  if (url == null || authorities != null) return [];
  const { hosts, tls } = parseDatabaseUrl(url.reveal());
  if (tls === "verify-full") return [];
  const found = await publicOnes(hosts.map(({ host }) => host).filter((host) => !host.startsWith("/")), resolve);
  const how = ["require", "verify-ca"].includes(tls) ? "to a server that nobody verifies" : "unencrypted";
  return found.map((host) =>
    `DATABASE_URL names ${host}; its login and all data would cross the internet ${how}: ` +
    `set sslmode=verify-full or DATABASE_TLS_CA to a PEM file or 'public' (or ALLOW_PLAINTEXT=true, if you accept that)`
  );
}

async function collector(settings: LoginSettings, resolve: Resolve): Promise<string[]> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_HEADERS: headers } = settings;
  if (endpoint == null || headers == null || !endpoint.startsWith("http:")) return [];
  const found = await publicOnes([new URL(endpoint).hostname.replace(/^\[(.*)\]$/, "$1")], resolve);
  return found.map((host) =>
    `OTEL_EXPORTER_OTLP_ENDPOINT names ${host}; OTEL_EXPORTER_OTLP_HEADERS would cross the internet unencrypted: ` +
    `use https:// (or ALLOW_PLAINTEXT=true, if you accept that)`
  );
}

/** The hosts with a public address, as text with that address. */
async function publicOnes(hosts: readonly string[], resolve: Resolve): Promise<string[]> {
  const found = await Promise.all([...new Set(hosts)].map(async (host) => {
    const all = isIP(host) > 0 ? [host] : await resolve(host).catch(() => []);
    const address = all.find(isPublic);
    if (address === undefined) return [];
    return [address === host ? `the public address ${host}` : `${host}, which has the public address ${address}`];
  }));
  return found.flat();
}

async function addresses(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
