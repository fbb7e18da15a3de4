/**
 * Standard output, standard error and signals. Whatever text the program prints, a terminal never obeys a part of it:
 * control characters other than line ends are escaped here, at the last outlet.
 * @module
 */
import { visibleLines } from "../config/visible.ts";

const encoder = new TextEncoder();

/** Writes to standard output. If the reader is gone, as after `| head`, the program exits successfully. */
export function write(text: string): void {
  if (!written(Deno.stdout, visibleLines(text))) Deno.exit(0);
}

/** Writes a line to standard output, as `write` does. */
export function print(line: string): void {
  write(`${line}\n`);
}

/** Writes bytes to standard output, as they are; if the reader is gone, the program exits successfully. */
export function writeBytes(bytes: Uint8Array): void {
  if (!wrote(Deno.stdout, bytes)) Deno.exit(0);
}

/** True if standard output is a terminal. */
export function isTerminal(): boolean {
  return Deno.stdout.isTerminal();
}

/** Writes to standard error. If nobody reads it, the program goes on. */
export function writeError(text: string): void {
  written(Deno.stderr, visibleLines(text));
}

/** Writes to standard error a text with colors, whose other parts were made visible before. */
export function writeColored(text: string): void {
  written(Deno.stderr, text);
}

/** Moves to the top of the terminal and clears it. */
export function clearScreen(): void {
  written(Deno.stdout, "\x1b[H\x1b[2J");
}

/** Writes everything before it returns; false if the reader is gone. */
function written(stream: { writeSync(bytes: Uint8Array): number }, text: string): boolean {
  return wrote(stream, encoder.encode(text));
}

function wrote(stream: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): boolean {
  try {
    for (let done = 0; done < bytes.length;) done += stream.writeSync(bytes.subarray(done));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return false;
    throw error;
  }
}

/** A signal that SIGINT or SIGTERM aborts; a second one ends the process at once. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted) Deno.exit(1);
    stop.abort();
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, onSignal);
  return stop.signal;
}

/** Asks a y/n question; null if there is no terminal. */
export function ask(question: string): boolean | null {
  return Deno.stdin.isTerminal() && Deno.stdout.isTerminal() ? confirm(visibleLines(question)) : null;
}
