/**
 * Counts what became of telemetry that is sent to an OpenTelemetry collector.
 * @module
 */

/** Kinds of telemetry. */
export const SIGNALS = ["traces", "metrics"] as const;

/** A kind of telemetry. */
export type Signal = typeof SIGNALS[number];

/**
 * What becomes of a span: the collector has it; it was dropped, because the queue was full or the collector could not be
 * reached; the collector refused it.
 */
export const SPAN_OUTCOMES = ["delivered", "dropped", "rejected"] as const;

/** What becomes of a span. */
export type SpanOutcome = typeof SPAN_OUTCOMES[number];

/** Counts since the process started. */
export interface Exported {
  readonly spans: Record<SpanOutcome, number>;
  /** Requests that failed, by signal. */
  readonly failures: Record<Signal, number>;
}

/** All counts at 0. */
export function exportedNothing(): Exported {
  return { spans: { delivered: 0, dropped: 0, rejected: 0 }, failures: { traces: 0, metrics: 0 } };
}
