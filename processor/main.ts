/**
 * The program: runs the command of its arguments, and ends with its exit code.
 * @module
 */
import { CommanderError } from "commander";
import { EXIT, WrongUse } from "./commands/cli/exit.ts";
import { program } from "./commands/program.ts";
import { showsStacks, WrongSettings } from "./config/config.ts";
import { writeError } from "./host/terminal.ts";
import { inWords } from "./config/secret.ts";
import { WrongTimeZone } from "./postgres/time_zone.ts";

/** Runs the command in `args`; returns its exit code. */
async function main(args: readonly string[]): Promise<number> {
  let code: number = EXIT.done;
  try {
    await program((ended) => code = ended).parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    // The parser has already printed the error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.wrongUse;
    return failed(error);
  }
}

function failed(error: unknown): number {
  const isWrongUse = [WrongSettings, WrongUse, WrongTimeZone].some((kind) => error instanceof kind);
  writeError(`clickstream: ${inWords(error, showsStacks() && !isWrongUse)}\n`);
  return isWrongUse ? EXIT.wrongUse : EXIT.failed;
}

if (typeof WorkerGlobalScope === "function") {
  // The service runs this program again in a thread, as a worker.
  const { serveThread } = await import("./commands/run/threads.ts");
  serveThread();
} else if (import.meta.main) {
  // An error that a client library throws outside of any await ends the program like any other.
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    Deno.exit(failed(event.reason));
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    Deno.exit(failed(event.error));
  });
  Deno.exit(await main(Deno.args));
}
