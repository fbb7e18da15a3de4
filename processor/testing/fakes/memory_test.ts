import { VIEWS } from "../../views/mod.ts";
import { MemorySink } from "./memory.ts";
import { adoptInMemory } from "../contracts/adoption.ts";
import { sinkContract } from "../contracts/sink_contract.ts";

sinkContract("memory sink", () => {
  const sink = new MemorySink();
  return Promise.resolve({
    sink,
    rows: (view) => Promise.resolve(sink.rows(VIEWS.find(({ name }) => name === view)!)),
    totals: () => {
      const totals = { consumed: 0, stored: 0, duplicates: 0, refused: 0 };
      for (const progress of sink.progress.values()) {
        for (const name of Object.keys(totals) as (keyof typeof totals)[]) totals[name] += progress[name];
      }
      return Promise.resolve(totals);
    },
    refusals: () => Promise.resolve(sink.refusals),
    gaps: () => Promise.resolve(sink.gaps),
    events: () => Promise.resolve([...sink.events].sort()),
    adopt: (now) => Promise.resolve(adoptInMemory(sink, now)),
    close: () => sink.close(),
  });
});
