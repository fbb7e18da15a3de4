import assert from "node:assert/strict";
import fc from "fast-check";
import { EventQueue } from "./event_queue.ts";

Deno.test("an event queue returns items in the order of a sorted list", () => {
  const step = fc.oneof(
    fc.record({ add: fc.integer({ min: 0, max: 50 }) }),
    fc.record({ postpone: fc.integer({ min: 0, max: 50 }) }),
    fc.constant({ take: true }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const queue = new EventQueue<{ dueMs: number }>();
    let list: { dueMs: number }[] = [];
    for (const does of steps) {
      const soonest = list.length === 0 ? Infinity : Math.min(...list.map(({ dueMs }) => dueMs));
      assert.equal(queue.nextMs, soonest);
      assert.equal(queue.size, list.length);
      if ("add" in does) {
        const item = { dueMs: does.add };
        queue.add(item.dueMs, item);
        list.push(item);
      } else if (list.length > 0 && "postpone" in does) {
        const { next } = queue;
        assert.equal(next.dueMs, soonest);
        next.dueMs += does.postpone;
        queue.postpone(next.dueMs);
      } else if (list.length > 0) {
        const taken = queue.take();
        assert.equal(taken.dueMs, soonest);
        list = list.filter((item) => item !== taken);
      }
    }
  }));
});
