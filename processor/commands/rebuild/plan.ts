/**
 * Plans a rebuild: what is computed again, by which settings, and from where in the log.
 * @module
 */
import { createHash } from "node:crypto";
import type { Settings } from "../../config/config.ts";
import type { Rate } from "../../currency.ts";
import { currencyInWords, currencyUsed, hasRevenueBefore } from "../../postgres/currency.ts";
import type { Database } from "../../postgres/database.ts";
import { daysInUse, dayStart, nameInPostgres, nextDayStart } from "../../postgres/time_zone.ts";
import { adoptionsSoFar, latestFormer, positionsOf, topicIdOf } from "../../postgres/operations/progress.ts";
import {
  type Plan,
  type PlannedDays,
  type Reach,
  type Start,
  timesToRead,
} from "../../postgres/operations/rebuild_plan.ts";
import { replayedPlaces } from "../../postgres/operations/refusals.ts";
import { mergesInSql } from "../../postgres/dialect.ts";
import { VERSION } from "../../version.ts";
import { userDays } from "../../views/user_days.ts";
import { DAY_MS, type View } from "../../views/view.ts";
import { clusterOf } from "../cli/cluster.ts";
import { WrongUse } from "../cli/exit.ts";
import { beginningOf, boundsOf, offsetsAt } from "../../kafka/admin.ts";
import type { READS } from "../cli/reads.ts";

/** Settings of a rebuild. */
export type RebuildSettings = Settings<typeof READS.rebuild[number]>;

/** What is computed again, and the rates by which purchases are converted. */
export interface Rebuilt {
  readonly views: readonly View[];
  readonly rates: readonly Rate[];
}

/** The UTC day of a time. */
export function dayText(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}

/**
 * What changes for revenue if it gets another currency, in lines.
 *
 * @throws {WrongUse} if revenue before that day would stay in the other currency
 */
export async function currencyChange(db: Database, currency: string | null, day: string): Promise<string[]> {
  const used = await currencyUsed(db);
  if (used === currency) return [];
  const isLeft = await hasRevenueBefore(db, day);
  if (used !== null && isLeft) {
    throw new WrongUse(
      `CURRENCY is ${currencyInWords(currency)}, and revenue before ${day} would stay in ${used}. ` +
        `Choose an earlier --from, if the log reaches back so far, or set CURRENCY=${used}; nothing was changed`,
    );
  }
  return [
    `revenue will be in ${currency ?? "the currencies of the purchases, without conversion"}` +
    (isLeft ? `; before ${day} it stays as it was, without conversion` : ""),
  ];
}

/** Tells rates from any others. */
function digestOf(rates: readonly Rate[]): string {
  return createHash("sha256").update(JSON.stringify(rates)).digest("hex");
}

/** Begins at the UTC midnight before the shop's day that contains `timeMs`, so that this day is rebuilt as a whole. */
export async function planOf(
  db: Database,
  { timeMs, views, rates, isWhole }: Rebuilt & { readonly timeMs: number; readonly isWhole: boolean },
  settings: RebuildSettings,
): Promise<Plan> {
  const fromMs = Math.floor(await dayStart(db, timeMs) / DAY_MS) * DAY_MS;
  const adoptions = await adoptionsSoFar(db, settings.KAFKA_TOPIC);
  return {
    topic: settings.KAFKA_TOPIC,
    topicId: await topicIdOf(db, settings.KAFKA_TOPIC),
    adoptions,
    fromMs,
    version: VERSION,
    views: views.map(({ name }) => name),
    declared: settings.VIEWS_FILE?.hash ?? "",
    isWhole,
    keepDays: settings.EVENTS_KEEP_DAYS,
    storeEvents: settings.STORE_EVENTS && isWhole,
    hashRoutes: settings.HASH_ROUTES,
    siteHosts: settings.SITE_HOSTS ?? [],
    money: settings.CURRENCY === null ? null : { currency: settings.CURRENCY, rates: digestOf(rates) },
    days: await plannedDays(db, { fromMs, views, isWhole, isOneLog: adoptions === 0 }, settings.TIME_ZONE),
    layout: 5,
    replayed: await replayedPlaces(db, settings.KAFKA_TOPIC),
  };
}

/** What days are counted by. */
interface ForDays {
  readonly fromMs: number;
  readonly views: readonly View[];
  readonly isWhole: boolean;
  /** False if some rows may be of a log that is gone, and have to stay. */
  readonly isOneLog: boolean;
}

async function plannedDays(
  db: Database,
  { fromMs, views, isWhole, isOneLog }: ForDays,
  asked: string | null,
): Promise<PlannedDays> {
  const { zone: former, sinceMs: changedMs, first } = await daysInUse(db);
  const zone = asked === null ? former : await nameInPostgres(db, asked);
  const sinceMs = await nextDayStart(db, fromMs);
  const byDay = views.filter(({ window }) => window.kind === "day");
  const hasDays = isWhole && byDay.some(({ name }) => name === userDays.name);
  if (zone !== former && !hasDays) {
    throw new WrongUse(
      `TIME_ZONE is ${zone}, and the tables have days of ${former}: to change them, VIEWS must have user_days, and --view ` +
        "cannot be used",
    );
  }
  // A day begins up to 14 hours before its date begins in UTC.
  const areAll = hasDays && isOneLog && (first === null || Date.parse(first) - DAY_MS > sinceMs);
  const inMemory = byDay.find(({ measures }) => !Object.values(measures).every(mergesInSql));
  if (zone !== former && !areAll && inMemory !== undefined) {
    throw new WrongUse(
      `TIME_ZONE is ${zone}, and ${inMemory.name} has days of ${former} with distinct users, which cannot be added to ` +
        "those of another zone. Choose a --from before all events; nothing was changed",
    );
  }
  // The last day of an earlier zone and the first ones of this zone may have the same dates.
  if (!areAll && changedMs !== null && sinceMs < changedMs + 2 * DAY_MS) {
    throw new WrongUse(
      `a rebuild from ${dayText(fromMs)} would replace days of ${former} beside days of another time zone, which an ` +
        `earlier rebuild left before ${new Date(changedMs).toISOString()}. Choose a --from three days after that, or ` +
        "one before all events; nothing was changed",
    );
  }
  return { zone, former, sinceMs, areAll };
}

/** Where to start in each partition. */
export async function chosenReach(
  db: Database,
  plan: Plan,
  views: readonly View[],
  settings: RebuildSettings,
): Promise<Reach> {
  const cluster = clusterOf(settings);
  const logBeginsMs = await beginningOf(cluster);
  const times = timesToRead(plan.fromMs, views);
  const froms = await offsetsAt(cluster, times.from);
  const replays = await offsetsAt(cluster, times.replay);
  const positions = await positionsOf(db, plan.topic);
  const former = await latestFormer(db, plan.topic);
  if (former !== null && former >= plan.fromMs) {
    throw new WrongUse(
      `the tables have events up to ${
        new Date(former).toISOString()
      } from a topic that adopt-topic replaced, and Kafka ` +
        `no longer has it. Choose a --from on the next UTC day or later; nothing was changed`,
    );
  }
  const starts = (await boundsOf(cluster)).map(({ partition, begin }): Start => {
    const { next, latestMs } = positions.get(partition) ?? { next: 0, latestMs: null };
    const [replay, from] = [replays.get(partition)!, froms.get(partition)!];
    // Deleted records were before the remaining ones: if those start before the time, nothing needed was deleted.
    const covered = begin === 0 || replay > begin || (latestMs !== null && latestMs < plan.fromMs);
    if (!covered) {
      throw new WrongUse(
        `a rebuild from ${new Date(plan.fromMs).toISOString()} needs the log since ` +
          `${new Date(times.replay).toISOString()}, but partition ${partition} of ${plan.topic} starts at offset ` +
          `${begin}, and Kafka deleted earlier records. Choose a later --from; nothing was changed`,
      );
    }
    return { partition, replay: Math.min(replay, next), from: Math.min(from, next) };
  });
  return { starts, logBeginsMs: logBeginsMs !== null && logBeginsMs > plan.fromMs ? logBeginsMs : null };
}
