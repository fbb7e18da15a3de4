/**
 * Decompresses record batches. The output limit is checked during decompression, so a small batch that expands to
 * gigabytes costs no more memory than a large one.
 * @module
 */
import { Buffer } from "node:buffer";
import { gunzipSync } from "node:zlib";
import { unpackLz4 } from "./lz4.ts";
import { unpackSnappy } from "./snappy.ts";
import { Output, TooLarge } from "./output.ts";
import { unpackZstd } from "./zstd.ts";

/**
 * Most bytes that the records of one batch may decompress to: 64 times a topic's default limit for compressed batches
 * (`max.message.bytes`, 1 MiB). JSON compresses 10 to 20 times.
 */
export const MAX_UNPACKED_BYTES = 64 * 1024 * 1024;

const GZIP = 1;
const SNAPPY = 2;
const LZ4 = 3;
const ZSTD = 4;

/** Names of Kafka's codecs by their number. */
export const CODECS: readonly (string | undefined)[] = ["none", "gzip", "snappy", "lz4", "zstd"];

/** Reused output: a large batch leaves no other memory behind. */
let output: Output | null = null;

/**
 * Decompresses bytes with one of Kafka's codecs.
 *
 * @param codec Kafka's number of the codec, 1 to 4
 * @throws {Error} saying why it fails, or that the output exceeds `MAX_UNPACKED_BYTES`
 */
export function unpack(codec: number, packed: Uint8Array): Buffer {
  if (codec === GZIP) return unpackGzip(packed);
  const unpackInto = codec === SNAPPY ? unpackSnappy : codec === LZ4 ? unpackLz4 : codec === ZSTD ? unpackZstd : null;
  if (unpackInto === null) throw new Error(`compression codec ${codec} is unknown`);
  output ??= new Output(MAX_UNPACKED_BYTES);
  output.length = 0;
  unpackInto(packed, output);
  const { buffer, byteOffset, length } = output.take();
  return Buffer.from(buffer, byteOffset, length);
}

/** Gzip makes bytes at most so many times smaller. */
const MOST_GZIP_RATIO = 1032;

function unpackGzip(packed: Uint8Array): Buffer {
  // The last four bytes give the size of the output, so most decompression bombs cost nothing.
  const tail = new DataView(packed.buffer, packed.byteOffset, packed.length);
  const size = packed.length < 4 ? 0 : tail.getUint32(packed.length - 4, true);
  if (size > MAX_UNPACKED_BYTES) throw new TooLarge(MAX_UNPACKED_BYTES);
  // One chunk that has room for all of the output: many would be kept, and then copied into as much memory again.
  const chunkSize = Math.max(64 * 1024, Math.min(size, packed.length * MOST_GZIP_RATIO) + 1);
  try {
    return gunzipSync(packed, { maxOutputLength: MAX_UNPACKED_BYTES, chunkSize });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") {
      throw new TooLarge(MAX_UNPACKED_BYTES);
    }
    throw error;
  }
}
