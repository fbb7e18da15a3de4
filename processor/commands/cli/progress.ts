/**
 * Progress of a command, printed once a second.
 * @module
 */
import { withCommas } from "../../status/text.ts";

/** Where a command writes; `host/terminal.ts` is one. */
export interface Output {
  /** Writes a line of its result. */
  print(line: string): void;
  /** Writes progress and errors. */
  writeError(text: string): void;
}

const EVERY_MS = 1000;

/** Prints the number and rate of processed records. */
export class Progress {
  readonly #output: Output;
  readonly #startMs = performance.now();
  #saidMs = this.#startMs;
  #saidCount = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Takes the number of records so far; prints it at most once a second. */
  at(count: number): void {
    const nowMs = performance.now();
    const tookMs = nowMs - this.#saidMs;
    if (tookMs < EVERY_MS) return;
    const rate = Math.round((count - this.#saidCount) / tookMs * 1000);
    this.#output.writeError(`${withCommas(count)} records, ${withCommas(rate)} records/s\n`);
    this.#saidMs = nowMs;
    this.#saidCount = count;
  }

  /** Seconds since the start. */
  get seconds(): number {
    return (performance.now() - this.#startMs) / 1000;
  }
}
