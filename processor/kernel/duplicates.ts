/**
 * The remembered ids of a partition, in the kernel's memory.
 * @module
 */
import type { DuplicateFinder, PieceLengths } from "../decode/decoder.ts";
import type { Memory } from "./memory.ts";

// Places in `Duplicates` of assembly/duplicates.ts.
const UNCHECKED = 0;
const COUNT = 4;

/** Recognises duplicates. */
export class KernelDuplicates implements DuplicateFinder {
  /** Its address. */
  readonly at: number;
  readonly #memory: Memory;

  /** @param mostBytes bytes that it takes at most, and 128 KiB in any case; the oldest ids are forgotten early instead */
  constructor(memory: Memory, { shortest, wrong, longest }: PieceLengths, mostBytes: number) {
    this.#memory = memory;
    this.at = memory.functions.newDuplicates(shortest, wrong, longest, mostBytes);
  }

  pass(offset: number, kafkaTime: number): void {
    this.#memory.functions.pass(this.at, offset, kafkaTime);
  }

  seen(hash: Int32Array, at: number, kafkaTime: number): boolean {
    const [a, b, c] = [hash[at]!, hash[at + 1]!, hash[at + 2]!];
    return this.#memory.functions.isDuplicate(this.at, a, b, c, kafkaTime) !== 0;
  }

  takeUnchecked(): number {
    const unchecked = this.#memory.word(this.at + UNCHECKED);
    this.#memory.words[(this.at + UNCHECKED) >> 2] = 0;
    return unchecked;
  }

  replayFrom(next: number): number {
    return this.#memory.functions.replayFrom(this.at, next);
  }

  /** Number of ids in memory, with forgotten ones that were not dropped yet. */
  get size(): number {
    return this.#memory.word(this.at + COUNT);
  }

  free(): void {
    this.#memory.functions.freeDuplicates(this.at);
  }
}
