/**
 * Makes `progress` follow the log that Kafka has now, after a topic was recreated, or after a partition lost records
 * that had been read.
 * @module
 */
import type { Committed } from "../../pipeline/commit.ts";
import type { Database } from "../database.ts";

/** The topic as Kafka has it. */
export interface TopicNow {
  readonly topic: string;
  /** Null where topics have no ids. */
  readonly id: string | null;
  readonly partitions: readonly { readonly partition: number; readonly begin: number; readonly end: number }[];
  /**
   * In each partition that no longer has the record that was committed last, the first offset that differs from what was
   * read; null if it is unknown. A log that ends too early need not be among them.
   */
  readonly truncated: ReadonlyMap<number, number | null>;
}

/** What adopting the topic does with a partition. */
export interface Adoption {
  readonly partition: number;
  /**
   * `recreated` starts at the beginning of the log, `truncated` at the first record that was not read, or at its present
   * end where that is unknown; `gone` left the topic.
   */
  readonly kind: "recreated" | "truncated" | "gone";
  /** Kafka's id of the former topic; null if it is not known. */
  readonly formerId: string | null;
  /** Next offset in the former log; null if nothing of it was committed. */
  readonly next: number | null;
  /** Offset to start from in the new log; null for a partition that is gone. */
  readonly from: number | null;
  /** False if records before `from` may not have been read, because it is unknown which of them are new. */
  readonly isExact: boolean;
}

/** What was done. */
export interface Adopted {
  readonly adoptions: readonly Adoption[];
  /** Number of refusals that may have been sent back into the former topic; they are marked as sent. */
  readonly replayed: number;
}

/** Where `progress` stands in a partition, and by which topic's offsets. */
export interface Followed extends Committed {
  readonly partition: number;
  readonly topicId: string | null;
}

/** A user is not completely forgotten yet. That must end first, because it uses offsets of the former log. */
export class ForgettingUnfinished extends Error {
  override readonly name = "ForgettingUnfinished";
}

/** What must be done so that `progress` follows the topic that Kafka has now; empty if it does. Changes nothing. */
export async function adoptionsOf(db: Database, now: TopicNow): Promise<readonly Adoption[]> {
  return adoptionsFor(await followedOf(db, now.topic), now);
}

/** What `progress` holds of a topic, by partition. */
export async function followedOf(db: Database, topic: string): Promise<readonly Followed[]> {
  const { rows } = await db.query<
    { partition: number; topic_id: string | null; next: string; leader_epoch: number | null }
  >(
    `select partition, coalesce(topic_id, max(topic_id) over ()) as topic_id, next_offset::text as next, leader_epoch
       from clickstream.progress where topic = $1::text order by partition`,
    [topic],
  );
  return rows.map(({ partition, topic_id: topicId, next, leader_epoch: leaderEpoch }) => (
    { partition, topicId, next: Number(next), leaderEpoch }
  ));
}

/** The same for what `progress` holds of the topic. */
export function adoptionsFor(rows: readonly Followed[], now: TopicNow): readonly Adoption[] {
  const known = new Map(rows.map((row) => [row.partition, row]));
  const adoptions = rows.flatMap((row) => adoptionOf(row, now));
  const former = adoptions.find(({ kind }) => kind === "recreated")?.formerId;
  if (former === undefined) return adoptions;
  // Partitions without a row get one with the new topic's id, so that no instance starts them for the former topic.
  const unread = now.partitions.filter(({ partition }) => !known.has(partition)).map(({ partition, begin }) => ({
    ...{ partition, kind: "recreated" as const, formerId: former, next: null, from: begin, isExact: true },
  }));
  return [...adoptions, ...unread].sort((a, b) => a.partition - b.partition);
}

function adoptionOf({ partition, topicId: formerId, next }: Followed, now: TopicNow): Adoption[] {
  const log = now.partitions.find((each) => each.partition === partition);
  if (log === undefined) return [{ partition, kind: "gone", formerId, next, from: null, isExact: true }];
  // If an id is not known, a log that ends too early most likely belongs to another topic.
  const isAnother = formerId === null || now.id === null ? next > log.end : formerId !== now.id;
  if (isAnother) return [{ partition, kind: "recreated", formerId, next, from: log.begin, isExact: true }];
  const lost = now.truncated.get(partition);
  const kind = "truncated";
  // Unless it was committed again meanwhile.
  if (lost != null && lost < next) return [{ partition, kind, formerId, next, from: lost, isExact: true }];
  if (next <= log.end && lost !== null) return [];
  return [{ partition, kind, formerId, next, from: log.end, isExact: false }];
}

/**
 * Applies `adoptionsOf` in one transaction, while no commit is in flight. A second run finds nothing to do. The former
 * rows of `progress` move to `former_progress`, which only grows: by its number of rows, the sink tells commits from before
 * an adoption from those after it. Refusals and gaps of the former log are marked `former`, because the
 * new log uses the same offsets again. Users who were forgotten in the former log are not searched for in the new one.
 *
 * @throws {ForgettingUnfinished} and changes nothing
 */
export async function adopt(db: Database, now: TopicNow): Promise<Adopted> {
  return await db.transaction(async (tx) => {
    await tx.exec("lock table clickstream.progress in exclusive mode");
    const adoptions = await adoptionsOf(tx, now);
    if (adoptions.length === 0) return { adoptions, replayed: 0 };
    await mustHaveForgotten(tx, now.topic);
    const partitions = `{${adoptions.map(({ partition }) => partition).join(",")}}`;
    const columns = `topic, partition, topic_id, first_offset, next_offset, watermark, consumed, stored, duplicates,
      refused, skipped, gaps, committed_at, committed_by`;
    const here = "topic = $1::text and partition = any ($2::integer[])";
    await tx.query(
      `insert into clickstream.former_progress (${columns}) select ${columns} from clickstream.progress where ${here}`,
      [now.topic, partitions],
    );
    await tx.query(`delete from clickstream.progress where ${here}`, [now.topic, partitions]);
    const begun = adoptions.filter(({ from }) => from !== null);
    await tx.query(
      `insert into clickstream.progress (topic, topic_id, partition, first_offset, next_offset, replay_offset, committed_by)
       select $1::text, $2::text, a.partition, a.begins, a.begins, a.begins, 'adopt-topic'
         from unnest($3::integer[], $4::bigint[]) as a(partition, begins)`,
      [
        ...[now.topic, now.id, `{${begun.map(({ partition }) => partition).join(",")}}`],
        `{${begun.map(({ from }) => from).join(",")}}`,
      ],
    );
    const replayed = await endReplays(tx, now.topic);
    for (const table of ["refusals", "gaps"]) {
      await tx.query(`update clickstream.${table} set former = true where ${here} and not former`, [
        now.topic,
        partitions,
      ]);
    }
    await forgetNoNewOnes(tx, now.topic, adoptions);
    return { adoptions, replayed };
  });
}

/**
 * Marks the refusals of a killed replay as sent: it is no longer possible to know whether the former topic received
 * them, and each is sent at most once. Returns how many were marked.
 */
async function endReplays(tx: Database, topic: string): Promise<number> {
  const { rowCount } = await tx.query(
    `update clickstream.refusals r set replayed_at = now() from clickstream.replays n
      where n.done_at is null and r.id = any (n.refusals) and r.topic = $1::text and r.replayed_at is null`,
    [topic],
  );
  await tx.query("update clickstream.replays set done_at = now() where done_at is null");
  return rowCount;
}

/** Keeps forgettings of the former log from erasing new records at the same offsets. */
async function forgetNoNewOnes(tx: Database, topic: string, adoptions: readonly Adoption[]): Promise<void> {
  // A truncated log still has its records before that.
  const limits = adoptions.map(({ kind, from }) => kind === "truncated" ? from! : 0);
  await tx.query(
    `update clickstream.forgotten f
        set below = array(
              select least(v.below, a.below)
                from unnest(f.partitions, f.below) with ordinality as v(partition, below, n)
                left join unnest($2::integer[], $3::bigint[]) as a(partition, below) using (partition)
               order by v.n)
      where f.topic = $1::text`,
    [topic, `{${adoptions.map(({ partition }) => partition).join(",")}}`, `{${limits.join(",")}}`],
  );
}

async function mustHaveForgotten(tx: Database, topic: string): Promise<void> {
  const { rows } = await tx.query<{ n: number }>(
    "select count(*)::int as n from clickstream.forgotten where topic = $1::text and done_at is null",
    [topic],
  );
  const { n } = rows[0]!;
  if (n === 0) return;
  throw new ForgettingUnfinished(
    `${n} users are not completely forgotten, which needs offsets of the former log. Nothing was changed. Run ` +
      "`clickstream forget … --yes` again for them, then this command",
  );
}
