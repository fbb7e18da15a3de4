import assert from "node:assert/strict";
import { Activity } from "../../status/activity.ts";
import { until } from "../../../testing/servers/child.ts";
import { announce, type Announcements } from "./announce.ts";

interface Heard {
  readonly activity: Activity;
  readonly announcements: Announcements;
  /** Every line sent to systemd. */
  readonly lines: string[];
}

/** Announcements of a service with two workers and a watchdog interval of 40 ms. */
async function announced(body: (heard: Heard) => Promise<void>): Promise<void> {
  const lines: string[] = [];
  const notifier = { say: (...said: readonly string[]) => void lines.push(...said), close() {} };
  const activity = new Activity(() => 0, 2);
  const options = { activity, workers: 2, now: () => performance.now() };
  const announcements = announce(notifier, { socket: "/nowhere", watchdogMs: 40 }, options);
  try {
    await body({ activity, announcements, lines });
  } finally {
    announcements.close();
  }
}

function ready({ activity, announcements }: Heard): void {
  for (const worker of [0, 1]) {
    activity.take({ kind: "notReady", why: null }, worker);
    announcements.hear({ kind: "notReady", why: null }, worker);
  }
}

const count = (lines: readonly string[], line: string) => lines.filter((each) => each === line).length;

Deno.test("announces READY once, when every worker is ready; later waits only change the status", () =>
  announced((heard) => {
    const { activity, announcements, lines } = heard;
    activity.take({ kind: "notReady", why: null }, 0);
    announcements.hear({ kind: "notReady", why: null }, 0);
    assert.equal(count(lines, "READY=1"), 0);
    ready(heard);
    ready(heard);
    assert.equal(count(lines, "READY=1"), 1);
    announcements.reload();
    assert.equal(count(lines, "RELOADING=1"), 1);
    assert.equal(lines.at(-1), "READY=1");
    activity.stopping = true;
    announcements.look();
    assert.deepEqual(lines.slice(-2), ["STOPPING=1", "STATUS=stopping: committing what was read"]);
    return Promise.resolve();
  }));

Deno.test("announces a sign of life only after every worker gave one; before READY it asks for more time", () =>
  announced(async (heard) => {
    const { announcements, lines } = heard;
    const turn = (worker: number) => announcements.hear({ kind: "turned" }, worker);
    turn(0);
    turn(1);
    await until("it asks for more time", () => lines.includes("EXTEND_TIMEOUT_USEC=60000000"), 5000, 5);
    ready(heard);
    const before = count(lines, "WATCHDOG=1");
    turn(0);
    turn(1);
    await until("it is alive", () => count(lines, "WATCHDOG=1") > before, 5000, 5);
    // One worker hangs: the other one alone must not count as a sign of life.
    const alive = count(lines, "WATCHDOG=1");
    const endMs = performance.now() + 100;
    await until(
      "the watchdog's interval is over",
      () => {
        turn(0);
        return performance.now() > endMs;
      },
      5000,
      5,
    );
    assert.equal(count(lines, "WATCHDOG=1"), alive);
  }));
