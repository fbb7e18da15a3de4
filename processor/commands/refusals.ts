/**
 * Lists, shows and replays refusals.
 * @module
 */
import type { Settings } from "../config/config.ts";
import { jsonLine, visible } from "../config/visible.ts";
import type { Database } from "../postgres/database.ts";
import { holdOperationLock } from "../postgres/locks.ts";
import {
  countPartial,
  countRefusals,
  lastRefusal,
  markReplayed,
  type NotedReplay,
  noteReplay,
  type RefusalFilter,
  type RefusalRow,
  refusalsIn,
  replayable,
  stillToSend,
  unfinishedReplay,
} from "../postgres/operations/refusals.ts";
import { printable, table, withCommas } from "../status/text.ts";
import { clusterOf } from "./cli/cluster.ts";
import { connected, type DatabaseSettings } from "./cli/connection.ts";
import { EXIT } from "./cli/exit.ts";
import { judge } from "./judge.ts";
import { type Output, Progress } from "./cli/progress.ts";
import type { READS } from "./cli/reads.ts";
import { Resender, type Resent } from "../kafka/resend.ts";
import { ready } from "../postgres/operations/ready.ts";

/** Which refusals to list, and how. */
export interface ListOptions {
  readonly filter: RefusalFilter;
  readonly limit: number;
  readonly json: boolean;
}

/** Lists refusals, newest first; returns the exit code. */
export async function listRefusals(
  { filter, limit, json }: ListOptions,
  settings: DatabaseSettings,
  { print, writeError }: Output,
): Promise<number> {
  return await connected(settings, "refusals list", async (db) => {
    if (!await ready(db, writeError)) return EXIT.schema;
    const rows = await refusalsIn(db, filter, { limit, payloadBytes: json ? 64 * 1024 : 60 });
    if (json) rows.forEach((row) => print(jsonLine(asJson(row))));
    else {
      const total = await countRefusals(db, filter);
      const cells = rows.map((row) => [
        ...[row.id, row.refused_at, row.reason, row.field ?? "", `${row.partition}/${row.offset}`],
        ...[row.replayed_at === null ? "" : "replayed", row.payload === null ? "(erased)" : printable(row.payload)],
      ]);
      if (rows.length > 0) {
        const heads = ["id", "refused at", "reason", "field", "partition/offset", "", "payload"];
        table(heads, cells).forEach((line) => print(line));
      }
      print(`${withCommas(rows.length)} of ${withCommas(total)} refusals shown`);
    }
    return EXIT.done;
  });
}

/** Shows one refusal with its payload; returns the exit code. */
export async function showRefusal(
  { id, json }: { readonly id: string; readonly json: boolean },
  settings: DatabaseSettings,
  { print, writeError }: Output,
): Promise<number> {
  return await connected(settings, "refusals show", async (db) => {
    if (!await ready(db, writeError)) return EXIT.schema;
    const [row] = await refusalsIn(db, { ids: [id] }, { limit: 1, payloadBytes: 64 * 1024 });
    if (row === undefined) {
      throw new Error(`there is no refusal ${id}; \`clickstream refusals list\` lists them`);
    }
    if (json) print(jsonLine(asJson(row)));
    else {
      const { payload, ...rest } = row;
      const shownPayload = payload === null ? "(erased with its user)" : `${payload.length} bytes:`;
      const fields = Object.entries({ ...rest, payload: shownPayload });
      for (const line of table(null, fields.map(([name, value]) => [name, visible(String(value ?? "-"))]))) print(line);
      if (payload !== null) print(printable(payload));
      if (row.reason === "unreadable_batch") {
        print("An unreadable batch cannot be replayed: send its records again from their origin.");
      }
    }
    return EXIT.done;
  });
}

/** The row for JSON: the payload as text if it is UTF-8, otherwise in base 64. */
function asJson({ payload, ...row }: RefusalRow): Record<string, unknown> {
  if (payload === null) return { ...row, payload: null };
  try {
    return { ...row, payload: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload) };
  } catch {
    return { ...row, payload_base64: payload.toBase64() };
  }
}

/** Which refusals to replay, and whether only those that would be accepted now. */
export interface ReplayOptions {
  readonly filter: RefusalFilter;
  readonly ifAccepted: boolean;
}

/** Number of refusals in one transaction. */
const BATCH = 200;

/**
 * Sends refused records to the topic again, to their own partitions, each exactly once. A note in PostgreSQL lists the
 * records of a batch before it is sent; the Kafka transaction stores the number of the note. After a kill, the next run
 * compares the numbers, and marks the batch as replayed or sends it. Returns the exit code.
 */
export async function replayRefusals(
  { filter, ifAccepted }: ReplayOptions,
  settings: Settings<typeof READS.replay[number]>,
  output: Output,
): Promise<number> {
  return await connected(settings, "refusals replay", async (db) => {
    if (!await ready(db, output.writeError)) return EXIT.schema;
    await holdOperationLock(db);
    const resender = await Resender.open({ ...clusterOf(settings), name: `${settings.KAFKA_GROUP_ID}-replay` });
    try {
      const refusalOf = judge(settings.EVENTS_KEEP_DAYS);
      const accepted = ({ payload }: RefusalRow) => !ifAccepted || refusalOf(payload!) === null;
      const { sent, left } = await replayAll(db, resender, settings.KAFKA_TOPIC, filter, accepted, output);
      output.print(`replayed ${withCommas(sent)} refused records into topic ${settings.KAFKA_TOPIC}`);
      if (left > 0) output.print(`${withCommas(left)} would be refused again and were not replayed`);
      const partial = await countPartial(db, settings.KAFKA_TOPIC, filter);
      if (partial > 0) {
        output.print(`${withCommas(partial)} cannot be replayed: only the beginning of their payload is kept`);
      }
      return EXIT.done;
    } finally {
      await resender.close();
    }
  });
}

async function replayAll(
  db: Database,
  resender: Resender,
  topic: string,
  filter: RefusalFilter,
  accepted: (row: RefusalRow) => boolean,
  output: Output,
): Promise<{ readonly sent: number; readonly left: number }> {
  const progress = new Progress(output);
  let sent = await finishLast(db, resender, output);
  let left = 0;
  const until = await lastRefusal(db);
  for (let after = "0";;) {
    const rows = await replayable(db, topic, filter, { after, until, limit: BATCH });
    if (rows.length === 0) return { sent, left };
    after = rows.at(-1)!.id;
    const wanted = rows.filter(accepted);
    left += rows.length - wanted.length;
    if (wanted.length === 0) continue;
    const noted = { id: randomNumber(), refusals: wanted.map(({ id }) => id) };
    await noteReplay(db, noted);
    sent += await finish(db, resender, noted);
    progress.at(sent);
  }
}

/** Finishes the last batch of a replay that was killed; returns the number of refusals that it marked. */
async function finishLast(db: Database, resender: Resender, { writeError }: Output): Promise<number> {
  const noted = await unfinishedReplay(db);
  if (noted === null) return 0;
  writeError(`finishing an interrupted replay of ${noted.refusals.length} refusals\n`);
  if (await resender.last() === noted.id) return await markReplayed(db, noted.id, noted.refusals);
  return await finish(db, resender, noted);
}

async function finish(db: Database, resender: Resender, { id, refusals }: NotedReplay): Promise<number> {
  // Refusals that were erased since the note are missing.
  const rows = await stillToSend(db, refusals);
  const messages = rows.map(({ partition, payload }): Resent => ({
    partition,
    key: userIn(payload!),
    value: payload!,
  }));
  await resender.send(messages, id);
  return await markReplayed(db, id, rows.map(({ id }) => id));
}

/** The userId of a record, or null if it cannot be read. */
function userIn(payload: Uint8Array): string | null {
  try {
    const { userId } = JSON.parse(new TextDecoder().decode(payload));
    return typeof userId === "string" ? userId : null;
  } catch {
    return null;
  }
}

/** A random number of 52 bits, so that no two notes share one. */
function randomNumber(): string {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return String((high! >>> 12) * 2 ** 32 + low!);
}
