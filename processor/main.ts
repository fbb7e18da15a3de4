/**
 * The program: runs the command that was typed and ends with its exit code.
 * @module
 */
import { CommanderError } from "commander";
import { EXIT, WrongUse } from "./commands/cli/exit.ts";
import { program } from "./commands/program.ts";
import { showsStacks, WrongSettings } from "./config/config.ts";
import { writeError } from "./host/terminal.ts";
import { inWords } from "./config/secret.ts";

/** Runs the command that `args` ask for; returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  let code: number = EXIT.done;
  try {
    await program((ended) => code = ended).parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    // The parser has already said what is wrong.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.wrongUse;
    return failed(error);
  }
}

function failed(error: unknown): number {
  const misused = error instanceof WrongSettings || error instanceof WrongUse;
  writeError(`clickstream: ${inWords(error, showsStacks() && !misused)}\n`);
  return misused ? EXIT.wrongUse : EXIT.failed;
}

if (typeof WorkerGlobalScope === "function") {
  // The service has started this program once more, in a thread.
  const { serveThread } = await import("./commands/run/threads.ts");
  serveThread();
} else if (import.meta.main) {
  // What a client throws with nobody waiting for it ends the program as any other error does.
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
