/**
 * The compiled service, several processes of it: started, killed, frozen, and watched for exits that nobody asked for.
 * @module
 */
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import type { Env } from "../servers/binary.ts";
import { Child, freePort } from "../servers/child.ts";

/** Processes of one service. */
export class Services {
  /** Exits that nobody asked for, each with the last lines of the log. */
  readonly unasked: string[] = [];
  /** The program of each process. */
  readonly programs: string[];
  readonly #env: Env;
  readonly #folder: string;
  readonly #addresses: readonly string[];
  readonly #workers: readonly number[];
  readonly #children: (Child | null)[];
  readonly #asked = new WeakSet<Child>();

  /** @param workers number of workers of each process */
  constructor(program: string, env: Env, folder: string, workers: readonly number[]) {
    this.programs = workers.map(() => program);
    this.#env = env;
    this.#folder = folder;
    this.#workers = workers;
    this.#addresses = workers.map(() => `127.0.0.1:${freePort()}`);
    this.#children = workers.map(() => null);
  }

  /** Number of processes. */
  get count(): number {
    return this.#workers.length;
  }

  /** Id of a running process. */
  pid(n: number): number {
    return this.#children[n]!.pid;
  }

  /** Settings of a process, for commands that are about it. */
  envOf(n: number): Env {
    return { ...this.#env, WORKERS: String(this.#workers[n]), HTTP_LISTEN: this.#addresses[n]! };
  }

  /** Starts a process. If it ends unasked, that is noted and it is started again. */
  start(n: number): void {
    const child = Child.start(this.programs[n]!, ["run"], `${this.#folder}/service-${n}.log`, this.envOf(n));
    this.#children[n] = child;
    void child.wait().then(async (code) => {
      if (this.#asked.has(child)) return;
      this.unasked.push(`process ${n} ended with ${code}:\n${await child.tail(8)}`);
      await setTimeout(500);
      if (this.#children[n] === child) this.start(n);
    });
  }

  /** Starts all that don't run. */
  startAll(): void {
    for (let n = 0; n < this.count; n++) if (this.#children[n] === null) this.start(n);
  }

  /** Kills a process. */
  async kill(n: number): Promise<void> {
    await this.#end(n, "SIGKILL");
  }

  /** Freezes a process, or lets it go on. */
  signal(n: number, signal: "SIGSTOP" | "SIGCONT"): void {
    Deno.kill(this.pid(n), signal);
  }

  /**
   * Stops a process in order.
   *
   * @throws {AssertionError} if it does not end with 0
   */
  async stop(n: number): Promise<void> {
    const child = this.#children[n]!;
    assert.equal(await this.#end(n, "SIGTERM"), 0, `process ${n} does not end with 0: ${await child.tail(8)}`);
  }

  /** Stops all in order. */
  async stopAll(): Promise<void> {
    await Promise.all(this.#children.map((child, n) => child === null ? null : this.stop(n)));
  }

  /** Asks a process for a page; null if it does not answer. */
  async ask(n: number, path: string): Promise<string | null> {
    const url = `http://${this.#addresses[n]}${path}`;
    return await fetch(url, { signal: AbortSignal.timeout(2000) }).then((answer) => answer.text(), () => null);
  }

  /** Kills all. */
  async killAll(): Promise<void> {
    await Promise.all(this.#children.map((child, n) => child === null ? null : this.kill(n)));
  }

  async #end(n: number, signal: Deno.Signal): Promise<number> {
    const child = this.#children[n]!;
    this.#asked.add(child);
    this.#children[n] = null;
    return await child.end(signal);
  }
}
