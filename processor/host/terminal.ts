/**
 * What the program shares with whoever called it: its output and signals.
 * @module
 */

const encoder = new TextEncoder();

/** Writes to standard output. Where nobody reads on, as after `| head`, the program has done what it was asked for. */
export function write(text: string): void {
  if (!written(Deno.stdout, text)) Deno.exit(0);
}

/** Writes a line to standard output, as `write` does. */
export function print(line: string): void {
  write(`${line}\n`);
}

/** True if somebody is looking on, and not a program. */
export function isTerminal(): boolean {
  return Deno.stdout.isTerminal();
}

/** Writes to standard error. Where nobody reads it there is nobody to tell, and the work goes on. */
export function writeError(text: string): void {
  written(Deno.stderr, text);
}

/** Writes all of it before returning; false if nobody reads on. */
function written(stream: { writeSync(bytes: Uint8Array): number }, text: string): boolean {
  const bytes = encoder.encode(text);
  try {
    for (let done = 0; done < bytes.length;) done += stream.writeSync(bytes.subarray(done));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return false;
    throw error;
  }
}

/** Is aborted by SIGINT or SIGTERM; a second one ends the process at once. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted) Deno.exit(1);
    stop.abort();
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, onSignal);
  return stop.signal;
}

/** Asks a question that is answered with y or n; null where nobody can be asked. */
export function ask(question: string): boolean | null {
  return Deno.stdin.isTerminal() && Deno.stdout.isTerminal() ? confirm(question) : null;
}
