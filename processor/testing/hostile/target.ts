/**
 * What is fed with hostile input.
 * @module
 */
import type { Random } from "../../../generator/random.ts";

/** A part of the program, and the promise that it keeps whatever it gets. */
export interface Target {
  readonly name: string;
  /** The promise, in one sentence. */
  readonly about: string;
  open(): Opened | Promise<Opened>;
}

/** A target that is ready. The same draws and checks in the same order behave the same. */
export interface Opened {
  /** A case as bytes: valid input, mostly mutated. */
  draw(random: Random): Uint8Array;
  /**
   * Feeds a case, made by `draw` or not; returns its outcome in one or two words.
   *
   * @throws if the promise is broken
   */
  check(input: Uint8Array): string | Promise<string>;
  close?(): void | Promise<void>;
}

const utf8 = new TextEncoder();

/** The bytes of a text. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return utf8.encode(text);
}

const lossy = new TextDecoder();

/** The text of bytes; invalid ones are replaced. */
export function textOf(bytes: Uint8Array): string {
  return lossy.decode(bytes);
}

/** Bytes one after another. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The parts between separators. */
export function split(bytes: Uint8Array, separator: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let from = 0;
  for (let at = bytes.indexOf(separator); at >= 0; at = bytes.indexOf(separator, from)) {
    parts.push(bytes.subarray(from, at));
    from = at + 1;
  }
  return [...parts, bytes.subarray(from)];
}
