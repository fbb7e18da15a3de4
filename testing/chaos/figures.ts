/**
 * What happened in a run: faults by kind, times to recover, and counts.
 * @module
 */
import type { Struck } from "./postgres_wire.ts";

/** Counts of one run, or of several. */
export interface Counted extends Struck {
  rounds: number;
  records: number;
  sigkills: number;
  /** Connections that the proxies have broken for other reasons than a commit or a COPY. */
  broken: number;
  /** SIGKILLs of the operator's commands. */
  commandKills: number;
  /** Records that were read again because PostgreSQL had lost their commits. */
  rereadAfterLoss: number;
  /** Unclean leader elections that the service has reported. */
  reported: number;
}

/** Collects figures. */
export class Figures {
  readonly counted: Counted = {
    rounds: 0,
    records: 0,
    sigkills: 0,
    swallowed: 0,
    unsent: 0,
    cut: 0,
    broken: 0,
    commandKills: 0,
    rereadAfterLoss: 0,
    reported: 0,
  };
  /** Milliseconds from the start of a process after a SIGKILL to its first commit. */
  readonly restartsMs: number[] = [];
  /** What failed, for people. */
  readonly failures: string[] = [];
  readonly #injected = new Map<string, number>();
  readonly #recoveriesMs = new Map<string, number[]>();

  /** A fault was injected. */
  injected(fault: string): void {
    this.#injected.set(fault, (this.#injected.get(fault) ?? 0) + 1);
  }

  /** Everything that was sent before the end of a fault was committed this long after that end. */
  recovered(fault: string, tookMs: number): void {
    this.#recoveriesMs.set(fault, [...this.#recoveriesMs.get(fault) ?? [], tookMs]);
  }

  /** The figures as lines. */
  lines(): string[] {
    const { rounds, records, sigkills, swallowed, unsent, cut, broken, commandKills, rereadAfterLoss, reported } =
      this.counted;
    const rows = [...this.#injected].sort(([a], [b]) => a < b ? -1 : 1).map(([name, count]) => {
      const times = this.#recoveriesMs.get(name) ?? [];
      return [name, `${count}`, `${times.length}`, seconds(median(times)), seconds(Math.max(...times, 0))];
    });
    const table = [["fault", "injected", "survived", "recovery median s", "worst s"], ...rows];
    const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
    return [
      ...table.map((row) =>
        row.map((cell, n) => n === 0 ? cell.padEnd(widths[n]!) : cell.padStart(widths[n]!)).join("  ")
      ),
      `rounds ${rounds}, records ${records}, SIGKILLs ${sigkills}, swallowed COMMIT replies ${swallowed}, ` +
      `unsent COMMITs ${unsent}, cut COPYs ${cut}, other connections broken ${broken}`,
      `SIGKILLs of commands ${commandKills}, records read again after lost commits ${rereadAfterLoss}, ` +
      `unclean elections reported ${reported}`,
      `restart to first commit: median ${seconds(median(this.restartsMs))} s, ` +
      `worst ${seconds(Math.max(...this.restartsMs, 0))} s, of ${this.restartsMs.length}`,
      `failures: ${this.failures.length}`,
    ];
  }

  /** The figures as one line of JSON, from which those of several runs are added up. */
  json(): string {
    return JSON.stringify({
      ...this.counted,
      failures: this.failures.length,
      restartsMs: this.restartsMs.map(Math.round),
      faults: Object.fromEntries([...this.#injected].map(([name, injected]) => [
        name,
        { injected, recoveriesMs: (this.#recoveriesMs.get(name) ?? []).map(Math.round) },
      ])),
    });
  }
}

/** The middle of some numbers; 0 of none. */
export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
