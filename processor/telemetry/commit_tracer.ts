/**
 * Traces the commits of one worker: measures their parts and names them, so that lines of the log can name them too.
 * @module
 */
import { inWords } from "../config/secret.ts";
import { kindOf } from "../pipeline/causes.ts";
import type { Commit } from "../pipeline/commit.ts";
import type { Observer, StageTimings } from "../pipeline/observer.ts";
import type { Database } from "../postgres/database.ts";
import type { SpanName, TracedCommit } from "../status/traced_commit.ts";
import { LinkSample } from "./links.ts";
import { measured, StatementTimes } from "./statements.ts";

/** Fields of a line of the log that is about a traced commit, by OpenTelemetry's names. */
export interface TraceFields {
  readonly trace_id: string;
  readonly span_id: string;
  /** `01` if the trace was sent, `00` if it was not chosen. */
  readonly trace_flags: string;
}

/** Time and chance. */
export interface TraceClock {
  /** Monotonic, in milliseconds. */
  now(): number;
  /** Epoch milliseconds. */
  epoch(): number;
  /** A number in [0, 1). */
  random(): number;
  /** So many random bytes. */
  bytes(count: number): Uint8Array;
}

/** Options of a tracer. */
export interface TracerOptions {
  /** Fraction of commits that are traced, from 0 to 1. */
  readonly ratio: number;
  /** Most links of a commit. */
  readonly mostLinks: number;
  /** Receives each traced commit once it is over. */
  readonly tell: (commit: TracedCommit) => void;
  readonly clock: TraceClock;
}

/** A commit and what is known of it. */
interface Trace extends SpanName {
  /** Null if it was not chosen: then nothing is measured. */
  readonly links: LinkSample | null;
}

/** A commit that was sent. */
interface Sent extends Trace {
  readonly sentMs: number;
  readonly spent: StageTimings;
  readonly times: StatementTimes;
  isOver: boolean;
}

/** Most characters of an error's message in a span. */
const MOST_MESSAGE = 500;

/** Traces commits; an observer of one pipeline. */
export class CommitTracer implements Observer {
  readonly #options: TracerOptions;
  /** The commit that is being read. */
  #next: Trace;
  /** The commit that was sent last. */
  #sent: Sent | null = null;
  /** The commits that failed, by their errors. */
  readonly #failed = new WeakMap<object, TraceFields>();

  constructor(options: TracerOptions) {
    this.#options = options;
    this.#next = this.#begin();
  }

  /** Fields for a line about the commit that was sent last; none before the first. */
  get fields(): TraceFields | Record<never, never> {
    return this.#sent === null ? {} : fieldsOf(this.#sent);
  }

  /** Fields for a line about an error, if it is that of a commit; otherwise none. */
  fieldsOf(error: unknown): TraceFields | Record<never, never> {
    return typeof error === "object" && error !== null ? this.#failed.get(error) ?? {} : {};
  }

  /** The same connection, with the statements of traced commits measured. */
  measured(db: Database): Database {
    const times = () => this.#sent === null || this.#sent.isOver || this.#sent.links === null ? null : this.#sent.times;
    return measured(db, times, this.#options.clock.now);
  }

  started(): void {
    // What was read and not committed will be read again, for another commit.
    this.#next = this.#begin();
  }

  decoded(...[records, from]: Parameters<NonNullable<Observer["decoded"]>>): void {
    this.#next.links?.look(records, from);
  }

  onBatchReady(spent: StageTimings): void {
    const sentMs = this.#options.clock.now();
    this.#sent = { ...this.#next, sentMs, spent, times: new StatementTimes(sentMs), isOver: false };
    this.#next = this.#begin();
  }

  committed(commit: Commit, { waitedMs }: { readonly waitedMs: number }): void {
    this.#end(commit, waitedMs, null);
  }

  commitFailed(commit: Commit, error: unknown): void {
    if (this.#sent === null) return;
    if (typeof error === "object" && error !== null) this.#failed.set(error, fieldsOf(this.#sent));
    // It may have been applied before something else failed.
    if (this.#sent.isOver) return;
    this.#end(commit, 0, { kind: kindOf(error), message: inWords(error).slice(0, MOST_MESSAGE) });
  }

  #end({ advances }: Commit, waitedMs: number, failure: TracedCommit["failure"]): void {
    const sent = this.#sent;
    if (sent === null) return;
    sent.isOver = true;
    if (sent.links === null) return;
    const { clock, tell } = this.#options;
    const sum = (of: "consumed" | "stored" | "duplicates" | "refused") =>
      advances.reduce((all, advance) => all + advance[of], 0);
    const { links, leftOut } = sent.links.between(advances);
    tell({
      traceId: sent.traceId,
      spanId: sent.spanId,
      endedAt: clock.epoch(),
      waitedMs,
      tookMs: clock.now() - sent.sentMs,
      spent: sent.spent,
      partitions: advances.map(({ partition }) => partition),
      consumed: sum("consumed"),
      stored: sum("stored"),
      duplicates: sum("duplicates"),
      refused: sum("refused"),
      links,
      linksLeftOut: leftOut,
      statements: sent.times.statements,
      statementsLeftOut: sent.times.leftOut,
      failure,
    });
  }

  #begin(): Trace {
    const { clock, ratio, mostLinks } = this.#options;
    const [traceId, spanId] = [clock.bytes(16).toHex(), clock.bytes(8).toHex()];
    return { traceId, spanId, links: isChosen(traceId, ratio) ? new LinkSample(mostLinks, clock.random) : null };
  }
}

/**
 * Whether a trace is among a fraction of all. Its last 7 bytes decide, as in OpenTelemetry's consistent sampling; the
 * last 4 bits are left out, because a double has 53.
 */
export function isChosen(traceId: string, ratio: number): boolean {
  return parseInt(traceId.slice(-14, -1), 16) >= (1 - ratio) * 2 ** 52;
}

function fieldsOf({ traceId, spanId, links }: Trace): TraceFields {
  return { trace_id: traceId, span_id: spanId, trace_flags: links === null ? "00" : "01" };
}
