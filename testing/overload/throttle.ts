/**
 * Makes a process as slow as on a busy machine: stops it for most of every moment.
 * @module
 */
import { setTimeout } from "node:timers/promises";

/** Length of a moment in milliseconds, nearly as short as the turns that processes take on a busy machine. */
const MOMENT_MS = 40;

/** Lets a process run for this share of the time until the returned function is called. */
export function throttle(pid: number, share: number): () => Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  const running = (async () => {
    while (!signal.aborted) {
      Deno.kill(pid, "SIGSTOP");
      await setTimeout(MOMENT_MS * (1 - share), undefined, { signal }).catch(() => {});
      Deno.kill(pid, "SIGCONT");
      await setTimeout(MOMENT_MS * share, undefined, { signal }).catch(() => {});
    }
  })();
  return async () => {
    over.abort();
    await running;
  };
}
