/**
 * The head of an HTTP/1.1 request.
 * @module
 */

/** A valid request. */
export interface HttpRequest {
  readonly method: string;
  /** The path as sent, without the query string. */
  readonly path: string;
  /** Host name or IP address in lower case, without the port. */
  readonly host: string;
  /** Whether the connection may be kept alive. */
  readonly keepAlive: boolean;
}

/** An invalid request, and the response to it. */
export interface HttpFault {
  readonly status: 400 | 505;
  readonly reason: string;
}

const LINE = /^([A-Z]{1,20}) ([\x21-\x7e]{1,8192}) HTTP\/(\d)\.(\d)$/;
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):((?:\P{Cc}|\t)*)$/u;
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?)\.?(?::\d{0,5})?$/i;

/** Parses the lines of a head, without the empty one at its end. */
export function parseHead(head: string): HttpRequest | HttpFault {
  const [line = "", ...lines] = head.split("\r\n");
  const [, method, target, major, minor] = LINE.exec(line) ?? [];
  if (method === undefined || target === undefined) return wrong("this is no request of HTTP/1.1");
  if (major !== "1") return { status: 505, reason: "only HTTP/1.1 is spoken here" };
  const headers = new Map<string, string>();
  for (const text of lines) {
    const [, name, value] = HEADER.exec(text) ?? [];
    if (name === undefined || value === undefined) return wrong("a header is malformed");
    const key = name.toLowerCase();
    if (key === "host" && headers.has(key)) return wrong("there are two Host headers");
    // As HTTP joins them: of two different lengths, neither may be believed.
    const before = headers.get(key);
    headers.set(key, before === undefined ? trimmed(value) : `${before}, ${trimmed(value)}`);
  }
  const url = URL.parse(target.startsWith("/") ? `http://host${target}` : target);
  if (url?.protocol !== "http:") return wrong("what is asked for is no path");
  const host = hostOf(target.startsWith("/") ? headers.get("host") ?? "" : url.host);
  if (host === null) return wrong("the Host header is missing or malformed");
  // A body is not read, so no other request can follow.
  const hasBody = headers.has("transfer-encoding") || (headers.get("content-length") ?? "0") !== "0";
  const keepAlive = minor !== "0" && !hasBody && !/\bclose\b/i.test(headers.get("connection") ?? "");
  return { method, path: url.pathname, host, keepAlive };
}

/** The text without blanks and tabs around it; others, such as a no-break space, belong to it. */
function trimmed(text: string): string {
  let [from, to] = [0, text.length];
  while (from < to && BLANK.has(text[from]!)) from++;
  while (from < to && BLANK.has(text[to - 1]!)) to--;
  return text.slice(from, to);
}

const BLANK: ReadonlySet<string> = new Set([" ", "\t"]);

/** The name in `host` or `host:port`, in lower case; null if it is invalid. */
export function hostOf(text: string): string | null {
  return HOST.exec(text)?.[1]?.toLowerCase() ?? null;
}

function wrong(reason: string): HttpFault {
  return { status: 400, reason };
}
