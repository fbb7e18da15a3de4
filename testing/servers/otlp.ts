/**
 * A receiver of OTLP over HTTP for tests. It decodes what it gets by the tables of the protocol, with no code of the
 * libraries that made it.
 * @module
 */

/** A request as it came. */
export interface Received {
  /** `/v1/traces` or `/v1/metrics`. */
  readonly path: string;
  readonly headers: Headers;
  readonly bytes: number;
  readonly resource: Attributes;
  readonly spans: readonly ReceivedSpan[];
  readonly metrics: readonly ReceivedMetric[];
}

/** Attributes by name. */
export type Attributes = Readonly<Record<string, unknown>>;

/** A span; times are epoch milliseconds. */
export interface ReceivedSpan {
  readonly name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly from: number;
  readonly to: number;
  readonly attributes: Attributes;
  readonly links: readonly {
    readonly traceId: string;
    readonly spanId: string;
    readonly state: string;
    readonly attributes: Attributes;
  }[];
  readonly linksLeftOut: number;
  /** 2 is an error. */
  readonly status: { readonly code: number; readonly message: string };
}

/** A metric with its points. */
export interface ReceivedMetric {
  readonly name: string;
  readonly unit: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly points: readonly {
    readonly attributes: Attributes;
    /** A number, or a histogram. */
    readonly value: number | { readonly count: number; readonly sum: number; readonly counts: readonly number[] };
  }[];
}

/** A running receiver. */
export interface OtlpReceiver extends AsyncDisposable {
  readonly url: string;
  readonly received: readonly Received[];
  /** All spans that were received. */
  readonly spans: readonly ReceivedSpan[];
}

/** A message in JSON, as the protocol maps it. */
type Json = { readonly [name: string]: unknown };

/** Answers a request instead of the receiver; null lets it accept. */
export type Answer = (request: Request, n: number) => Response | null | Promise<Response | null>;

/** Starts a receiver on a free port. */
export function startOtlp(
  answer: Answer = () => null,
  cert?: { readonly cert: string; readonly key: string },
): OtlpReceiver {
  const received: Received[] = [];
  let n = 0;
  const stop = new AbortController();
  const { signal } = stop;
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {}, signal, ...cert ?? {} },
    async (request) => {
      const instead = await answer(request, n++);
      if (instead !== null) return instead;
      const { pathname } = new URL(request.url);
      const isJson = request.headers.get("content-type") === "application/json";
      const body = request.headers.get("content-encoding") === "gzip"
        ? request.body!.pipeThrough(new DecompressionStream("gzip"))
        : request.body;
      const bytes = new Uint8Array(await new Response(body).arrayBuffer());
      const json = isJson
        ? JSON.parse(new TextDecoder().decode(bytes))
        : message(bytes, pathname === "/v1/traces" ? "TraceRequest" : "MetricsRequest");
      received.push({ path: pathname, headers: request.headers, bytes: bytes.length, ...contentOf(json) });
      return isJson ? Response.json({}) : new Response(new Uint8Array());
    },
  );
  return {
    url: `${cert === undefined ? "http" : "https"}://127.0.0.1:${server.addr.port}`,
    received,
    get spans() {
      return received.flatMap(({ spans }) => spans);
    },
    async [Symbol.asyncDispose]() {
      // Not gracefully: some answers never end.
      stop.abort();
      await server.finished;
    },
  };
}

/** Resource, spans and metrics of a request in JSON. */
export function contentOf(request: Json): Pick<Received, "resource" | "spans" | "metrics"> {
  const all = [...list(request, "resourceSpans"), ...list(request, "resourceMetrics")];
  const scopes = all.flatMap((each) => [...list(each, "scopeSpans"), ...list(each, "scopeMetrics")]);
  return {
    resource: attributesOf((all[0]?.["resource"] ?? {}) as Json),
    spans: scopes.flatMap((scope) => list(scope, "spans")).map(spanOf),
    metrics: scopes.flatMap((scope) => list(scope, "metrics")).map(metricOf),
  };
}

function spanOf(span: Json): ReceivedSpan {
  const status = (span["status"] ?? {}) as Json;
  return {
    name: String(span["name"]),
    kind: Number(span["kind"]),
    traceId: String(span["traceId"]),
    spanId: String(span["spanId"]),
    parentId: String(span["parentSpanId"] ?? ""),
    from: Number(BigInt(String(span["startTimeUnixNano"])) / 1000n) / 1000,
    to: Number(BigInt(String(span["endTimeUnixNano"])) / 1000n) / 1000,
    attributes: attributesOf(span),
    links: list(span, "links").map((link) => ({
      traceId: String(link["traceId"]),
      spanId: String(link["spanId"]),
      state: String(link["traceState"] ?? ""),
      attributes: attributesOf(link),
    })),
    linksLeftOut: Number(span["droppedLinksCount"] ?? 0),
    status: { code: Number(status["code"] ?? 0), message: String(status["message"] ?? "") },
  };
}

function metricOf(metric: Json): ReceivedMetric {
  const [kind, type] = ([["sum", "counter"], ["gauge", "gauge"], ["histogram", "histogram"]] as const)
    .find(([name]) => metric[name] !== undefined)!;
  const data = metric[kind] as Json;
  return {
    name: String(metric["name"]),
    unit: String(metric["unit"] ?? ""),
    type,
    points: list(data, "dataPoints").map((point) => ({
      attributes: attributesOf(point),
      value: type === "histogram"
        ? {
          count: Number(point["count"]),
          sum: Number(point["sum"]),
          counts: (point["bucketCounts"] as unknown[]).map(Number),
        }
        : Number(point["asDouble"] ?? point["asInt"]),
    })),
  };
}

function list(of: Json, name: string): Json[] {
  return (of[name] ?? []) as Json[];
}

function attributesOf(of: Json): Attributes {
  return Object.fromEntries(list(of, "attributes").map(({ key, value }) => [String(key), valueOf(value as Json)]));
}

function valueOf(value: Json): unknown {
  if ("intValue" in value) return Number(value["intValue"]);
  if ("arrayValue" in value) return list(value["arrayValue"] as Json, "values").map(valueOf);
  return Object.values(value)[0];
}

/** Fields of the protocol's messages by number: name, and how it is encoded; `*` marks repeated ones. */
const MESSAGES: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  TraceRequest: { 1: "resourceSpans* ResourceSpans" },
  ResourceSpans: { 1: "resource Resource", 2: "scopeSpans* ScopeSpans" },
  Resource: { 1: "attributes* KeyValue" },
  ScopeSpans: { 1: "scope Scope", 2: "spans* Span" },
  Scope: { 1: "name text", 2: "version text" },
  Span: {
    ...{
      1: "traceId hex",
      2: "spanId hex",
      3: "traceState text",
      4: "parentSpanId hex",
      5: "name text",
      6: "kind int",
    },
    ...{ 7: "startTimeUnixNano fixed", 8: "endTimeUnixNano fixed", 9: "attributes* KeyValue" },
    ...{ 13: "links* Link", 14: "droppedLinksCount int", 15: "status Status", 16: "flags fixed" },
  },
  Link: { 1: "traceId hex", 2: "spanId hex", 3: "traceState text", 4: "attributes* KeyValue", 6: "flags fixed" },
  Status: { 2: "message text", 3: "code int" },
  KeyValue: { 1: "key text", 2: "value AnyValue" },
  AnyValue: {
    1: "stringValue text",
    2: "boolValue int",
    3: "intValue int",
    4: "doubleValue double",
    5: "arrayValue Array",
  },
  Array: { 1: "values* AnyValue" },
  MetricsRequest: { 1: "resourceMetrics* ResourceMetrics" },
  ResourceMetrics: { 1: "resource Resource", 2: "scopeMetrics* ScopeMetrics" },
  ScopeMetrics: { 1: "scope Scope", 2: "metrics* Metric" },
  Metric: { 1: "name text", 3: "unit text", 5: "gauge Numbers", 7: "sum Numbers", 9: "histogram Histograms" },
  Numbers: { 1: "dataPoints* Number", 2: "aggregationTemporality int", 3: "isMonotonic int" },
  Histograms: { 1: "dataPoints* Histogram", 2: "aggregationTemporality int" },
  Number: { 4: "asDouble double", 6: "asInt fixed", 7: "attributes* KeyValue" },
  Histogram: {
    ...{ 4: "count fixed", 5: "sum double", 6: "bucketCounts* fixed", 7: "explicitBounds* double" },
    ...{ 9: "attributes* KeyValue" },
  },
};

/** Decodes a message; fields that no table has are left out. */
function message(bytes: Uint8Array, type: string): Json {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found: Record<string, unknown> = {};
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1;; shift *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const [name = "", encoding = ""] = MESSAGES[type]![tag >> 3]?.split(" ") ?? [];
    const put = (value: unknown) => {
      if (name.endsWith("*")) ((found[name.slice(0, -1)] ??= []) as unknown[]).push(value);
      else if (name !== "") found[name] = value;
    };
    const number = (size: number) => {
      at += size;
      if (encoding === "double") return view.getFloat64(at - size, true);
      return size === 8 ? String(view.getBigUint64(at - size, true)) : view.getUint32(at - size, true);
    };
    const wire = tag & 7;
    if (wire === 0) put(varint());
    else if (wire === 1) put(number(8));
    else if (wire === 5) put(number(4));
    else {
      const end = varint() + at;
      const part = bytes.subarray(at, end);
      if (encoding === "text") put(new TextDecoder().decode(part));
      else if (encoding === "hex") put(part.toHex());
      else if (/^(fixed|double)$/.test(encoding)) { while (at < end) put(number(8)); }
      else if (encoding !== "") put(message(part, encoding));
      at = end;
    }
  }
  return found;
}
