/**
 * What a running processor shows over HTTP. Read only.
 * @module
 */
import { type Address, addressText } from "../address.ts";
import { inWords } from "../secret.ts";
import { statusPage } from "../status/page.ts";
import type { StatusReport } from "../status/report.ts";
import type { Log } from "./log.ts";

/** What is shown. */
export interface Shown {
  /** Why the work has stopped, in words; null while it goes on. */
  notReady(): string | null;
  status(): StatusReport;
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
}

/** A server that runs. */
export interface HttpServer {
  /** Where it listens. */
  readonly address: Address;
  /** Ends it, without waiting for who is still being answered. */
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

type Route = (shown: Shown) => Response | Promise<Response>;

const ROUTES: Readonly<Record<string, Route>> = {
  "/": ({ status }) => answer(200, "text/html; charset=utf-8", statusPage(status())),
  "/health": () => json(200, { status: "alive" }),
  "/ready": ({ notReady }) => {
    const reason = notReady();
    return reason === null ? json(200, { status: "ready" }) : json(503, { status: "not ready", reason });
  },
  "/metrics": async ({ metrics }) => answer(200, metrics.contentType, await metrics.text()),
  "/api/status": ({ status }) => json(200, status()),
};

/**
 * Listens until closed.
 *
 * @throws {Error} naming the setting, if it is not possible to listen there
 */
export function serveHttp({ hostname, port }: Address, shown: Shown, log: Log): HttpServer {
  const over = new AbortController();
  try {
    const server = Deno.serve({
      hostname,
      port,
      signal: over.signal,
      onListen: () => {},
      onError: (error) => {
        log.error("a request could not be answered", { reason: inWords(error) });
        return json(500, { error: "internal error; the log says more" });
      },
    }, (request) => respond(request, shown));
    return {
      address: { hostname: server.addr.hostname, port: server.addr.port },
      close: async () => {
        over.abort();
        await server.finished;
      },
    };
  } catch (error) {
    throw new Error(`could not listen on HTTP_LISTEN=${addressText({ hostname, port })}: ${whyNot(error)}`, {
      cause: error,
    });
  }
}

function respond(request: Request, shown: Shown): Response | Promise<Response> {
  const { pathname } = new URL(request.url);
  const route = Object.hasOwn(ROUTES, pathname) ? ROUTES[pathname] : undefined;
  if (route === undefined) return json(404, { error: "not found", paths: Object.keys(ROUTES) });
  if (request.method === "GET" || request.method === "HEAD") return route(shown);
  return json(405, { error: "read only" }, { allow: "GET, HEAD" });
}

function json(status: number, value: unknown, more: Readonly<Record<string, string>> = {}): Response {
  return answer(status, "application/json", `${JSON.stringify(value)}\n`, more);
}

function answer(status: number, type: string, body: string, more: Readonly<Record<string, string>> = {}): Response {
  return new Response(body, { status, headers: { ...HEADERS, ...more, "content-type": type } });
}

function whyNot(error: unknown): string {
  if (error instanceof Deno.errors.AddrInUse) return "another program listens there; choose another port, or 0 for any";
  if (error instanceof Deno.errors.AddrNotAvailable) return "no network interface of this machine has that address";
  if (error instanceof Deno.errors.PermissionDenied) return "ports below 1024 need a privilege; choose a higher one";
  return inWords(error);
}
