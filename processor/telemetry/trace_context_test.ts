import assert from "node:assert/strict";
import fc from "fast-check";
import { walk } from "../kafka/record_batch.ts";
import type { Records } from "../records.ts";
import { batchBytes, varint } from "../testing/batches.ts";
import { traceContextOf } from "./trace_context.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const PARENT = `00-${TRACE}-${SPAN}-01`;

type Header = readonly [name: string, value: string | null];

const utf8 = new TextEncoder();

function sized(text: string | null): number[] {
  if (text === null) return varint(-1);
  const bytes = utf8.encode(text);
  return [...varint(bytes.length), ...bytes];
}

/** Headers as they follow the value of a record. */
function headerBytes(headers: readonly Header[]): number[] {
  return [...varint(headers.length), ...headers.flatMap(([name, value]) => [...sized(name), ...sized(value)])];
}

/** A record with a value and what follows it; without a value, that stands where it would start. */
function recordOf(after: readonly number[], value: string | null = '{"a":1}'): Records {
  const bytes = Uint8Array.from([...utf8.encode(value ?? ""), ...after]);
  const one = (n: number) => Int32Array.of(n);
  return {
    ...{ partition: 0, count: 1, bytes, offsets: Float64Array.of(0), times: Float64Array.of(0), starts: one(0) },
    ...{ ends: one(value === null ? -1 : value.length), next: 1, skipped: 0, gap: null, end: 1, stable: 1 },
    leaderEpoch: null,
  };
}

const read = (...headers: readonly Header[]) => traceContextOf(recordOf(headerBytes(headers)), 0);

Deno.test("reads a valid traceparent, wherever it stands among the headers", () => {
  const found = { traceId: TRACE, spanId: SPAN, state: null };
  assert.deepEqual(read(["traceparent", PARENT]), found);
  assert.deepEqual(read(["a", null], ["b", "x".repeat(300)], ["traceparent", PARENT], ["c", ""]), found);
  assert.deepEqual(read(["traceparent", PARENT], ["tracestate", "shop=1,a=b"]), { ...found, state: "shop=1,a=b" });
  assert.deepEqual(traceContextOf(recordOf(headerBytes([["traceparent", PARENT]]), null), 0), found);
  // A later version may have more at its end.
  assert.deepEqual(read(["traceparent", `cc-${TRACE}-${SPAN}-01-what-comes-later`]), found);
  assert.deepEqual(read(["traceparent", `00-${TRACE}-${SPAN}-03`]), found);
});

Deno.test("takes nothing for a trace that is none, or that was not kept", () => {
  const wrong = [
    `00-${TRACE}-${SPAN}-00`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}-1`,
    `${TRACE}-${SPAN}`,
    "",
    `${PARENT}${" ".repeat(200)}`,
  ];
  for (const text of wrong) assert.equal(read(["traceparent", text]), null, text);
  assert.equal(read(["traceparent", null]), null);
  assert.equal(read(["Traceparent", PARENT]), null);
  assert.equal(read(), null);
  const state = read(["traceparent", PARENT], ["tracestate", "a=\u0007"])!.state;
  assert.equal(state, null);
});

Deno.test("headers that lie about their lengths are read within the bytes, and cost little", () => {
  const lies = [
    varint(1),
    [...varint(1), ...varint(1_000_000_000)],
    [...varint(2_000_000_000), ...sized("a"), ...sized("b")],
    [0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    [...varint(-5)],
    [...varint(2), ...sized("traceparent"), ...varint(-7), ...sized("traceparent")],
  ];
  for (const bytes of lies) assert.equal(traceContextOf(recordOf(bytes), 0), null);
  const many: Header[] = Array.from({ length: 100 }, () => ["x", "y"]);
  assert.equal(read(...many, ["traceparent", PARENT]), null, "beyond the headers that are looked at");
  fc.assert(fc.property(fc.array(fc.nat(255), { maxLength: 200 }), (bytes) => {
    assert.equal(traceContextOf(recordOf(bytes), 0), null);
  }));
});

Deno.test("finds the headers of records in batches as Kafka has them, with any codec", () => {
  const headers = [["a", "b"], ["traceparent", PARENT]] as const;
  const values = ["one", null, ""].map((value) => value === null ? null : utf8.encode(value));
  for (const codec of [0, 1, 2, 3, 4]) {
    const bytes = batchBytes(values.map((value, n) => ({ value, headers: n === 2 ? 3 : headers })), { codec });
    const fetched = { partition: 0, bytes, aborted: [], highWatermark: 3, lastStableOffset: 3 };
    const [run] = walk(fetched, 0).records;
    const found = [0, 1, 2].map((i) => traceContextOf(run!, i)?.spanId ?? null);
    assert.deepEqual(found, [SPAN, SPAN, null], `codec ${codec}`);
  }
});
