/**
 * Workers of the service in threads of their own: both ends of the messages between a thread and its starter.
 * @module
 */
/// <reference lib="webworker" />
import { readSettings, showsStacks } from "../../config/config.ts";
import { STARTING } from "../../status/activity.ts";
import type { WorkerEvent } from "../../status/worker_events.ts";
import { openLog } from "../../host/log.ts";
import { inWords } from "../../config/secret.ts";
import { Watching } from "../../status/sampler.ts";
import { READS } from "../cli/reads.ts";
import { type Tell, work } from "./work.ts";

/** A message to a thread: stop, or whether a client of the page is connected. */
type Told = "stop" | "watched" | "unwatched";

/** The last message of a thread: its exit code, or why it failed. */
type End = { readonly kind: "ended"; readonly code: number } | { readonly kind: "failed"; readonly reason: string };

/**
 * Runs a worker in a thread until `signal` is aborted; returns its exit code.
 *
 * @param instance name of the worker in `progress.committed_by`, different for each worker
 */
export async function workInThread(
  instance: string,
  signal: AbortSignal,
  tell: Tell,
  watching: Watching,
): Promise<number> {
  const thread = new Worker(Deno.mainModule, { type: "module", name: instance });
  // Messages sent before the thread listens are lost, so they are sent again after its first message.
  const say = (told: Told) => thread.postMessage(told);
  const stop = () => say("stop");
  const over = new AbortController();
  let heard = false;
  try {
    return await new Promise<number>((resolve, reject) => {
      thread.onmessage = ({ data }: MessageEvent<WorkerEvent | End>) => {
        if (data.kind === "ended") resolve(data.code);
        else if (data.kind === "failed") reject(new Error(data.reason));
        else tell(data);
        if (signal.aborted) stop();
        if (!heard && watching.on) say("watched");
        heard = true;
      };
      thread.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
      signal.addEventListener("abort", stop);
      watching.tell((on) => say(on ? "watched" : "unwatched"), over.signal);
    });
  } finally {
    over.abort();
    signal.removeEventListener("abort", stop);
    thread.terminate();
  }
}

/** Runs the worker of this thread. */
export function serveThread(): void {
  const thread = globalThis as unknown as DedicatedWorkerGlobalScope;
  const say = (message: WorkerEvent | End) => thread.postMessage(message);
  const fail = (error: unknown) => say({ kind: "failed", reason: inWords(error, showsStacks()) });
  thread.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    fail(event.reason);
  });
  const stop = new AbortController();
  const watching = new Watching();
  thread.onmessage = ({ data }: MessageEvent<Told>) => {
    if (data === "stop") stop.abort();
    else watching.on = data === "watched";
  };
  say({ kind: "notReady", why: STARTING });
  const settings = readSettings(READS.run);
  const log = openLog({ level: settings.LOG_LEVEL, format: settings.LOG_FORMAT });
  work(settings, thread.name, stop.signal, log, say, watching).then((code) => say({ kind: "ended", code }), fail);
}
