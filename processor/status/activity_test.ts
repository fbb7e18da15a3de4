import assert from "node:assert/strict";
import { RESTART_CAUSES, type RestartCause, RetryableError } from "../pipeline/causes.ts";
import { PositionsMoved, Unavailable, Unstorable } from "../pipeline/commit.ts";
import { Rebalanced } from "../pipeline/source.ts";
import { DatabaseUnavailable } from "../postgres/database_errors.ts";
import { UserForgotten } from "../postgres/sink/forgetting.ts";
import { Activity } from "./activity.ts";
import { reportTo } from "./worker_events.ts";

/** The label of a restart caused by this error. */
function labelOf(error: RetryableError): RestartCause {
  const activity = new Activity(() => 0);
  reportTo((event) => activity.take(structuredClone(event)), () => 0).started(new Map(), error);
  const counted = [...activity.restartsByCause].filter(([, count]) => count > 0);
  assert.deepEqual(counted, [[activity.restarts[0]!.cause, 1]]);
  assert.deepEqual([...activity.restartsByCause.keys()], [...RESTART_CAUSES]);
  return activity.restarts[0]!.cause;
}

Deno.test("a restart is counted under its cause, which dashboards use", () => {
  const errors = {
    positions_moved: new PositionsMoved("moved"),
    user_forgotten: new UserForgotten("forgotten"),
    reassigned: new Rebalanced("divided"),
    unavailable: new Unavailable("gone", { kind: "kafka_unreachable" }),
    database_unavailable: new DatabaseUnavailable("gone", { kind: "postgres_unreachable" }),
    unstorable: new Unstorable("too large"),
  } satisfies Record<RestartCause, RetryableError>;
  assert.deepEqual(Object.keys(errors), [...RESTART_CAUSES]);
  for (const [label, error] of Object.entries(errors)) assert.equal(labelOf(error), label);
});

Deno.test("renaming an error class does not change the cause of its restarts", () => {
  class Renamed extends Unavailable {
    override readonly name = "ByAnyOtherName";
  }
  assert.equal(labelOf(new Renamed("gone", { kind: "internal" })), "unavailable");
});

Deno.test("memory is the sum of what the workers reported last", () => {
  const activity = new Activity(() => 0, 3);
  assert.deepEqual(activity.memory, [["heap", 0], ["buffers", 0], ["kernel", 0]]);
  activity.take({ kind: "memory", bytes: { heap: 1000, buffers: 1000, kernel: 1000 } }, 0);
  activity.take({ kind: "memory", bytes: { heap: 10, buffers: 20, kernel: 30 } }, 2);
  activity.take({ kind: "memory", bytes: { heap: 1, buffers: 2, kernel: 3 } }, 0);
  assert.deepEqual(activity.memory, [["heap", 11], ["buffers", 22], ["kernel", 33]]);
});
