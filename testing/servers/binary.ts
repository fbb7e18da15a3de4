/**
 * Runs the compiled program as people do: to its end, or killed on the way.
 * @module
 */
import { fileURLToPath } from "node:url";
import type { Random } from "../../generator/random.ts";

/** Where `deno task build` puts it. */
export const BINARY = fileURLToPath(new URL("../../dist/clickstream", import.meta.url));

/** Result of a command. */
export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Settings by name. */
export type Env = Readonly<Record<string, string>>;

function start(args: readonly string[], env: Env): Deno.ChildProcess {
  return new Deno.Command(BINARY, {
    args: [...args],
    env: { PATH: "/usr/bin:/bin", NO_COLOR: "1", ...env },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function ended(child: Deno.ChildProcess): Promise<Ended> {
  const { code, stdout, stderr } = await child.output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out: out!, err: err! };
}

/** Runs a command to its end, with only these settings. */
export async function clickstream(args: readonly string[], env: Env): Promise<Ended> {
  return await ended(start(args, env));
}

/** How often to kill a command, and when. */
export interface Kills {
  readonly times: number;
  /** Longest life before a kill, in milliseconds. */
  readonly withinMs: number;
  readonly chance: Random;
}

/** Kills a command at random this many times, then runs it to its end; returns that last result. */
export async function killed(args: readonly string[], env: Env, { times, withinMs, chance }: Kills): Promise<Ended> {
  for (let n = 0; n < times; n++) {
    const child = start(args, env);
    const timer = setTimeout(() => {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has just ended by itself.
      }
    }, 60 + chance.next() * withinMs);
    // Its output may end later than the child, which can't be killed then.
    void child.status.then(() => clearTimeout(timer));
    await ended(child);
  }
  return await clickstream(args, env);
}
