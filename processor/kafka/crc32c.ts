/**
 * CRC-32C (Castagnoli), the checksum of Kafka's record batches, eight bytes at a time. It copies nothing; a library in
 * WebAssembly or native code would have to copy the bytes first.
 * @module
 */

/** The polynomial, lowest bit first. */
const POLYNOMIAL = 0x82f63b78;

/** What a byte adds to the checksum when `n` bytes follow it, at `n * 256 + byte`. */
const TABLES = tables();

/** The checksum of some bytes, from 0 to 2^32 - 1. */
export function crc32c(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = bytes.length & ~7;
  let crc = -1;
  for (let at = 0; at < whole; at += 8) {
    const low = view.getInt32(at, true) ^ crc;
    const high = view.getInt32(at + 4, true);
    crc = TABLES[1792 + (low & 0xff)]! ^ TABLES[1536 + ((low >>> 8) & 0xff)]! ^
      TABLES[1280 + ((low >>> 16) & 0xff)]! ^ TABLES[1024 + (low >>> 24)]! ^
      TABLES[768 + (high & 0xff)]! ^ TABLES[512 + ((high >>> 8) & 0xff)]! ^
      TABLES[256 + ((high >>> 16) & 0xff)]! ^ TABLES[high >>> 24]!;
  }
  for (let at = whole; at < bytes.length; at++) crc = TABLES[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

function tables(): Int32Array {
  const all = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    all[byte] = crc;
  }
  for (let at = 256; at < all.length; at++) all[at] = (all[at - 256]! >>> 8) ^ all[all[at - 256]! & 0xff]!;
  return all;
}
