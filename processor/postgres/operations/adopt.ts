/**
 * The log that Kafka has now, in the place of the one that `progress` follows: a topic that was recreated, or a partition
 * that ends before what was read of it.
 * @module
 */
import type { Database } from "../database.ts";

/** The topic as Kafka has it. */
export interface TopicNow {
  readonly topic: string;
  /** Null where topics have no ids. */
  readonly id: string | null;
  readonly partitions: readonly { readonly partition: number; readonly begin: number; readonly end: number }[];
}

/** What is done with a partition. */
export interface Adoption {
  readonly partition: number;
  /** `recreated` begins at the log's beginning, `truncated` at its end now; `gone` is in the topic no more. */
  readonly kind: "recreated" | "truncated" | "gone";
  /** Kafka's id of the topic that was followed; null where it is not known. */
  readonly formerId: string | null;
  /** First offset of the former log that had not been taken in; null where nothing of it had been. */
  readonly next: number | null;
  /** Where taking in begins anew; null for a partition that is gone. */
  readonly from: number | null;
}

/** What was done. */
export interface Adopted {
  readonly adoptions: readonly Adoption[];
  /** Refusals that may have been sent back into the former topic; they are marked as sent. */
  readonly replayed: number;
}

interface Row {
  readonly partition: number;
  readonly topic_id: string | null;
  readonly next: string;
}

/** A user is being forgotten: that has to come to its end first, for it goes by offsets of the former log. */
export class ForgettingUnfinished extends Error {
  override readonly name = "ForgettingUnfinished";
}

/** What has to be done so that `progress` follows the topic that Kafka has now; nothing if it does. Changes nothing. */
export async function adoptionsOf(db: Database, now: TopicNow): Promise<readonly Adoption[]> {
  const { rows } = await db.query<Row>(
    `select partition, coalesce(topic_id, max(topic_id) over ()) as topic_id, next_offset::text as next
       from clickstream.progress where topic = $1::text order by partition`,
    [now.topic],
  );
  const known = new Map(rows.map((row) => [row.partition, row]));
  const adoptions = rows.flatMap((row) => adoptionOf(row, now));
  const former = adoptions.find(({ kind }) => kind === "recreated")?.formerId;
  if (former === undefined) return adoptions;
  // Of the others nothing had been taken in: with a row of the new topic nobody begins them for the former one.
  const unread = now.partitions.filter(({ partition }) => !known.has(partition)).map(({ partition, begin }) => ({
    ...{ partition, kind: "recreated" as const, formerId: former, next: null, from: begin },
  }));
  return [...adoptions, ...unread].sort((a, b) => a.partition - b.partition);
}

function adoptionOf({ partition, topic_id: formerId, next: text }: Row, now: TopicNow): Adoption[] {
  const next = Number(text);
  const log = now.partitions.find((each) => each.partition === partition);
  if (log === undefined) return [{ partition, kind: "gone", formerId, next, from: null }];
  // Where ids are not known, a log that ends too early is most likely another topic's.
  const isAnother = formerId === null || now.id === null ? next > log.end : formerId !== now.id;
  if (isAnother) return [{ partition, kind: "recreated", formerId, next, from: log.begin }];
  return next > log.end ? [{ partition, kind: "truncated", formerId, next, from: log.end }] : [];
}

/**
 * Does it, in one transaction that no commit is under way beside. Done again, it finds nothing to do. The former rows of
 * `progress` go to `former_progress`; refusals and gaps of the former log are marked so, for the new one has the same
 * offsets again; and what users were forgotten of the former log is not looked for in the new one.
 *
 * @throws {ForgettingUnfinished} having changed nothing
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
 * Of a replay that was killed nobody can say any more whether the former topic had its refusals: each is sent at most
 * once, so they are marked. Returns how many.
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

/** What users were forgotten of the former log is not looked for in what is new at the same offsets. */
async function forgetNoNewOnes(tx: Database, topic: string, adoptions: readonly Adoption[]): Promise<void> {
  // Of a log that was truncated, what lies before its end now is still there.
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
    `${n} users are not forgotten to the end, which goes by offsets of the former log. Nothing was changed. Run ` +
      "`clickstream forget … --yes` again for them, then this command",
  );
}
