/**
 * The HTTP server of a running process. Read only.
 * @module
 */
import { type Address, addressText } from "../config/address.ts";
import { inWords } from "../config/secret.ts";
import { jsonLine } from "../config/visible.ts";
import { ASSETS } from "../status/assets.ts";
import type { StatusReport } from "../status/report.ts";
import { type Answer, Connections, LIMITS, type Limits } from "./connections.ts";
import { hostOf, type HttpRequest } from "./head.ts";
import type { Log } from "../host/log.ts";

/** What the server shows. */
export interface Shown {
  /** Why the process is not ready, in words; null if it is. */
  notReady(): string | null;
  status(): StatusReport;
  /** Server-sent events for one more client; null if there are too many. */
  stream(): ReadableStream<Uint8Array> | null;
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
}

/** A running server. */
export interface HttpServer {
  /** Its address. */
  readonly address: Address;
  /** Stops it at once. */
  close(): Promise<void>;
}

const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** The page loads scripts and styles only from here, and no script makes markup out of text. */
const PAGE_HEADERS = {
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
    "require-trusted-types-for 'script'; trusted-types 'none'",
};

type Route = (shown: Shown, isHead: boolean) => Answer | Promise<Answer>;

const ROUTES: Readonly<Record<string, Route>> = {
  ...Object.fromEntries(
    Object.entries(ASSETS).map(([path, { type, body }]) => [path, () => answer(200, type, body, PAGE_HEADERS)]),
  ),
  "/health": () => json(200, { status: "alive" }),
  "/ready": ({ notReady }) => {
    const reason = notReady();
    return reason === null ? json(200, { status: "ready" }) : json(503, { status: "not ready", reason });
  },
  "/metrics": async ({ metrics }) => answer(200, metrics.contentType, await metrics.text()),
  "/api/status": ({ status }) => json(200, status()),
  "/api/stream": ({ stream }, isHead) => {
    if (isHead) return answer(200, "text/event-stream", null);
    const events = stream();
    if (events !== null) return answer(200, "text/event-stream", events);
    return json(503, { error: "too many clients; /api/status has the same data" }, { "retry-after": "10" });
  },
};

/** Paths, without the files of the page. */
const PATHS = Object.keys(ROUTES).filter((path) => !path.startsWith("/page/"));

/** Options of a server. */
export interface ServeOptions {
  /** Further host names in lower case, besides its address, localhost and the name of the machine. */
  readonly hosts?: readonly string[];
  /** Name of the address in error messages. */
  readonly named?: string;
  readonly limits?: Limits;
}

/**
 * Listens until closed. Only requests for known host names are answered, so that a page of another site cannot read this
 * one by DNS rebinding. IP addresses are always answered: rebinding needs a name.
 *
 * @throws {Error} if the address cannot be listened on
 */
export function serveHttp(
  { hostname, port }: Address,
  shown: Shown,
  log: Log,
  { hosts = [], named = `HTTP_LISTEN=${addressText({ hostname, port })}`, limits = LIMITS }: ServeOptions = {},
): HttpServer {
  const meant = new Set(["localhost", Deno.hostname(), hostname, ...hosts].map((name) => hostOf(name)));
  let listener: Deno.TcpListener;
  try {
    listener = Deno.listen({ hostname, port });
  } catch (error) {
    throw new Error(`could not listen on ${named}: ${whyNot(error)}`, { cause: error });
  }
  const { hostname: listensOn, port: listensAt } = listener.addr;
  const refuse = (status: number, reason: string) => json(status, { error: reason });
  const connections = new Connections(listener, (request) => respond(request, shown, meant), refuse, log, limits);
  return { address: { hostname: listensOn, port: listensAt }, close: () => connections.close() };
}

function respond(
  { method, path, host }: HttpRequest,
  shown: Shown,
  meant: ReadonlySet<string | null>,
): Answer | Promise<Answer> {
  if (!isIpAddress(host) && !meant.has(host)) return answer(421, "text/plain; charset=utf-8", notMeant(host));
  const route = Object.hasOwn(ROUTES, path) ? ROUTES[path] : undefined;
  if (route === undefined) return json(404, { error: "not found", paths: PATHS });
  if (method === "GET" || method === "HEAD") return route(shown, method === "HEAD");
  return json(405, { error: "read only" }, { allow: "GET, HEAD" });
}

function isIpAddress(host: string): boolean {
  return host.startsWith("[") || /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
}

function notMeant(host: string): string {
  return `This server does not answer to the name ${host}.\nIf it should, add the name to its setting HTTP_HOSTS.\n`;
}

function json(status: number, value: unknown, more: Readonly<Record<string, string>> = {}): Answer {
  return answer(status, "application/json", `${jsonLine(value)}\n`, more);
}

function answer(
  status: number,
  type: string,
  body: string | ReadableStream<Uint8Array> | null,
  more: Readonly<Record<string, string>> = {},
): Answer {
  return { status, headers: { ...HEADERS, ...more, "content-type": type }, body };
}

function whyNot(error: unknown): string {
  if (error instanceof Deno.errors.AddrInUse) {
    return "another program listens there; choose another port, or 0 for a free one";
  }
  if (error instanceof Deno.errors.AddrNotAvailable) return "no network interface of this machine has that address";
  if (error instanceof Deno.errors.PermissionDenied) return "ports below 1024 need a privilege; choose a higher one";
  return inWords(error);
}
