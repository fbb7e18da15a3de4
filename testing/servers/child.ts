/**
 * Child processes of tests: free ports, output, and an end with the test, however that ends.
 * @module
 */
import { setTimeout } from "node:timers/promises";

/** A folder for downloads: `$XDG_CACHE_HOME/clickstream`, or `~/.cache/clickstream`. */
export function cacheFolder(): string {
  const home = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/tmp"}/.cache`;
  return `${home}/clickstream`;
}

/**
 * Returns the folder `name` in the cache; `prepare` creates it if it is missing. It is created elsewhere and moved into
 * place as a whole, so a crash does not leave half of it. Another process that needs it waits meanwhile.
 */
export async function prepared(name: string, prepare: (folder: string) => Promise<void>): Promise<string> {
  const folder = `${cacheFolder()}/${name}`;
  if (await exists(folder)) return folder;
  await Deno.mkdir(cacheFolder(), { recursive: true });
  // The system unlocks the file when the process ends, however it ends.
  using lock = await Deno.open(`${folder}.lock`, { create: true, write: true });
  await lock.lock(true);
  if (await exists(folder)) return folder;
  const beside = await Deno.makeTempDir({ dir: cacheFolder(), prefix: `${name}-` });
  await prepare(beside);
  await Deno.chmod(beside, 0o755);
  await Deno.rename(beside, folder);
  return folder;
}

/** Whether `path` exists. */
export async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/**
 * Returns a random port that was free a moment ago, on every address. It is below those that the system gives to
 * clients' connections, so that none of them takes it meanwhile.
 */
export function freePort(): number {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 22_768);
    try {
      Deno.listen({ hostname: "0.0.0.0", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/**
 * Runs a program to its end.
 *
 * @throws {Error} with its output if it fails
 */
export async function run(program: string, args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const output = await new Deno.Command(program, { args: [...args], env, stdout: "piped", stderr: "piped" }).output();
  const [out, err] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!output.success) throw new Error(`${program} ${args.join(" ")} ended with ${output.code}:\n${out}${err}`);
  return out!;
}

/** A running program. */
export class Child implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #logFile: string;
  #ended = false;

  private constructor(process: Deno.ChildProcess, logFile: string) {
    this.#process = process;
    this.#logFile = logFile;
    process.status.then(() => this.#ended = true);
  }

  /** Starts a program with its output in `logFile`. It is killed when the thread that started it ends. */
  static start(program: string, args: readonly string[], logFile: string, env: Record<string, string> = {}): Child {
    const log = `exec "$0" "$@" >>'${logFile}' 2>&1`;
    const process = new Deno.Command("setpriv", {
      args: ["--pdeathsig", "KILL", "sh", "-c", log, program, ...args],
      env,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    return new Child(process, logFile);
  }

  /** Process id. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Whether it has ended. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The last lines of its output. */
  async tail(lines = 30): Promise<string> {
    const text = await Deno.readTextFile(this.#logFile).catch(() => "");
    return text.split("\n").slice(-lines).join("\n");
  }

  /** Sends a signal and waits for the end; returns the exit code. */
  async end(signal: Deno.Signal): Promise<number> {
    if (!this.#ended) this.#process.kill(signal);
    return (await this.#process.status).code;
  }

  /** Waits until it ends by itself; returns the exit code. */
  async wait(): Promise<number> {
    return (await this.#process.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }
}

/**
 * Waits until `ready` holds.
 *
 * @throws {Error} naming what it waited for, after `timeoutMs`
 */
export async function until(
  what: string,
  ready: () => boolean | Promise<boolean>,
  timeoutMs = 60_000,
  everyMs = 100,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!await ready()) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s in vain: ${what}`);
    await setTimeout(everyMs);
  }
}
