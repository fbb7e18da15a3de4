/**
 * Sends telemetry to a collector by OTLP over HTTP. Nothing that the collector does can take more than the time limit of a
 * request, or more memory than is set aside for its answer.
 *
 * The library's own exporters are not used: their limit is one on silence, so a collector that sends a byte now and then
 * keeps a request open, and up to 30 at once; and they have 4 MB of room for an answer.
 * @module
 */
import type { Settings } from "../config/config.ts";
import { headersOf, type TELEMETRY } from "../config/telemetry.ts";
import type { Signal } from "../status/exported.ts";
import { VERSION } from "../version.ts";

/** Room for a collector's answer, in bytes: it says at most what it refused and why. */
const MOST_ANSWER_BYTES = 16 * 1024;

/** Most characters of a collector's message that are passed on. */
const MOST_MESSAGE = 200;

/** Statuses that are worth a retry, by OTLP's specification. */
const RETRYABLE = [429, 502, 503, 504];

/** Longest pause that a collector may ask for, in milliseconds. */
const LONGEST_PAUSE_MS = 30_000;

/** What became of a request. */
export type Sent =
  /** The collector took it; `answer` says what it refused of it. */
  | { readonly kind: "accepted"; readonly answer: Uint8Array }
  | {
    readonly kind: "failed";
    readonly reason: string;
    /** Whether a retry may succeed. */
    readonly again: boolean;
    /** How long the collector asks to wait before, in milliseconds; null if it does not. */
    readonly pauseMs: number | null;
  };

/** Where and how to send. */
export interface SenderOptions {
  /** Without a slash at its end; `/v1/traces` and `/v1/metrics` are added. */
  readonly endpoint: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly encoding: "http/protobuf" | "http/json";
  readonly isCompressed: boolean;
  /** Longest time for a request with its answer, in milliseconds. */
  readonly timeoutMs: number;
  /** Further certificate authorities, as PEM text; null for none. */
  readonly authorities: string | null;
}

/** Sends requests to one collector. */
export class Sender {
  readonly #options: SenderOptions;
  readonly #client: Deno.HttpClient;

  constructor(options: SenderOptions) {
    this.#options = options;
    const { authorities } = options;
    this.#client = Deno.createHttpClient({
      ...authorities === null ? {} : { caCerts: [authorities] },
      // One request for traces and one for metrics at a time.
      poolMaxIdlePerHost: 2,
    });
  }

  /** Sends a request; never rejects. It fails as soon as `signal` is aborted. */
  async send(signal: Signal, body: Uint8Array<ArrayBuffer>, aborted: AbortSignal): Promise<Sent> {
    const { endpoint, headers, encoding, isCompressed, timeoutMs } = this.#options;
    const over = AbortSignal.any([aborted, AbortSignal.timeout(timeoutMs)]);
    try {
      const response = await fetch(`${endpoint}/v1/${signal}`, {
        method: "POST",
        headers: [
          ...headers.map(([name, value]): [string, string] => [name, value]),
          ["content-type", encoding === "http/json" ? "application/json" : "application/x-protobuf"],
          ["user-agent", `clickstream/${VERSION}`],
          ...isCompressed ? [["content-encoding", "gzip"] as [string, string]] : [],
        ],
        body: isCompressed ? await gzip(body) : body,
        // Nothing follows to another address: headers may have a login.
        redirect: "manual",
        client: this.#client,
        signal: over,
      });
      const answer = await beginningOf(response);
      if (response.ok) return { kind: "accepted", answer };
      return {
        kind: "failed",
        reason: `it answered ${response.status}${said(response, answer)}`,
        again: RETRYABLE.includes(response.status),
        pauseMs: pauseMsOf(response.headers.get("retry-after")),
      };
    } catch (error) {
      const isLate = error instanceof DOMException && error.name === "TimeoutError";
      const reason = isLate
        ? `no answer within ${timeoutMs} ms`
        : error instanceof Error
        ? error.message
        : String(error);
      return { kind: "failed", reason: reason.slice(0, MOST_MESSAGE), again: true, pauseMs: null };
    }
  }

  /** Closes its connections. */
  close(): void {
    this.#client.close();
  }
}

/** A sender to an endpoint, as the settings say. */
export function senderTo(endpoint: string, settings: Settings<keyof typeof TELEMETRY>): Sender {
  return new Sender({
    endpoint,
    encoding: settings.OTEL_EXPORTER_OTLP_PROTOCOL,
    headers: headersOf(settings.OTEL_EXPORTER_OTLP_HEADERS?.reveal() ?? ""),
    isCompressed: settings.OTEL_EXPORTER_OTLP_COMPRESSION === "gzip",
    timeoutMs: settings.OTEL_EXPORTER_OTLP_TIMEOUT,
    authorities: settings.OTEL_EXPORTER_OTLP_CERTIFICATE?.pem ?? null,
  });
}

/** The beginning of an answer; the rest is not read. */
async function beginningOf({ body }: Response): Promise<Uint8Array> {
  if (body === null) return new Uint8Array();
  const parts = new Uint8Array(MOST_ANSWER_BYTES);
  let used = 0;
  const reader = body.getReader();
  try {
    while (used < parts.length) {
      const { done, value } = await reader.read();
      if (done) return parts.subarray(0, used);
      const part = value.subarray(0, parts.length - used);
      parts.set(part, used);
      used += part.length;
    }
    return parts;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** What a collector says of a failure, if it is text. */
function said(response: Response, answer: Uint8Array): string {
  if (!/^(text|application\/json)\b/.test(response.headers.get("content-type") ?? "")) return "";
  const text = new TextDecoder().decode(answer).trim().slice(0, MOST_MESSAGE);
  return text === "" ? "" : `: ${text}`;
}

function pauseMsOf(retryAfter: string | null): number | null {
  return retryAfter !== null && /^\d{1,9}$/.test(retryAfter)
    ? Math.min(Number(retryAfter) * 1000, LONGEST_PAUSE_MS)
    : null;
}

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}
