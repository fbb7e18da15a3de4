/**
 * Reproducible archives: the same files give the same bytes. No times, no owners, sorted.
 * @module
 */
import { gzipSync } from "node:zlib";

/** A file in an archive. */
export interface TarFile {
  /** Path below the root, without a leading slash; at most 100 bytes of ASCII. */
  readonly path: string;
  readonly mode: number;
  readonly bytes: Uint8Array;
}

const BLOCK_BYTES = 512;

/** Returns a gzipped tar (ustar) of the files, sorted by path. */
export function tarGz(files: readonly TarFile[]): Uint8Array<ArrayBuffer> {
  const sorted = files.toSorted((a, b) => a.path < b.path ? -1 : 1);
  const blocks = sorted.flatMap(({ path, mode, bytes }) => [
    header(path, mode, bytes.length),
    bytes,
    new Uint8Array(-bytes.length & (BLOCK_BYTES - 1)),
  ]);
  const end = new Uint8Array(2 * BLOCK_BYTES);
  const zipped = new Uint8Array(gzipSync(concat([...blocks, end]), { level: 9 }));
  // Operating system field: unknown.
  zipped[9] = 255;
  return zipped;
}

function header(path: string, mode: number, bytes: number): Uint8Array {
  if (!/^[\x21-\x7e]{1,100}$/.test(path)) throw new RangeError(`${path} can't be the path of a file in an archive`);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;
  const before = path.padEnd(100, "\0") + octal(mode, 7) + octal(0, 7) + octal(0, 7) + octal(bytes, 11) + octal(0, 11);
  const after = "0" + "\0".repeat(100) + "ustar\0" + "00";
  const sum = [...before, ...after].reduce((total, letter) => total + letter.charCodeAt(0), 8 * 32);
  const block = new Uint8Array(BLOCK_BYTES);
  new TextEncoder().encodeInto(`${before}${sum.toString(8).padStart(6, "0")}\0 ${after}`, block);
  return block;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
