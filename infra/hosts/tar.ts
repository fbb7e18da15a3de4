/**
 * Reproducible archives: the same files give the same bytes. No times, no owners, sorted.
 * @module
 */
import { gzipSync } from "node:zlib";

/** A file in an archive. */
export interface TarFile {
  /** Path below the root, without a leading slash; at most 100 bytes of ASCII. With a slash at its end, a folder. */
  readonly path: string;
  readonly mode: number;
  readonly bytes: Uint8Array;
  /** What it is a symbolic link to, if it is one. */
  readonly link?: string;
}

const BLOCK_BYTES = 512;

/** How an archive is written. */
export interface TarOptions {
  /** Time of each file, in seconds since 1970 (default: 0). */
  readonly timeS?: number;
  /** Compression, from 1 to 9 (default: 9). */
  readonly level?: number;
}

/** Returns a gzipped tar (ustar) of the files, sorted by path. */
export function tarGz(files: readonly TarFile[], { timeS = 0, level = 9 }: TarOptions = {}): Uint8Array<ArrayBuffer> {
  return zipped(tar(files, timeS), level);
}

/** Returns bytes as gzip: the same on every system. */
export function zipped(bytes: Uint8Array, level: number): Uint8Array<ArrayBuffer> {
  const zipped = new Uint8Array(gzipSync(bytes, { level }));
  // Operating system field: unknown.
  zipped[9] = 255;
  return zipped;
}

/** Returns a tar (ustar) of the files, sorted by path; `timeS` is the time of each, in seconds since 1970. */
export function tar(files: readonly TarFile[], timeS = 0): Uint8Array<ArrayBuffer> {
  const sorted = files.toSorted((a, b) => a.path < b.path ? -1 : 1);
  const blocks = sorted.flatMap((file) => [
    header(file, timeS),
    file.bytes,
    new Uint8Array(-file.bytes.length & (BLOCK_BYTES - 1)),
  ]);
  return concat([...blocks, new Uint8Array(2 * BLOCK_BYTES)]);
}

function header({ path, mode, bytes, link }: TarFile, timeS: number): Uint8Array {
  for (const name of [path, ...(link === undefined ? [] : [link])]) {
    if (!/^[\x21-\x7e]{1,100}$/.test(name)) throw new RangeError(`${name} can't be the path of a file in an archive`);
  }
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;
  const sizes = octal(bytes.length, 11) + octal(timeS, 11);
  const before = path.padEnd(100, "\0") + octal(mode, 7) + octal(0, 7) + octal(0, 7) + sizes;
  const type = link !== undefined ? "2" : path.endsWith("/") ? "5" : "0";
  const after = type + (link ?? "").padEnd(100, "\0") + "ustar\0" + "00";
  const sum = [...before, ...after].reduce((total, letter) => total + letter.charCodeAt(0), 8 * 32);
  const block = new Uint8Array(BLOCK_BYTES);
  new TextEncoder().encodeInto(`${before}${sum.toString(8).padStart(6, "0")}\0 ${after}`, block);
  return block;
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
