/**
 * The log of `testdata/schema_0009.sql`: those tables contain the first half of each partition.
 * @module
 */
import { KAFKA_MS, logOf, type Sent } from "../../processor/oracle/logs.ts";
import { type ExpectedAll, expectedOf, type OracleLog } from "../../processor/oracle/oracle.ts";
import type { SessionRow } from "../../processor/oracle/rows.ts";
import { KEEP_DAYS } from "../../processor/testing/ingest_schedules.ts";

const PARTITIONS = 2;
const RECORDS = 400;

/** The random numbers with which the tables were made: another generator would give another log. */
class Drawn {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed ^ 0x5bd1e995, 0x9e3779b1) | 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let x = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  }

  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  chance(p: number): boolean {
    return this.next() < p;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

/** Twenty minutes of clicks in two partitions, with late events, duplicates, purchases and refused records. */
export function upgradeLog(): OracleLog {
  const random = new Drawn(9);
  const users = Array.from({ length: 60 }, (_, n) => `user-${n}`);
  return logOf(
    Array.from({ length: PARTITIONS }, (_, partition) =>
      Array.from({ length: RECORDS }, (_, n): Sent => {
        const time = KAFKA_MS + n * 3000;
        // The second half has clicks in windows of the first half.
        const lateMs = random.chance(0.3) ? random.below(600) * 1000 : 0;
        const fields = {
          eventId: random.chance(0.1) && n > 20 ? `${partition}-${n - random.below(20)}` : `${partition}-${n}`,
          userId: `${random.pick(users)}-${partition}`,
          sessionId: random.chance(0.5) ? "s" : undefined,
          eventType: random.pick(["page_view", "page_view", "add_to_cart", "purchase"]),
          timestamp: time - lateMs,
          page: random.pick(["/", "/cart", "/p/1?from=ad"]),
          device: random.pick(["desktop", "mobile"]),
          region: random.pick(["eu", "us"]),
          price: "12.50",
        };
        return { time, fields: random.chance(0.02) ? { ...fields, userId: undefined } : fields };
      })),
  );
}

/** The first half of each partition. */
export function firstHalf(log: OracleLog): OracleLog {
  return { ...log, partitions: log.partitions.map((records) => records.slice(0, RECORDS / 2)) };
}

/**
 * The same without the sources of sessions whose earliest event is in the first half: the version that stored it kept
 * none.
 */
export function withoutSources(expected: ExpectedAll): ExpectedAll {
  const beginOf = (session: SessionRow) =>
    JSON.stringify([session.user_id, session.session_id, session.started_at, session.first_event_id]);
  const stored = new Set(expectedOf(firstHalf(upgradeLog()), { keepDays: KEEP_DAYS }).sessions.map(beginOf));
  const unknown = { source: null, medium: null, campaign: null };
  return {
    ...expected,
    sessions: expected.sessions.map((session) => stored.has(beginOf(session)) ? { ...session, ...unknown } : session),
  };
}
