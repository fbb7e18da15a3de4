/**
 * Maps strings to small numbers, in plain JavaScript: for single records, and as a reference for the kernel.
 * @module
 */
import { Arena } from "./arena.ts";
import { hash53 } from "./hash.ts";
import type { KeyedHash } from "./keyed_hash.ts";
import type { Dictionary, StringSpans } from "./strings.ts";

/** Distinct strings; a string's code is its index. */
export class TextDictionary implements Dictionary {
  generation = 0;
  readonly #codes = new Map<string, number>();
  readonly #arena = new Arena();
  readonly #keyed: KeyedHash;
  readonly #fixed: readonly string[];

  /**
   * @param keyed hashes strings that are compared by their hash alone
   * @param fixed strings that always have the codes 0, 1, 2, …
   */
  constructor(keyed: KeyedHash, fixed: readonly string[] = []) {
    this.#keyed = keyed;
    this.#fixed = fixed;
    for (const text of fixed) this.internText(text);
  }

  get count(): number {
    return this.#arena.count;
  }

  get view(): DataView {
    return this.#arena.view;
  }

  get spans(): StringSpans {
    return this.#arena.spans;
  }

  internText(text: string): number {
    const known = this.#codes.get(text);
    if (known !== undefined) return known;
    const code = this.#arena.count;
    const view = encoded(text);
    this.#arena.set(code, view, 0, view.byteLength - SLACK);
    this.#arena.count++;
    this.#codes.set(text, code);
    return code;
  }

  text(code: number): string {
    return this.#arena.text(code);
  }

  start(code: number): number {
    return this.#arena.start(code);
  }

  length(code: number): number {
    return this.#arena.length(code);
  }

  hash(code: number): number {
    return this.#keyed.double(this.view, this.start(code), this.start(code) + this.length(code));
  }

  unkeyedHash(code: number): number {
    return hash53(this.view, this.start(code), this.start(code) + this.length(code));
  }

  clear(): void {
    this.#codes.clear();
    this.#arena.clear();
    this.generation++;
    for (const text of this.#fixed) this.internText(text);
  }
}

const encoder = new TextEncoder();

/** Bytes after a string that must be readable, because strings are read as whole words. */
export const SLACK = 4;

let scratch = new Uint8Array(1024);

/** Longest text that is encoded here: the encoder takes longer to call, and less for each character. */
const SHORT = 32;

/** Encodes a text into `scratch`; returns its length. */
function written(text: string): number {
  let at = 0;
  for (; at < text.length && at < SHORT; at++) {
    const code = text.charCodeAt(at);
    if (code > 0x7f) break;
    scratch[at] = code;
  }
  return at === text.length ? at : encoder.encodeInto(text, scratch).written;
}

/** A well-formed string in UTF-8, followed by `SLACK` bytes; valid until the next call. */
export function encoded(text: string): DataView<ArrayBuffer> {
  if (text.length * 3 + SLACK > scratch.length) scratch = new Uint8Array(text.length * 6 + SLACK);
  return new DataView(scratch.buffer, 0, written(text) + SLACK);
}
