/**
 * Sends the traces and metrics of a process to an OpenTelemetry collector. The service never waits for it: spans go into
 * a queue of a fixed size, and what does not fit is dropped and counted.
 * @module
 */
import {
  JsonMetricsSerializer,
  JsonTraceSerializer,
  ProtobufMetricsSerializer,
  ProtobufTraceSerializer,
} from "@opentelemetry/otlp-transformer";
import type { Resource } from "@opentelemetry/resources";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import type { Log } from "../host/log.ts";
import type { Exported, Signal } from "../status/exported.ts";
import type { Metric } from "../status/metrics.ts";
import type { TracedCommit } from "../status/traced_commit.ts";
import { metricsNow } from "./metric_data.ts";
import type { Sender, Sent } from "./sender.ts";
import { spansOf, type SpanSurroundings } from "./spans.ts";

/** Most spans that wait to be sent, and most of one request. */
const MOST_SPANS = 2048;
const REQUEST_SPANS = 512;

/** Longest time that a span waits for others, in milliseconds. */
const SPANS_EVERY_MS = 5000;

/** How often a request with spans is sent before they are dropped. */
const TRIES = 5;

/** Pause before the second try, in milliseconds; it doubles with each further one. */
const FIRST_PAUSE_MS = 1000;

/** Longest time to send the rest at the end, in milliseconds: less than a worker has to close. */
const CLOSE_WITHIN_MS = 700;

/** What to send, and how. */
export interface TelemetryOptions {
  readonly sender: Sender;
  readonly encoding: "http/protobuf" | "http/json";
  readonly spans: SpanSurroundings;
  readonly metrics: readonly Metric[];
  /** Time between two reports of the metrics, in milliseconds; null to send none. */
  readonly metricsEveryMs: number | null;
  /** When the process started, epoch milliseconds. */
  readonly startedAt: number;
  readonly exported: Exported;
  readonly log: Log;
  /** Pause before the second try (default: 1 s), in milliseconds. */
  readonly firstPauseMs?: number;
}

/** Sends the traces and metrics of a process. */
export class Telemetry {
  readonly #options: TelemetryOptions;
  readonly #resource: Resource;
  #queue: ReadableSpan[] = [];
  /** Resolves once the queue is empty; null while nothing is sent. */
  #sending: Promise<void> | null = null;
  #reporting: Promise<void> | null = null;
  readonly #timers: number[] = [];
  /** Aborted once the process ends: from then on nothing is tried again. */
  readonly #closing = new AbortController();
  /** Aborted when the time for that is over. */
  readonly #over = new AbortController();
  /** The signals of which the last request failed. */
  readonly #failing = new Set<Signal>();

  constructor(options: TelemetryOptions) {
    this.#options = options;
    this.#resource = options.spans.resource;
    this.#timers.push(setInterval(() => this.#sendSpans(), SPANS_EVERY_MS));
    if (options.metricsEveryMs !== null) {
      this.#timers.push(setInterval(() => this.#report(), options.metricsEveryMs));
    }
  }

  /** Takes a commit; its spans are sent soon, or dropped and counted if too many wait already. */
  take(commit: TracedCommit): void {
    const spans = spansOf(commit, this.#options.spans);
    if (this.#queue.length + spans.length > MOST_SPANS) this.#count("dropped", spans.length);
    else this.#queue.push(...spans);
    if (this.#queue.length >= REQUEST_SPANS) this.#sendSpans();
  }

  /** Sends what is left, as far as that takes less than a second, and stops. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#closing.abort();
    const timer = setTimeout(() => this.#over.abort(), CLOSE_WITHIN_MS);
    await this.#sending;
    this.#sendSpans();
    if (this.#options.metricsEveryMs !== null) {
      await this.#reporting;
      this.#report();
    }
    await Promise.all([this.#sending, this.#reporting]);
    clearTimeout(timer);
    this.#options.sender.close();
  }

  #count(outcome: keyof Exported["spans"], spans: number): void {
    this.#options.exported.spans[outcome] += spans;
  }

  #sendSpans(): void {
    if (this.#sending !== null || this.#queue.length === 0) return;
    this.#sending = this.#sendQueue().finally(() => this.#sending = null);
  }

  async #sendQueue(): Promise<void> {
    while (this.#queue.length > 0) {
      const spans = this.#queue.splice(0, REQUEST_SPANS);
      try {
        await this.#deliver(spans);
      } catch (error) {
        this.#count("dropped", spans.length);
        this.#options.log.error("cannot encode spans; they are dropped", { reason: String(error) });
      }
    }
  }

  async #deliver(spans: ReadableSpan[]): Promise<void> {
    const { encoding, firstPauseMs = FIRST_PAUSE_MS } = this.#options;
    const serializer = encoding === "http/json" ? JsonTraceSerializer : ProtobufTraceSerializer;
    const body = serializer.serializeRequest(spans);
    for (let pauseMs = firstPauseMs, left = TRIES; left > 0; left--, pauseMs *= 2) {
      const sent = await this.#send("traces", body);
      if (sent.kind === "accepted") {
        const { rejected, message } = partOf(() => serializer.deserializeResponse(sent.answer), spans.length);
        if (rejected > 0) this.#options.log.warn("the collector refused spans", { spans: rejected, reason: message });
        this.#count("rejected", rejected);
        this.#count("delivered", spans.length - rejected);
        return;
      }
      if (!sent.again || this.#closing.signal.aborted || left === 1) break;
      await pause(sent.pauseMs ?? pauseMs * (0.8 + 0.4 * Math.random()), this.#closing.signal);
      // The end of the process is no reason to ask sooner than the collector wants.
      if (this.#closing.signal.aborted && sent.pauseMs !== null) break;
    }
    this.#count("dropped", spans.length);
  }

  /** Sends the metrics as they are now; what is lost is in the next report, since they are sums. */
  #report(): void {
    if (this.#reporting !== null) return;
    const { encoding, metrics, startedAt } = this.#options;
    const serializer = encoding === "http/json" ? JsonMetricsSerializer : ProtobufMetricsSerializer;
    const body = serializer.serializeRequest(metricsNow(metrics, this.#resource, { startedAt, now: Date.now() }));
    this.#reporting = this.#send("metrics", body).then(() => {}).finally(() => this.#reporting = null);
  }

  async #send(signal: Signal, body: Uint8Array | undefined): Promise<Sent> {
    const { sender, exported, log } = this.#options;
    const sent = await sender.send(signal, new Uint8Array(body ?? []), this.#over.signal);
    if (sent.kind === "failed") exported.failures[signal]++;
    // Once for each time that it begins or ends: the counters say how often.
    if (sent.kind === "failed" && !this.#failing.has(signal)) {
      this.#failing.add(signal);
      log.warn(`cannot send ${signal} to the OpenTelemetry collector; the service runs on without`, {
        reason: sent.reason,
      });
    } else if (sent.kind === "accepted" && this.#failing.delete(signal)) {
      log.info(`the OpenTelemetry collector takes ${signal} again`);
    }
    return sent;
  }
}

/** What a collector says that it refused of what it accepted; an answer that cannot be read says nothing. */
function partOf(
  read: () => { readonly partialSuccess?: { readonly rejectedSpans?: number; readonly errorMessage?: string } },
  most: number,
): { readonly rejected: number; readonly message: string } {
  try {
    const { rejectedSpans = 0, errorMessage = "" } = read().partialSuccess ?? {};
    const rejected = Number.isInteger(Number(rejectedSpans)) ? Number(rejectedSpans) : 0;
    return { rejected: Math.max(0, Math.min(most, rejected)), message: String(errorMessage).slice(0, 200) };
  } catch {
    return { rejected: 0, message: "" };
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}
