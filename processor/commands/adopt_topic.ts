/**
 * Makes the tables follow the topic that Kafka has now, after it was recreated or truncated.
 * @module
 */
import type { Settings } from "../config/config.ts";
import {
  adopt,
  type Adoption,
  adoptionsOf,
  type Followed,
  followedOf,
  type TopicNow,
} from "../postgres/operations/adopt.ts";
import { currentTopicId } from "../kafka/source.ts";
import { holdOperationLock, retryOnLockTimeout, SHORT_LOCK_TIMEOUT } from "../postgres/locks.ts";
import { clusterOf } from "./cli/cluster.ts";
import { connected } from "./cli/connection.ts";
import { EXIT, WrongUse } from "./cli/exit.ts";
import { boundsOf, truncatedOf } from "../kafka/admin.ts";
import type { Output } from "./cli/progress.ts";
import { withCommas } from "../status/text.ts";
import type { READS } from "./cli/reads.ts";
import { ready } from "../postgres/operations/ready.ts";

/** Whether the operator has agreed. */
export interface AdoptOptions {
  /** Starts without asking. */
  readonly yes: boolean;
  /** Asks on a terminal; returns null if there is none. */
  readonly ask: (question: string) => boolean | null;
}

/**
 * Makes the tables follow the topic that Kafka has now, from its start; without consent it only prints what it would
 * do. Returns the exit code. Safe to repeat: run again after an interruption, it does only what is missing.
 */
export async function adoptTopic(
  { yes, ask }: AdoptOptions,
  settings: Settings<typeof READS.adoptTopic[number]>,
  { print, writeError }: Output,
): Promise<number> {
  return await connected(settings, "adopt-topic", async (db) => {
    if (!await ready(db, writeError)) return EXIT.schema;
    await holdOperationLock(db);
    const now = await topicNow(settings, await followedOf(db, settings.KAFKA_TOPIC));
    const planned = await adoptionsOf(db, now);
    if (planned.length === 0) {
      print(`topic ${now.topic}${idText(now.id)} is the topic that the tables follow; nothing to do`);
      return EXIT.done;
    }
    for (const line of inWords(planned, now)) print(line);
    print("Counted events stay counted. Events that are sent again to the new topic count again.");
    if (!yes && !consent(ask)) {
      print("nothing was changed");
      return EXIT.failed;
    }
    const say = (line: string) => writeError(`${line}\n`);
    const { adoptions, replayed } = await retryOnLockTimeout("block commits", say, () => adopt(db, now));
    if (replayed > 0) {
      print(
        `a replay of ${
          withCommas(replayed)
        } refusals to the former topic was interrupted; Kafka may have them, so they ` +
          "are marked as replayed",
      );
    }
    print(`done: the tables now follow ${adoptions.length} partitions of ${now.topic}. Start the service`);
    return EXIT.done;
  }, SHORT_LOCK_TIMEOUT);
}

function consent(ask: AdoptOptions["ask"]): boolean {
  const answer = ask("Adopt this topic?");
  if (answer !== null) return answer;
  throw new WrongUse("adopt-topic asks before it starts, and there is no terminal: add --yes. Nothing was changed");
}

async function topicNow(
  settings: Settings<typeof READS.adoptTopic[number]>,
  followed: readonly Followed[],
): Promise<TopicNow> {
  const cluster = { ...clusterOf(settings), groupId: null, clientId: "clickstream-adopt-topic" };
  const { topic } = cluster;
  for (let id = await currentTopicId(cluster);;) {
    const partitions = await boundsOf(clusterOf(settings));
    // Offsets of another topic say nothing about this one.
    const committed = new Map(
      followed.filter(({ topicId }) => id === null || topicId === id).map((each) => [each.partition, each]),
    );
    const truncated = await truncatedOf(clusterOf(settings), committed);
    const after = await currentTopicId(cluster);
    // It was recreated meanwhile: the bounds may belong to either topic.
    if (after === id) return { topic, id, partitions, truncated };
    id = after;
  }
}

function inWords(adoptions: readonly Adoption[], now: TopicNow): string[] {
  const [recreated, truncated, gone] = (["recreated", "truncated", "gone"] as const).map((kind) =>
    adoptions.filter((adoption) => adoption.kind === kind)
  );
  const former = recreated!.find(({ formerId }) => formerId !== null)?.formerId ?? null;
  return [
    ...(recreated!.length === 0 ? [] : [
      `topic ${now.topic} was recreated: the tables follow ${former ?? "a topic of unknown id"}, Kafka now has ` +
      `${now.id ?? "a topic without an id"}`,
    ]),
    ...recreated!.map(({ partition, next, from }) =>
      `partition ${partition}: starts at offset ${from} of the new topic` +
      (next === null ? "" : `; the former topic was read up to ${next}`)
    ),
    ...truncated!.map(({ partition, next, from, isExact }) =>
      `partition ${partition}: was truncated; it was read up to ${next}, ` +
      (isExact
        ? `and has lost the records from ${from} on. Reading continues at ${from}, with all records written there since`
        : `and now ends at ${from}. Reading continues at ${from}; records written below ${from} since the truncation are ` +
          "not read, because they cannot be distinguished from counted ones")
    ),
    ...gone!.map(({ partition }) => `partition ${partition}: missing in the new topic`),
  ];
}

function idText(id: string | null): string {
  return id === null ? "" : ` with the id ${id}`;
}
