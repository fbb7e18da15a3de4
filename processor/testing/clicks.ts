/**
 * Random logs by seed with many special cases: ties, duplicates, late events, pauses of exactly half an hour, and
 * records that are refused.
 * @module
 */
import { DAY_MS } from "../views/view.ts";
import type { LogRecord } from "./fakes/memory.ts";
import { Random } from "../../generator/random.ts";
import { at, type Message, record } from "./scenario.ts";

/** User agents that are not, and that are, on the list of bots. */
export const PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
export const BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

/** Shape of a random log. */
export interface LogOptions {
  readonly events: number;
  readonly users?: number;
  /** Range of the Kafka timestamps in milliseconds; within 10 minutes every copy is a duplicate. */
  readonly spanMs?: number;
  /** Whether some events have no id, so that partition and offset replace it. */
  readonly anonymous?: boolean;
}

/** A record and the user that determines its partition. */
export interface Sent {
  readonly user: string;
  readonly record: LogRecord;
}

const NOON = at("12:00:00");
const HALF_HOUR = 30 * 60_000;
const PAUSES = [
  0,
  0,
  0,
  1,
  900,
  59_999,
  60_000,
  240_000,
  HALF_HOUR - 1,
  HALF_HOUR,
  HALF_HOUR,
  HALF_HOUR + 1,
  5_000_000,
];
const TYPES = ["page_view", "page_view", "page_view", "add_to_cart", "purchase", "checkout", "search", "wink"];
/** Currencies of purchases; others have none. */
const CURRENCIES = ["EUR", "JPY", "KWD", "USD"];

const IDS = ["", "-", "é", "ﬀ", "😀"];

/** The records of a random log in order. */
export function randomLog(
  seed: number,
  { events, users = 6, spanMs = 9 * 60_000, anonymous = false }: LogOptions,
): Sent[] {
  const random = new Random(seed);
  const lastOf = new Map<string, number>();
  const sent: Sent[] = [];
  const copied = new Set<Sent>();
  for (let n = 0; n < events; n++) {
    // The log begins at noon of the second day, so that no user's events reach into the future.
    const disorder = Math.min(spanMs, random.pick([0, 0, 0, 500, 60_000]));
    const time = NOON + DAY_MS + Math.floor(n / events * spanMs) + random.below(2) - random.below(disorder + 1);
    const user = `u${random.below(users)}`;
    const earlier = random.chance(0.12) && sent.length > 0 ? random.pick(sent.slice(-60)) : undefined;
    if (earlier !== undefined && !copied.has(earlier)) {
      const copy = {
        user: earlier.user,
        record: { value: earlier.record.value, time: Math.max(time, earlier.record.time) },
      };
      copied.add(earlier).add(copy);
      sent.push(copy);
    } else if (random.chance(0.1)) {
      sent.push({ user, record: badRecord(random, n, time) });
    } else {
      const eventTime = Math.min((lastOf.get(user) ?? NOON) + random.pick(PAUSES), NOON + DAY_MS);
      lastOf.set(user, eventTime);
      const late = random.chance(0.1) ? random.pick([60_000, HALF_HOUR, 3 * 3_600_000, random.below(8_000_000)]) : 0;
      const message = click(random, n, user, eventTime - late);
      if (anonymous && random.chance(0.15)) delete message["eventId"];
      sent.push({ user, record: record(message, time) });
    }
  }
  return sent;
}

/** Splits the records into partitions; all records of a user are in one. */
export function partitioned(sent: readonly Sent[], partitions: number): LogRecord[][] {
  const log: LogRecord[][] = Array.from({ length: partitions }, () => []);
  for (const { user, record } of sent) log[Number(user.slice(1)) % partitions]!.push(record);
  return log;
}

function click(random: Random, n: number, user: string, time: number): Record<string, unknown> {
  const eventType = random.pick(TYPES);
  return {
    // Ids are not in the order of the log.
    eventId: `${random.pick(IDS)}${(n * 7919) % 10_007}-${n}`,
    userId: user,
    eventType,
    timestamp: random.chance(0.5) ? time : new Date(time).toISOString(),
    page: random.pick(["/", "/a", "/a?q=1", "/b#c", "/é", "/?utm_source=Mail&utm_medium=email", "/a?gclid=1"]),
    ...random.chance(0.3) ? { referrer: random.pick(["https://www.google.com/", "blog.example.org", "/a", ""]) } : {},
    ...random.chance(0.1) ? { campaign: random.pick(["Spring", "b"]) } : {},
    ...random.chance(0.3) ? { sessionId: random.pick(["s1", "s2", null]) } : {},
    ...random.chance(0.7) ? { device: random.pick(["mobile", "desktop", "tablet", "tv"]) } : {},
    ...random.chance(0.7) ? { region: random.pick(["eu", "us"]) } : {},
    // Not by chance, so that a seed gives the log that it gave before.
    ...n % 5 === 0 ? { userAgent: n % 3 === 0 ? BOT : PERSON } : {},
    ...eventType === "purchase" ? { price: random.pick([0.1, 19.99, "1.005", 0]), quantity: 1 + random.below(3) } : {},
    ...eventType === "purchase" && n % 5 > 0 ? { currency: CURRENCIES[n % 5 - 1]! } : {},
  };
}

function badRecord(random: Random, n: number, time: number): LogRecord {
  const good: Message = {
    eventId: `bad-${n}`,
    userId: "u0",
    eventType: "page_view",
    timestamp: NOON + DAY_MS,
    page: "/",
  };
  return record(
    random.pick([
      null,
      "",
      `{"n":${n}`,
      `[${n}]`,
      Uint8Array.of(0xff, n & 0xff),
      { ...good, userId: undefined },
      { ...good, page: n },
      { ...good, region: "" },
      { ...good, timestamp: "yesterday" },
      { ...good, timestamp: time + 300_001 },
      { ...good, timestamp: time - 30 * DAY_MS - 1 },
    ]),
    time,
  );
}
