/**
 * Turns a traced commit into spans: one for the commit, and one for each of its parts. Attributes have the names of
 * OpenTelemetry's conventions for messaging and for databases.
 * @module
 */
import { type Attributes, type Link, SpanKind, SpanStatusCode, TraceFlags, type TraceState } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import type { RecordLink, TracedCommit, TracedStatement } from "../status/traced_commit.ts";
import { hrTime, SCOPE } from "./otel.ts";

/** What the spans of a process have in common. */
export interface SpanSurroundings {
  readonly resource: Resource;
  readonly topic: string;
  readonly group: string;
  /** The database's server and name. */
  readonly database: { readonly host: string; readonly port: number; readonly name: string };
  /** A new id of a span. */
  readonly spanId: () => string;
}

/** A span before it has an id: times are epoch milliseconds. */
interface Part {
  readonly name: string;
  readonly kind?: SpanKind;
  readonly from: number;
  readonly to: number;
  readonly attributes?: Attributes;
  readonly parts?: readonly Part[];
}

/**
 * The spans of a commit, the commit's own first. Stages before the database take turns, a run of records each: the span
 * of a stage is as long as all its turns together, and the spans of stages follow one another.
 */
export function spansOf(commit: TracedCommit, around: SpanSurroundings): ReadableSpan[] {
  const { endedAt, tookMs, waitedMs, spent, failure } = commit;
  const { readMs, decodeMs, foldMs, encodeMs } = spent;
  const sentAt = endedAt - tookMs;
  const from = sentAt - Math.max(waitedMs, readMs + decodeMs + foldMs + encodeMs);
  const root = readable(
    {
      name: `process ${around.topic}`,
      kind: SpanKind.CONSUMER,
      from,
      to: endedAt,
      attributes: {
        ...messaging("process", "process", around),
        ...commit.partitions.length === 1 ? { "messaging.destination.partition.id": String(commit.partitions[0]) } : {},
        "messaging.batch.message_count": commit.consumed,
        "clickstream.partitions": [...commit.partitions],
        "clickstream.events.stored": commit.stored,
        "clickstream.events.duplicates": commit.duplicates,
        "clickstream.records.refused": commit.refused,
        ...failure === null ? {} : { "error.type": failure.kind },
      },
    },
    { traceId: commit.traceId, spanId: commit.spanId, parentId: null },
    around,
  );
  const whole: ReadableSpan = {
    ...root,
    status: failure === null ? root.status : { code: SpanStatusCode.ERROR, message: failure.message },
    links: commit.links.map(linkOf),
    droppedLinksCount: commit.linksLeftOut,
  };
  const parts: Part[] = [
    {
      name: `poll ${around.topic}`,
      kind: SpanKind.CLIENT,
      from,
      to: from + readMs,
      attributes: messaging("poll", "receive", around),
    },
    { name: "decode", from: from + readMs, to: from + readMs + decodeMs },
    { name: "fold", from: from + readMs + decodeMs, to: from + readMs + decodeMs + foldMs },
    { name: "encode", from: sentAt - encodeMs, to: sentAt },
    ...writing(commit, sentAt, around),
  ];
  return [whole, ...parts.flatMap((part) => under(commit.spanId, part, commit.traceId, around))];
}

/** The parts in the database: `write`, with its statements, and the commit. */
function writing({ statements, statementsLeftOut, endedAt }: TracedCommit, sentAt: number, around: SpanSurroundings) {
  const statement = ({ operation, table, startMs, endMs }: TracedStatement): Part => ({
    name: table === null ? operation : `${operation} ${table}`,
    kind: SpanKind.CLIENT,
    from: sentAt + startMs,
    to: sentAt + endMs,
    attributes: {
      "db.system.name": "postgresql",
      "db.namespace": around.database.name,
      "db.operation.name": operation,
      ...table === null ? {} : { "db.collection.name": table },
      "server.address": around.database.host,
      "server.port": around.database.port,
    },
  });
  const last = statements.at(-1);
  const isCommitted = last?.operation === "COMMIT";
  const write: Part = {
    name: "write",
    from: sentAt,
    to: isCommitted ? sentAt + last.startMs : endedAt,
    parts: statements.slice(0, isCommitted ? -1 : undefined).map(statement),
    attributes: statementsLeftOut === 0 ? {} : { "clickstream.statements.left_out": statementsLeftOut },
  };
  return isCommitted ? [write, statement(last)] : [write];
}

function messaging(name: string, type: string, { topic, group }: SpanSurroundings): Attributes {
  return {
    "messaging.system": "kafka",
    "messaging.operation.name": name,
    "messaging.operation.type": type,
    "messaging.destination.name": topic,
    "messaging.consumer.group.name": group,
  };
}

function under(parentId: string, part: Part, traceId: string, around: SpanSurroundings): ReadableSpan[] {
  const spanId = around.spanId();
  return [
    readable(part, { traceId, spanId, parentId }, around),
    ...(part.parts ?? []).flatMap((child) => under(spanId, child, traceId, around)),
  ];
}

function readable(
  { name, kind = SpanKind.INTERNAL, from, to, attributes = {} }: Part,
  { traceId, spanId, parentId }: {
    readonly traceId: string;
    readonly spanId: string;
    readonly parentId: string | null;
  },
  { resource }: SpanSurroundings,
): ReadableSpan {
  const named = (id: string) => ({ traceId, spanId: id, traceFlags: TraceFlags.SAMPLED });
  return {
    name,
    kind,
    spanContext: () => named(spanId),
    ...parentId === null ? {} : { parentSpanContext: named(parentId) },
    startTime: hrTime(from),
    endTime: hrTime(to),
    duration: hrTime(to - from),
    ended: true,
    status: { code: SpanStatusCode.UNSET },
    attributes,
    links: [],
    events: [],
    resource,
    instrumentationScope: SCOPE,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

function linkOf({ traceId, spanId, state, partition, offset }: RecordLink): Link {
  return {
    context: {
      traceId,
      spanId,
      traceFlags: TraceFlags.SAMPLED,
      isRemote: true,
      ...state === null ? {} : { traceState: stateOf(state) },
    },
    attributes: { "messaging.destination.partition.id": String(partition), "messaging.kafka.offset": offset },
  };
}

/** A trace state as it was sent: it is passed on, and never changed. */
function stateOf(text: string): TraceState {
  const state: TraceState = { get: () => undefined, set: () => state, unset: () => state, serialize: () => text };
  return state;
}
