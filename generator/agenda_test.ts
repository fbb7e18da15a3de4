import assert from "node:assert/strict";
import fc from "fast-check";
import { Agenda } from "./agenda.ts";

Deno.test("an agenda gives what is soonest, as a sorted list does", () => {
  const step = fc.oneof(
    fc.record({ add: fc.integer({ min: 0, max: 50 }) }),
    fc.record({ postpone: fc.integer({ min: 0, max: 50 }) }),
    fc.constant({ take: true }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const agenda = new Agenda<{ dueMs: number }>();
    let list: { dueMs: number }[] = [];
    for (const does of steps) {
      const soonest = list.length === 0 ? Infinity : Math.min(...list.map(({ dueMs }) => dueMs));
      assert.equal(agenda.nextMs, soonest);
      assert.equal(agenda.size, list.length);
      if ("add" in does) {
        const item = { dueMs: does.add };
        agenda.add(item.dueMs, item);
        list.push(item);
      } else if (list.length > 0 && "postpone" in does) {
        const { next } = agenda;
        assert.equal(next.dueMs, soonest);
        next.dueMs += does.postpone;
        agenda.postpone(next.dueMs);
      } else if (list.length > 0) {
        const taken = agenda.take();
        assert.equal(taken.dueMs, soonest);
        list = list.filter((item) => item !== taken);
      }
    }
  }));
});
