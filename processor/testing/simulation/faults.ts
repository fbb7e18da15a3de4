/**
 * Planted faults: sinks, sources and pipelines with errors that somebody once shipped. A simulation that passes with
 * one of them proves nothing.
 * @module
 */
import type { Commit, Position, Sink } from "../../pipeline/commit.ts";
import type { Refusal } from "../../refusal.ts";
import type { Source } from "../../pipeline/source.ts";
import type { MemorySink } from "../fakes/memory.ts";
import type { Parts } from "./instance.ts";
import { down } from "../pipeline_harness.ts";

/** A planted fault and how it shows. */
export interface Fault {
  readonly name: string;
  /** Must match the failure that the simulation reports. */
  readonly breaks: RegExp;
  /** Seed to begin with instead of 0: one that finds a fault which shows in few worlds only. */
  readonly from?: number;
  /** Faulty parts for one simulation. */
  parts(): Parts;
}

/** What the simulation says of wrong positions and counts, of a wrong number of rows, and of wrong rows. */
const POSITIONS =
  /was moved from|was read from|has (next|consumed|stored|duplicates|refused|gaps)|was not delivered|read but not assigned/;
const VISIBLE = /are visible, and the positions say/;
const ROWS = /rows differ|events differ/;

/** Faults in commits, reading and restarts. */
export const FAULTS: readonly Fault[] = [
  {
    name: "a sink that does not check positions",
    breaks: POSITIONS,
    parts: () => ({ database: (memory) => sinkOf(memory, (commit) => memory.commit(fromHere(memory, commit))) }),
  },
  {
    name: "a sink that checks only the first position",
    breaks: POSITIONS,
    parts: () => ({ database: (memory) => sinkOf(memory, (commit) => memory.commit(fromHere(memory, commit, 1))) }),
  },
  {
    name: "rows committed without offsets when the reply is lost",
    breaks: ROWS,
    parts: () => ({
      database: (memory, world) =>
        sinkOf(memory, async (commit) => {
          if (world.mishap(0.1, "fault", true) === null) return await memory.commit(commit);
          const rowsAlone = { ...commit, advances: [], events: null };
          await memory.commit(rowsAlone);
          throw down("the reply");
        }),
    }),
  },
  {
    name: "offsets committed without rows when the reply is lost",
    breaks: ROWS,
    parts: () => ({
      database: (memory, world) =>
        sinkOf(memory, async (commit) => {
          if (world.mishap(0.1, "fault", true) === null) return await memory.commit(commit);
          await memory.commit({ ...commit, deltas: [] });
          throw down("the reply");
        }),
    }),
  },
  {
    name: "a sink that applies half of a commit",
    breaks: ROWS,
    parts: () => ({
      database: (memory, world) =>
        sinkOf(memory, (commit) => {
          const deltas = world.mishap(0.1, "fault", true) !== null
            ? commit.deltas.slice(0, commit.deltas.length / 2)
            : commit.deltas;
          return memory.commit({ ...commit, deltas });
        }),
    }),
  },
  {
    name: "refusals written outside the transaction",
    breaks: VISIBLE,
    parts: () => ({
      database: (memory) =>
        sinkOf(memory, (commit) => {
          memory.refusals.push(...commit.refusals);
          return memory.commit({ ...commit, refusals: [] });
        }),
    }),
  },
  {
    name: "a pipeline that keeps the content of a failed commit",
    breaks: ROWS,
    parts: () => ({
      sink(sink) {
        let kept: Commit["deltas"] = [];
        return sinkOf(sink, async (commit) => {
          kept = [...kept, ...commit.deltas];
          await sink.commit({ ...commit, deltas: kept });
          kept = [];
        });
      },
    }),
  },
  {
    name: "a pipeline that does not seek back after a restart",
    breaks: POSITIONS,
    parts: () => ({
      source(source) {
        let sought = false;
        return sourceOf(source, (offsets, committed) => {
          if (!sought) source.seek(offsets, committed);
          sought = true;
        });
      },
    }),
  },
  {
    name: "offsets stored in the group, apart from the rows",
    breaks: POSITIONS,
    parts() {
      const group = new Map<number, number>();
      const next = (partition: number, position: Position) => ({ ...position, next: group.get(partition) ?? 0 });
      return {
        database: (memory) => sinkOf(memory, (commit) => memory.commit(fromHere(memory, commit))),
        source: (source) =>
          sourceOf(source, (offsets, committed) => source.seek(offsets, committed), async (offsets) => {
            await source.committed(offsets);
            for (const [partition, offset] of offsets) group.set(partition, offset);
          }),
        sink: (sink) =>
          sinkOf(sink, (commit) => sink.commit(commit), async (topic, partitions) => {
            const { adoptions, byPartition } = await sink.positions(topic, partitions);
            const positions = [...byPartition].map(([p, position]) => [p, next(p, position)] as const);
            return { adoptions, byPartition: new Map(positions) };
          }),
      };
    },
  },
  {
    name: "ids forgotten on a restart",
    breaks: POSITIONS,
    parts: () => ({
      sink: (sink) =>
        sinkOf(sink, (commit) => sink.commit(commit), async (topic, partitions) => {
          const { adoptions, byPartition } = await sink.positions(topic, partitions);
          const positions = [...byPartition].map(([p, position]) =>
            [p, { ...position, replay: position.next }] as const
          );
          return { adoptions, byPartition: new Map(positions) };
        }),
    }),
  },
  {
    name: "a watermark moved by refused events",
    breaks: /has watermark/,
    parts: () => ({
      sink: (sink) =>
        sinkOf(sink, ({ advances, ...commit }) => {
          const moved = advances.map((advance) => {
            const times = timesOf(commit.refusals.filter(({ partition }) => partition === advance.partition));
            return { ...advance, watermark: Math.max(advance.watermark ?? 0, ...times) || null };
          });
          return sink.commit({ ...commit, advances: moved });
        }),
    }),
  },
];

/** A sink with another way of committing or of finding positions. */
export function sinkOf(
  sink: Sink,
  commit: Sink["commit"],
  positions: Sink["positions"] = (t, p) => sink.positions(t, p),
): Sink {
  return { hashKey: () => sink.hashKey(), commit, positions, close: () => sink.close() };
}

/** A source with another way of seeking, of committing or of reading. */
export function sourceOf(
  source: Source,
  seek: Source["seek"],
  committed: Source["committed"] = (o) => source.committed(o),
  poll: Source["poll"] = (maxWaitMs) => source.poll(maxWaitMs),
): Source {
  return {
    topic: source.topic,
    assigned: () => source.assigned(),
    topicId: () => source.topicId(),
    seek,
    poll,
    committed,
    close: () => source.close(),
  };
}

/** The commit with positions that match the sink's. */
export function fromHere(memory: MemorySink, commit: Commit, from = 0): Commit {
  const advances = commit.advances.map((advance, n) =>
    n < from ? advance : { ...advance, from: memory.progress.get(advance.partition)?.next ?? null }
  );
  return { ...commit, adoptions: memory.adoptions, advances };
}

const timesOf = (refusals: readonly Refusal[]): number[] =>
  refusals.map(({ payload }) => Number(/"timestamp":(\d+)/.exec(new TextDecoder().decode(payload))?.[1] ?? 0));
