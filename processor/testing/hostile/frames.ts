/**
 * Hostile compressed frames, of each codec.
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { gunzipSync, gzipSync } from "node:zlib";
import { compressionsAlgorithms } from "@platformatic/kafka";
import { decompress as unzstd } from "fzstd";
import { CODECS, MAX_UNPACKED_BYTES, unpack } from "../../kafka/unpack/unpack.ts";
import type { Random } from "../../../generator/random.ts";
import { bombOf } from "../batches.ts";
import { mutated } from "./mutate.ts";
import { ZSTD_FRAMES } from "./zstd_frames.ts";
import { concat, type Opened, type Target } from "./target.ts";

/** More than a batch may unpack to. */
const BOMB_BYTES = MAX_UNPACKED_BYTES + 1024;

/** Compressed data to bytes: one byte for the codec, then the data. */
export const frames: Target = {
  name: "frames",
  about: "unpacking gives what the codec's own library gives, or an error in words, and never more than 64 MiB",
  open: (): Opened => ({ draw, check }),
};

const SNAPPY = 2;

/** The libraries' own decompression, by Kafka's number of the codec. */
const LIBRARIES: Readonly<Record<number, (packed: Uint8Array) => Uint8Array>> = {
  1: (packed) => gunzipSync(packed, { maxOutputLength: MAX_UNPACKED_BYTES }),
  2: (packed) => compressionsAlgorithms.snappy.decompressSync(Buffer.from(packed)) as Buffer,
  3: (packed) => compressionsAlgorithms.lz4.decompressSync(Buffer.from(packed)) as Buffer,
  4: (packed) => unzstd(packed),
};

function check(input: Uint8Array): string {
  const codec = (input[0] ?? 0) % 6;
  const packed = input.subarray(1);
  let unpacked: Buffer | null = null;
  try {
    unpacked = unpack(codec, packed);
  } catch (error) {
    assert.ok(error instanceof Error, `it throws ${error}`);
    const isOwn = error.constructor === Error || error.name === "TooLarge" || "errno" in error;
    assert.ok(isOwn && error.message !== "", `not an error in words: ${error.stack}`);
  }
  if (unpacked !== null) assert.ok(unpacked.length <= MAX_UNPACKED_BYTES);
  if (unpacked === null) return `${CODECS[codec] ?? "unknown"} refused`;
  assert.ok(unpacked.length <= MAX_UNPACKED_BYTES);
  // The libraries are asked only now: some of them believe a size of gigabytes.
  const expected = isComparable(codec, packed) ? attempted(() => LIBRARIES[codec]!(packed)) : null;
  // Snappy has no checksums: what its library refuses is wrong in itself.
  if (codec === SNAPPY && expected === null) assert.fail("snappy: its library refuses it");
  if (expected !== null) {
    // Some end after the first of several frames.
    const same = Buffer.compare(unpacked.subarray(0, expected.length), expected) === 0;
    assert.ok(same, `${CODECS[codec]}: other bytes than its library's`);
  }
  return `${CODECS[codec]} unpacked`;
}

/**
 * Zstandard's library in JavaScript keeps no more than a frame's window, even if blocks are larger; the one in C refuses
 * such blocks, and our own code takes them. It miscounts a window of 2 GiB or more, which the one in C refuses, too.
 */
function isComparable(codec: number, packed: Uint8Array): boolean {
  if (codec !== 4) return true;
  const window = packed[5] ?? 0;
  const isWide = ((packed[4] ?? 0) & SINGLE_SEGMENT) !== 0 ||
    (window >= WINDOW_OF_A_BLOCK && window < WINDOW_OF_2_GIB);
  return isWide && Buffer.from(packed).indexOf(packed.subarray(0, 4), 1) < 0;
}

const SINGLE_SEGMENT = 0x20;
/** The window that holds the largest block, 128 KiB, as a frame's header says it. */
const WINDOW_OF_A_BLOCK = 7 << 3;
const WINDOW_OF_2_GIB = 21 << 3;

function attempted(action: () => Uint8Array): Uint8Array | null {
  try {
    return action();
  } catch {
    return null;
  }
}

function draw(random: Random): Uint8Array {
  const codec = random.chance(0.01) ? 5 : 1 + random.below(4);
  if (codec < 5 && random.chance(0.0001)) return concat([Uint8Array.of(codec), bombOf(codec, BOMB_BYTES)]);
  const frame = packed(random, codec);
  const two = random.chance(0.05) ? concat([frame, packed(random, codec)]) : frame;
  const wrong = random.chance(0.85) ? mutated(random, two, 3, frame) : two;
  return concat([Uint8Array.of(codec), wrong]);
}

function packed(random: Random, codec: number): Uint8Array {
  const plain = text(random);
  if (codec === 1) return gzipSync(plain, { level: random.pick([0, 1, 9]) });
  if (codec === 2) {
    const block = compressionsAlgorithms.snappy.compressSync(Buffer.from(plain)) as Buffer;
    return random.chance(0.7) ? block : framed(block);
  }
  if (codec === 3) return compressionsAlgorithms.lz4.compressSync(Buffer.from(plain)) as Buffer;
  return codec === 4 ? random.pick(random.chance(0.1) ? ZSTD : SMALL_ZSTD) : plain;
}

const ZSTD = ZSTD_FRAMES.map(({ frame }) => Uint8Array.fromBase64(frame));

/** Those that unpack to few bytes, which cost less. */
const SMALL_ZSTD = ZSTD_FRAMES.flatMap(({ bytes }, n) => bytes < 10_000 ? [ZSTD[n]!] : []);

/** Snappy in Java's framing. */
function framed(block: Buffer): Uint8Array {
  const head = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]);
  head.writeInt32BE(block.length, 16);
  return Buffer.concat([head, block]);
}

/** Text of words that repeat, of few letters or of all bytes, so that each kind of block occurs. */
function text(random: Random): Uint8Array {
  const letters = random.pick([2, 20, 64, 256]);
  const words = Array.from(
    { length: 1 + random.below(30) },
    () => Uint8Array.from({ length: 1 + random.below(20) }, () => 256 - letters + random.below(letters)),
  );
  const count = Math.floor(random.logUniform(1, random.chance(0.003) ? 20_000 : 200));
  return concat(Array.from({ length: count }, () => random.pick(words)));
}
