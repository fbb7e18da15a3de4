/**
 * Checks the time zone of the days.
 * @module
 */
import type { Database } from "../../postgres/database.ts";
import { timeZoneOf, WrongTimeZone } from "../../postgres/time_zone.ts";
import type { TimeZone } from "../../views/time_zone.ts";
import { DAY_MS } from "../../views/view.ts";
import { advice, bad, type Finding, good } from "./finding.ts";

/** Days before and after now on which rules are compared. */
const NEAR_DAYS = 730;

/**
 * Checks that the tables have days of the time zone that is set. PostgreSQL's rules decide. Where this program's differ,
 * one of the two is likely out of date.
 */
export async function checkTimeZone(db: Database, asked: string | null): Promise<Finding> {
  const check = "time zone";
  let zone: TimeZone;
  try {
    zone = await timeZoneOf(db, asked);
  } catch (error) {
    if (!(error instanceof WrongTimeZone)) throw error;
    return bad(check, error.message, "set TIME_ZONE to the days of the tables, or rebuild them");
  }
  const differsAt = firstDifference(zone, Date.now());
  if (differsAt === null) return good(check, `days are those of ${zone.name}`);
  return advice(
    check,
    `days are those of ${zone.name}, and the clocks of PostgreSQL and of this program differ in it on ${
      new Date(differsAt).toISOString().slice(0, 10)
    }`,
    "upgrade PostgreSQL, or the package tzdata on its server: days follow PostgreSQL's rules. Then restart the service",
  );
}

/** The first day within two years of now on which a zone's clock is not that of the runtime; null if there is none. */
function firstDifference(zone: TimeZone, nowMs: number): number | null {
  const clock = new Intl.DateTimeFormat("en", { timeZone: zone.name, timeZoneName: "longOffset" });
  for (let day = -NEAR_DAYS; day <= NEAR_DAYS; day++) {
    const timeMs = nowMs + day * DAY_MS;
    const offset = clock.formatToParts(timeMs).find(({ type }) => type === "timeZoneName")!.value;
    const [, sign, hours = 0, minutes = 0] = /^GMT(?:([+-])(\d\d):(\d\d))?/.exec(offset)!;
    const aheadMs = (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === "-" ? -1 : 1);
    if (zone.localMs(timeMs) - timeMs !== aheadMs) return timeMs;
  }
  return null;
}
