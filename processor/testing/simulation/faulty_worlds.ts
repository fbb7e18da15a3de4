/**
 * Planted faults: parts that do the wrong thing when the log, the topic or the group changes, or when somebody looks.
 * @module
 */
import { NO_RECORDS } from "../../kafka/unreadable.ts";
import { type Commit, type Committed, Unavailable, Unstorable } from "../../pipeline/commit.ts";
import { TopicChanged } from "../../pipeline/source.ts";
import { lengthOf, type Records } from "../../records.ts";
import { type Fault, fromHere, sinkOf, sourceOf } from "./faults.ts";

const STUCK = /does not finish/;

/** Faults that need more of the world than crashes. */
export const WORLD_FAULTS: readonly Fault[] = [
  {
    name: "a gap without its row",
    breaks: /gaps are visible/,
    parts: () => ({
      database: (memory) =>
        sinkOf(memory, async (commit) => {
          const { length } = memory.gaps;
          await memory.commit(commit);
          memory.gaps.splice(length);
        }),
    }),
  },
  {
    name: "a gap that counts as skipped",
    breaks: /has (skipped|gaps) /,
    parts: () => ({
      source: (source) =>
        reading(source, (records) => ({ ...records, gap: null, skipped: records.skipped + lengthOf(records.gap) })),
    }),
  },
  {
    name: "records that are said to be deleted and are not",
    breaks: /is in a gap, but was not deleted|was not delivered|has (gaps|consumed) /,
    parts() {
      let runs = 0;
      return {
        source: (source) =>
          reading(
            source,
            (records) =>
              records.count === 0 || ++runs % 30 > 0 || records.skipped > 0 || records.gap !== null ? records : {
                ...without(records),
                gap: { from: records.offsets[0]!, to: records.next },
              },
          ),
      };
    },
  },
  {
    name: "a record that counts as skipped",
    breaks: /has (skipped|consumed) /,
    parts() {
      let runs = 0;
      return {
        source: (source) =>
          reading(source, (records) =>
            records.count === 0 || ++runs % 30 > 0 ? records : {
              ...without(records),
              skipped: records.skipped + records.count,
            }),
      };
    },
  },
  {
    name: "ids forgotten after retention has passed the replay offset",
    breaks: /has (stored|duplicates|replay) /,
    parts: () => ({
      source(source) {
        let committed: ReadonlyMap<number, Committed> = new Map();
        const passed = new Set<number>();
        return sourceOf(
          source,
          (offsets, at = new Map()) => {
            committed = at;
            passed.clear();
            source.seek(offsets, at);
          },
          undefined,
          async (maxWaitMs) =>
            (await source.poll(maxWaitMs)).map((records) => {
              const { partition, next, count, skipped } = records;
              if (records.gap !== null) passed.add(partition);
              const isReplayed = next <= (committed.get(partition)?.next ?? 0);
              if (!isReplayed || !passed.has(partition) || count === 0) return records;
              return { ...without(records), skipped: skipped + count };
            }),
        );
      },
    }),
  },
  {
    name: "a damaged batch that is skipped without a word",
    breaks: /has (refused|consumed|skipped) /,
    parts: () => ({
      source: (source) =>
        reading(
          source,
          ({ unreadable, ...records }) =>
            unreadable === undefined ? records : { ...records, skipped: records.skipped + 1 },
        ),
    }),
  },
  {
    name: "a truncated log that is taken for an idle one",
    breaks: /does not finish|the records before it were replaced/,
    parts: () => ({ source: (source) => sourceOf(source, (offsets) => source.seek(offsets)) }),
  },
  {
    name: "a log that was written again after a truncation, and is taken for the one that was read",
    breaks: /the records before it were replaced/,
    from: 728,
    parts: () => ({
      source: (source) =>
        sourceOf(source, (offsets, committed = new Map()) => {
          source.seek(offsets, new Map([...committed].map(([p, { next }]) => [p, { next, leaderEpoch: null }])));
        }),
    }),
  },
  {
    name: "a new leader's earlier end that is taken for a truncated log",
    breaks: /is said to have changed, and has not/,
    from: 125,
    parts: () => ({
      source(source) {
        let committed: ReadonlyMap<number, Committed> = new Map();
        return sourceOf(
          source,
          (offsets, at = new Map()) => source.seek(offsets, committed = at),
          undefined,
          async (maxWaitMs) => {
            const all = await source.poll(maxWaitMs);
            for (const { partition, end } of all) {
              const next = committed.get(partition)?.next ?? 0;
              const { topic } = source;
              if (end >= next) continue;
              throw new TopicChanged({ kind: "truncated", topic, partition, next, end, isOverwritten: false });
            }
            return all;
          },
        );
      },
    }),
  },
  {
    name: "a commit for the former topic that is applied to the new one",
    breaks: /was moved from|was read from|has |does not exist|is in a gap|was not delivered|differ|does not finish/,
    from: 807,
    parts: () => ({
      database: (memory) =>
        sinkOf(memory, (commit) => {
          const isFormer = commit.advances.some(({ partition }) => {
            const followed = memory.progress.get(partition)?.topicId ?? null;
            return followed !== null && commit.topicId !== null && followed !== commit.topicId;
          });
          return memory.commit(isFormer ? { ...fromHere(memory, commit), topicId: null } : commit);
        }),
    }),
  },
  {
    name: "a compare-and-swap that ignores adoptions",
    breaks: /has |is in a gap|was not delivered|does not exist|differ/,
    from: 236,
    parts: () => ({
      database: (memory) => sinkOf(memory, (commit) => memory.commit({ ...commit, adoptions: memory.adoptions })),
    }),
  },
  {
    name: "a pipeline that does not check the id of the topic",
    breaks: /does not finish|is said to have changed/,
    parts: () => ({ source: (source) => ({ ...plain(source), topicId: () => null }) }),
  },
  {
    name: "a zombie's commit that is applied because it goes further",
    breaks: /was moved from|has (next|consumed|stored)|was not delivered|visible/,
    parts: () => ({
      database: (memory) =>
        sinkOf(memory, (commit) => {
          const goesOn = commit.advances.every(({ partition, next, from }) =>
            from !== null && next > (memory.progress.get(partition)?.next ?? Infinity)
          );
          return memory.commit(goesOn ? fromHere(memory, commit) : commit);
        }),
    }),
  },
  {
    name: "rows that are visible before their offsets",
    breaks: /visible|differ/,
    parts: () => ({
      database: (memory, world) =>
        sinkOf(memory, async (commit) => {
          memory.mustFollow(commit);
          await memory.commit({ ...commit, advances: [] });
          await world.turn(null);
          await memory.commit({ ...commit, deltas: [], events: null, refusals: [] });
        }),
    }),
  },
  {
    name: "offsets that are visible before their rows",
    breaks: /visible|differ/,
    parts: () => ({
      database: (memory, world) =>
        sinkOf(memory, async (commit) => {
          await memory.commit({ ...commit, deltas: [], events: null, refusals: [] });
          await world.turn(null);
          await memory.commit({ ...commit, advances: [] });
        }),
    }),
  },
  {
    name: "sessions that are visible before the rest of their commit",
    breaks: /rows differ/,
    parts: () => ({
      database: (memory, world) =>
        sinkOf(memory, async (commit) => {
          const isSession = ({ view }: Commit["deltas"][number]) => view.window.kind === "session";
          memory.mustFollow(commit);
          await memory.commit({
            ...{ ...commit, advances: [], events: null, refusals: [] },
            deltas: commit.deltas.filter(isSession),
          });
          await world.turn(null);
          await memory.commit({ ...commit, deltas: commit.deltas.filter((delta) => !isSession(delta)) });
        }),
    }),
  },
  {
    name: "a commit without a reply that is made again from where the sink is now",
    breaks: /was moved from|has (next|consumed)|visible/,
    parts: () => ({
      sink: (sink) =>
        sinkOf(sink, async (commit) => {
          try {
            await sink.commit(commit);
          } catch (error) {
            if (!(error instanceof Unavailable)) throw error;
            const { adoptions, byPartition } = await sink.positions(
              commit.topic,
              commit.advances.map(({ partition }) => partition),
            );
            const advances = commit.advances.map((advance) => {
              const from = byPartition.get(advance.partition)?.next ?? null;
              return { ...advance, from };
            });
            await sink.commit({ ...commit, adoptions, advances });
          }
        }),
    }),
  },
  {
    name: "a commit with poison that is taken for applied",
    breaks: STUCK,
    parts: () => ({
      sink: (sink) =>
        sinkOf(sink, async (commit) => {
          try {
            await sink.commit(commit);
          } catch (error) {
            if (!(error instanceof Unstorable)) throw error;
          }
        }),
    }),
  },
  {
    name: "added partitions that nobody reads",
    breaks: STUCK,
    parts() {
      let first: number | null = null;
      return {
        source: (source) => ({
          ...plain(source),
          async assigned() {
            const partitions = await source.assigned();
            first ??= Math.max(-1, ...partitions);
            return partitions.filter((partition) => partition <= first!);
          },
        }),
      };
    },
  },
];

type Read = Parameters<typeof sourceOf>[0];

/** A source with changed records. */
function reading(source: Read, change: (records: Records) => Records): Read {
  return sourceOf(
    source,
    (offsets, committed) => source.seek(offsets, committed),
    undefined,
    async (maxWaitMs) => (await source.poll(maxWaitMs)).map(change),
  );
}

/** A source without any change, as an object of its own. */
function plain(source: Read): Read {
  return sourceOf(source, (offsets, committed) => source.seek(offsets, committed));
}

/** A run without its records. */
function without(records: Records): Records {
  return { ...records, ...NO_RECORDS };
}
