/**
 * Decompresses record batches. The output is bounded, and the bound is checked while unpacking, so that a small batch
 * that unpacks to gigabytes costs no more memory than a large one.
 * @module
 */
import { Buffer } from "node:buffer";
import { gunzipSync } from "node:zlib";
import { unpackLz4 } from "./lz4.ts";
import { unpackSnappy } from "./snappy.ts";
import { Output, TooLarge } from "./output.ts";
import { unpackZstd } from "./zstd.ts";

/**
 * Most bytes that the records of one batch may unpack to: 64 times what a topic takes compressed by default
 * (`max.message.bytes`, 1 MiB), where JSON becomes 10 to 20 times smaller.
 */
export const MAX_UNPACKED_BYTES = 64 * 1024 * 1024;

const GZIP = 1;
const SNAPPY = 2;
const LZ4 = 3;
const ZSTD = 4;

/** Names of Kafka's codecs by their number. */
export const CODECS: readonly (string | undefined)[] = ["none", "gzip", "snappy", "lz4", "zstd"];

/** What is unpacked is written here first: so no batch, however large, leaves more than this behind. */
let output: Output | null = null;

/**
 * Unpacks what a codec of Kafka's has packed.
 *
 * @param codec Kafka's number of the codec, 1 to 4
 * @throws {Error} saying why it can't be unpacked, or that it unpacks to more than `MAX_UNPACKED_BYTES`
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

function unpackGzip(packed: Uint8Array): Buffer {
  // The last four bytes are the size of what was packed, so that most bombs cost nothing.
  const tail = new DataView(packed.buffer, packed.byteOffset, packed.length);
  if (packed.length >= 4 && tail.getUint32(packed.length - 4, true) > MAX_UNPACKED_BYTES) {
    throw new TooLarge(MAX_UNPACKED_BYTES);
  }
  try {
    return gunzipSync(packed, { maxOutputLength: MAX_UNPACKED_BYTES, chunkSize: 64 * 1024 });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") {
      throw new TooLarge(MAX_UNPACKED_BYTES);
    }
    throw error;
  }
}
