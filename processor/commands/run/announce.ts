/**
 * What the service tells systemd: when it is ready, how it is, and that it is alive, which is said only while every
 * worker's loop goes round. So a worker that hangs is noticed and ended, not only a process that does.
 * @module
 */
import type { Activity } from "../../status/activity.ts";
import type { WorkerEvent } from "../../status/worker_events.ts";
import type { Supervisor } from "../../config/config.ts";
import type { Notifier } from "../../host/notify.ts";
import { type Reading, statusLine } from "../../status/line.ts";

/** The announcements of one process. */
export interface Announcements {
  /** Something has happened in a worker. */
  hear(event: WorkerEvent, worker: number): void;
  /** The service may have become ready, or been told to stop. */
  look(): void;
  /** Told to read its settings again. */
  reload(): void;
  close(): void;
}

/** Where nobody supervises. */
export const NO_ANNOUNCEMENTS: Announcements = { hear() {}, look() {}, reload() {}, close() {} };

/** How often it is said how the service is, in milliseconds. */
const STATUS_EVERY_MS = 2000;

/** While it waits to become ready and is alive, its start may take so much longer, in microseconds. */
const START_EXTENSION_US = 60_000_000;

/** Announces until closed. */
export function announce(
  notifier: Notifier,
  { watchdogMs }: Supervisor,
  { activity, workers, now }: { readonly activity: Activity; readonly workers: number; readonly now: () => number },
): Announcements {
  const reading = (): Reading => ({ ms: now(), consumed: activity.totals.consumed });
  const turned = new Set<number>();
  let before = reading();
  let ready = false;
  const status = () => {
    const current = reading();
    const line = statusLine(activity, before, current);
    before = current;
    return `STATUS=${line.replaceAll("\n", " ")}`;
  };
  const alive = () => {
    if (turned.size < workers) return;
    turned.clear();
    notifier.say(ready ? "WATCHDOG=1" : `EXTEND_TIMEOUT_USEC=${START_EXTENSION_US}`);
  };
  const timers = [
    setInterval(() => notifier.say(status()), STATUS_EVERY_MS),
    setInterval(alive, Math.min(watchdogMs ?? Infinity, START_EXTENSION_US / 1000) / 4),
  ];
  const look = () => {
    if (activity.stopping) notifier.say("STOPPING=1", status());
    else if (!ready && activity.notReady === null) {
      ready = true;
      notifier.say("READY=1", "WATCHDOG=1", status());
    }
  };
  return {
    look,
    hear(event, worker) {
      if (event.kind === "turned") turned.add(worker);
      else if (event.kind === "notReady") look();
    },
    reload() {
      // Its state goes back to what it was: before it was ready there is nothing to take back.
      if (ready) notifier.say("RELOADING=1", "STATUS=nothing to read again: a restart reads the settings", "READY=1");
    },
    close() {
      for (const timer of timers) clearInterval(timer);
      notifier.close();
    },
  };
}
