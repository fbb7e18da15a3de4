/**
 * Erases one user.
 * @module
 */
import type { Settings } from "../config/config.ts";
import { finishForgetting, foundOf, noteForgotten, type OfUser } from "../postgres/operations/forget.ts";
import { isOfUsers } from "../postgres/erase.ts";
import { VIEWS } from "../views/mod.ts";
import { holdOperationLock, retryOnLockTimeout, SHORT_LOCK_TIMEOUT } from "../postgres/locks.ts";
import { clusterOf } from "./cli/cluster.ts";
import { connected } from "./cli/connection.ts";
import { EXIT } from "./cli/exit.ts";
import { boundsOf } from "../kafka/admin.ts";
import type { Output } from "./cli/progress.ts";
import { withCommas } from "../status/text.ts";
import type { READS } from "./cli/reads.ts";
import { ready } from "../postgres/operations/ready.ts";

/**
 * Erases a user from all tables except anonymous counts; without `yes` it only prints what it would erase. Returns the
 * exit code. Run again after an interruption, it continues.
 */
export async function forget(
  { user, yes }: { readonly user: string; readonly yes: boolean },
  settings: Settings<typeof READS.forget[number]>,
  { print, writeError }: Output,
): Promise<number> {
  return await connected(settings, "forget", async (db) => {
    if (!await ready(db, writeError)) return EXIT.schema;
    const topic = settings.KAFKA_TOPIC;
    if (!yes) {
      print(`user ${JSON.stringify(user)} has ${inWords(await foundOf(db, topic, user))}`);
      print("nothing was erased; add --yes to erase this for good");
      return EXIT.done;
    }
    await holdOperationLock(db);
    const say = (line: string) => writeError(`${line}\n`);
    const ends = new Map((await boundsOf(clusterOf(settings))).map(({ partition, end }) => [partition, end]));
    const rows = await retryOnLockTimeout("block commits", say, () => noteForgotten(db, topic, user, ends));
    const logged = await finishForgetting(db, topic, user, say);
    const all = { rows: rows.rows, refusals: logged.refusals, events: rows.events + logged.events };
    print(`erased ${inWords(all)} of user ${JSON.stringify(user)}`);
    const anonymous = VIEWS.filter((view) => !isOfUsers(view)).map(({ name }) => name).join(", ");
    print(`counts in ${anonymous} stay; the user's events that Kafka still holds are not stored again`);
    return EXIT.done;
  }, SHORT_LOCK_TIMEOUT);
}

function inWords({ events, rows, refusals }: OfUser): string {
  const counts = { events, ...rows, "refused records": refusals };
  return Object.entries(counts).map(([what, count]) => `${withCommas(count)} ${what.replaceAll("_", " ")}`).join(", ");
}
