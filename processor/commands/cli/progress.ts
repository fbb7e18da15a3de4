/**
 * How far a command has got, said once a second.
 * @module
 */
import { withCommas } from "../../status/text.ts";

/** Where a command says what it does; `host/terminal.ts` is one. */
export interface Output {
  /** Writes a line of its result. */
  print(line: string): void;
  /** Writes text about the work, which is not its result. */
  writeError(text: string): void;
}

const EVERY_MS = 1000;

/** Counts records that are done. */
export class Progress {
  readonly #output: Output;
  readonly #startMs = performance.now();
  #saidMs = this.#startMs;
  #saidCount = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Takes note that `count` records are done by now, and says so if it is time. */
  at(count: number): void {
    const nowMs = performance.now();
    const tookMs = nowMs - this.#saidMs;
    if (tookMs < EVERY_MS) return;
    const rate = Math.round((count - this.#saidCount) / tookMs * 1000);
    this.#output.writeError(`${withCommas(count)} records, ${withCommas(rate)} a second\n`);
    this.#saidMs = nowMs;
    this.#saidCount = count;
  }

  /** Seconds since the start. */
  get seconds(): number {
    return (performance.now() - this.#startMs) / 1000;
  }
}
