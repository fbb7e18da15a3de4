/**
 * What the service tells systemd: that it is ready, its status, and that it is alive. It reports that it is alive only
 * while the loop of every worker runs, so systemd also ends a service whose process lives but one worker hangs.
 * @module
 */
import type { Activity } from "../../status/activity.ts";
import type { WorkerEvent } from "../../status/worker_events.ts";
import type { Supervisor } from "../../config/config.ts";
import type { Notifier } from "../../host/notify.ts";
import { type Reading, statusLine } from "../../status/line.ts";

/** The announcements of one process. */
export interface Announcements {
  /** Takes an event of a worker. */
  hear(event: WorkerEvent, worker: number): void;
  /** Checks whether the service has become ready, or was told to stop. */
  look(): void;
  /** Answers a request to reload. */
  reload(): void;
  close(): void;
}

/** For a process without a supervisor. */
export const NO_ANNOUNCEMENTS: Announcements = { hear() {}, look() {}, reload() {}, close() {} };

/** Interval between status lines, in milliseconds. */
const STATUS_EVERY_MS = 2000;

/** A service that is alive but not ready yet asks for this much more time to start, in microseconds. */
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
      // After a reload, systemd expects READY again; before the service was ready, it must not say so.
      if (ready) notifier.say("RELOADING=1", "STATUS=nothing to reload: restart to apply new settings", "READY=1");
    },
    close() {
      for (const timer of timers) clearInterval(timer);
      notifier.close();
    },
  };
}
