/**
 * Adopts a topic in the database in memory, as `adopt-topic` does it in a real one.
 * @module
 */
import { type Adoption, adoptionsFor, type TopicNow } from "../../postgres/operations/adopt.ts";
import type { MemorySink } from "../fakes/memory.ts";

/** Makes a database in memory follow the topic that Kafka has now; returns what changed. */
export function adoptInMemory(sink: MemorySink, now: TopicNow): readonly Adoption[] {
  const positions = [...sink.progress].sort(([a], [b]) => a - b);
  // A partition without a topic id has that of the others.
  const known = positions.map(([, { topicId }]) => topicId).filter((id) => id !== null).sort().at(-1) ?? null;
  const rows = positions.map(([partition, { next, leaderEpoch, topicId }]) => (
    { partition, next, leaderEpoch, topicId: topicId ?? known }
  ));
  const adoptions = adoptionsFor(rows, now);
  sink.adopt(adoptions, now.id);
  return adoptions;
}
