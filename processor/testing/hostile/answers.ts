/**
 * Hostile answers of a broker, of the kinds that this program parses itself.
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { parseAnswer } from "../../kafka/answer.ts";
import { fetchedFrom } from "../../kafka/fetch.ts";
import { groupsFrom, memberInWords } from "../../kafka/group.ts";
import { Unavailable } from "../../pipeline/commit.ts";
import type { Random } from "../../../generator/random.ts";
import { BASE, checked, drawLog } from "./logs.ts";
import { mutated, TOKENS } from "./mutate.ts";
import { bytesOf, concat, type Opened, type Target } from "./target.ts";

/** The partitions that were asked for. */
const ASKED: ReadonlySet<number> = new Set([0, 1, 2]);

/** A case begins with one of these. */
const KINDS = ["fetch by id", "fetch by name", "groups"] as const;

/** Answers to fetches and to questions about groups. */
export const answers: Target = {
  name: "answers",
  about: "an answer is parsed within its bytes, or refused as malformed; no lying count costs time or memory",
  open: (): Opened => ({ draw, check }),
};

function check(input: Uint8Array): string {
  const kind = KINDS[(input[0] ?? 0) % KINDS.length]!;
  const bytes = Buffer.from(input.buffer, input.byteOffset + 1, Math.max(0, input.length - 1));
  try {
    return `${kind}: ${kind === "groups" ? groups(bytes) : fetched(bytes, kind === "fetch by id")}`;
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    assert.match(error.message, /^Kafka('s answer to .* is malformed: | answers a fetch with error -?\d+$)/);
    assert.ok(error.message.length < 300, "a message without end");
    return `${kind}: refused`;
  }
}

function fetched(bytes: Buffer, isById: boolean): string {
  const partitions = parseAnswer("a fetch", bytes, (answer) => fetchedFrom(answer, isById, ASKED));
  let records = 0;
  for (const response of partitions) {
    const from = response.bytes.byteOffset - bytes.byteOffset;
    assert.ok(from >= 0 && from + response.bytes.length <= bytes.length, "records outside of the answer");
    assert.ok(response.aborted.length * 17 <= bytes.length, "more aborted transactions than bytes");
    if (checked(response, BASE) === "read") records++;
  }
  return records > 0 ? "read" : "parsed";
}

function groups(bytes: Buffer): string {
  const all = parseAnswer("a question", bytes, groupsFrom);
  const names = all.flatMap(({ members }) => members.map(memberInWords));
  const length = names.reduce((sum, name) => sum + name.length, 0);
  assert.ok(length <= bytes.length * 2 + names.length * 50, `${length} characters from ${bytes.length} bytes`);
  return names.length > 0 ? "members" : "parsed";
}

function draw(random: Random): Uint8Array {
  const kind = random.chance(0.3) ? 2 : random.below(2);
  const bytes = kind === 2 ? drawGroups(random) : drawFetch(random, kind === 0);
  return concat([Uint8Array.of(kind), random.chance(0.7) ? mutated(random, bytes, 3) : bytes]);
}

function drawFetch(random: Random, isById: boolean): Uint8Array {
  const count = random.chance(0.9) ? 1 : 2 + random.below(3);
  const partitions = Array.from({ length: count }, (_, n) => drawPartition(random, n));
  const topic = isById ? new Uint8Array(16).fill(7) : concat([unsigned(7), bytesOf("clicks")]);
  const errorCode = random.chance(0.02) ? random.pick([100, 3, -1]) : 0;
  return concat([
    int(0, 4),
    int(errorCode, 2),
    int(0, 4),
    ...random.chance(0.02) ? [unsigned(1)] : [unsigned(2), topic, unsigned(count + 1), ...partitions, tags(random)],
    tags(random),
  ]);
}

function drawPartition(random: Random, n: number): Uint8Array {
  const { bytes, end, aborted } = drawLog(random);
  const list = aborted.map(([producer, offset]) => concat([int(producer!, 8), int(BASE + offset!, 8), tags(random)]));
  return concat([
    int(random.chance(0.02) ? random.below(9) : n, 4),
    int(random.chance(0.02) ? random.pick([1, 2, 6, 100]) : 0, 2),
    ...[end, end, 0].map((offset) => int(offset, 8)),
    unsigned(random.chance(0.1) ? 0 : list.length + 1),
    ...list,
    int(-1, 4),
    unsigned(bytes.length + 1),
    bytes,
    tags(random),
  ]);
}

function drawGroups(random: Random): Uint8Array {
  const name = () => random.chance(0.2) ? random.pick(TOKENS) : random.pick(["consumer", "Stable", "range", "c-1"]);
  const members = Array.from({ length: random.below(4) }, () => {
    const topics = Array.from({ length: random.below(3) }, () => text(name()));
    const metadata = concat([int(0, 2), int(topics.length, 4), ...topics, int(-1, 4)]);
    const sent = random.chance(0.2) ? mutated(random, metadata, 2) : metadata;
    return concat([text(name()), text(name()), text(`/${name()}`), long(sent), long(new Uint8Array(3))]);
  });
  const group = concat([int(0, 2), text("g"), text(name()), text(name()), text(name())]);
  return concat([int(1, 4), group, int(members.length, 4), ...members]);
}

/** A big-endian integer. */
function int(value: number, size: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value));
  return bytes.subarray(8 - size);
}

function unsigned(value: number): Uint8Array {
  return value < 0x80 ? Uint8Array.of(value) : concat([Uint8Array.of(value & 0x7f | 0x80), unsigned(value >>> 7)]);
}

function text(value: string): Uint8Array {
  const bytes = bytesOf(value);
  return concat([int(bytes.length, 2), bytes]);
}

function long(bytes: Uint8Array): Uint8Array {
  return concat([int(bytes.length, 4), bytes]);
}

/** Tagged fields, mostly none. */
function tags(random: Random): Uint8Array {
  if (random.chance(0.97)) return Uint8Array.of(0);
  return concat([Uint8Array.of(1), unsigned(random.below(300)), unsigned(3), Uint8Array.of(1, 2, 3)]);
}
