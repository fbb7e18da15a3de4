/**
 * Decompresses LZ4 in its frame format. Ignores its checksums, because the record batch has its own.
 * @module
 */
import type { Output } from "./output.ts";

const MAGIC = 0x184d2204;
/** Magic number of frames to skip, without its last four bits. */
const SKIPPABLE = 0x184d2a50;

const BLOCK_CHECKSUM = 0x10;
const CONTENT_SIZE = 0x08;
const CONTENT_CHECKSUM = 0x04;
const DICTIONARY = 0x01;
/** Bit of a block's length that marks an uncompressed block. */
const PLAIN = 0x80000000;

/** @throws {Error} saying what is wrong with the data, or that it exceeds the output's limit */
export function unpackLz4(packed: Uint8Array, out: Output): void {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  const has = (at: number, bytes: number) => {
    if (bytes > packed.length - at) throw new Error("it is cut off");
  };
  for (let at = 0; at < packed.length;) {
    has(at, 8);
    const magic = view.getUint32(at, true);
    if ((magic & ~0xf) === SKIPPABLE) {
      at += 8 + view.getUint32(at + 4, true);
      continue;
    }
    if (magic !== MAGIC) throw new Error("it is no LZ4 frame");
    const flags = packed[at + 4]!;
    if (flags >>> 6 !== 1) throw new Error("it is of another version of LZ4's frames");
    // Magic number, flags, block size, optional fields by the flags, and a checksum of the header.
    at += 6 + ((flags & CONTENT_SIZE) === 0 ? 0 : 8) + ((flags & DICTIONARY) === 0 ? 0 : 4) + 1;
    for (;;) {
      has(at, 4);
      const head = view.getUint32(at, true);
      at += 4;
      if (head === 0) break;
      const length = head & ~PLAIN;
      has(at, length);
      if (head >= PLAIN) out.append(packed, at, at + length);
      else unpackBlock(packed, at, at + length, out);
      at += length + ((flags & BLOCK_CHECKSUM) === 0 ? 0 : 4);
    }
    at += (flags & CONTENT_CHECKSUM) === 0 ? 0 : 4;
  }
}

/** Decompresses the block from `at` to `end`, which may refer to output before it. */
function unpackBlock(packed: Uint8Array, at: number, end: number, out: Output): void {
  while (at < end) {
    const token = packed[at++]!;
    let literals = token >>> 4;
    if (literals === 15) {
      for (let more = 255; more === 255; literals += more) {
        if (at >= end) throw new Error("it is cut off");
        more = packed[at++]!;
      }
    }
    if (literals > end - at) throw new Error("it is cut off");
    out.append(packed, at, at + literals);
    at += literals;
    // The last sequence of a block has only literals.
    if (at === end) return;
    if (end - at < 2) throw new Error("it is cut off");
    const distance = packed[at]! | packed[at + 1]! << 8;
    at += 2;
    let length = token & 15;
    if (length === 15) {
      for (let more = 255; more === 255; length += more) {
        if (at >= end) throw new Error("it is cut off");
        more = packed[at++]!;
      }
    }
    out.copy(distance, length + 4);
  }
}
