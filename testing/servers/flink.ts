/**
 * A real Flink for the printed job: its jars are fetched once, and its process ends with the job.
 * @module
 */
import { fileURLToPath } from "node:url";
import { run } from "./child.ts";
import { jarsOf } from "./maven.ts";

/** Runs a job up to the topic's current end, or only plans it; returns the output. */
export async function runFlink(job: string, how: "run" | "explain"): Promise<string> {
  const file = await Deno.makeTempFile({ suffix: ".sql" });
  try {
    await Deno.writeTextFile(file, job);
    const java = ["-Xmx1g", "-Duser.timezone=UTC", "--add-opens=java.base/java.util=ALL-UNNAMED"];
    const main = fileURLToPath(new URL("flink/Job.java", import.meta.url));
    const libs = await jarsOf("flink-2.2.1", new URL("flink/pom.xml", import.meta.url));
    const args = [...java, "-cp", `${libs}/*`, main, file, ...(how === "explain" ? [how] : [])];
    return await run("java", args);
  } finally {
    await Deno.remove(file);
  }
}

/** Returns the PostgreSQL statements in the job's header. */
export function preparationIn(job: string): string {
  return job.split("\n").filter((line) => line.startsWith("--     ")).map((line) => line.slice(7)).join("\n");
}

/** A record's JSON value, or a text that is no JSON. */
type Message = Readonly<Record<string, unknown>> | string;

/** Records at the boundaries of every definition, in event time: the earliest is five hours before `nowMs`. */
export function edges(nowMs: number): readonly Message[] {
  const startMs = Math.floor(nowMs / 60_000) * 60_000 - 5 * 3_600_000;
  const iso = (seconds: number) => new Date(startMs + seconds * 1000).toISOString();
  const zoned = (seconds: number, minutes: number, zone: string, length = 19) =>
    new Date(startMs + seconds * 1000 + minutes * 60_000).toISOString().slice(0, length) + zone;
  const event = (userId: string, timestamp: string | number, more: Readonly<Record<string, unknown>> = {}) => ({
    userId,
    eventType: "page_view",
    page: "/",
    timestamp,
    ...more,
  });
  const funnel = (userId: string, ...steps: readonly (readonly [string, number])[]) =>
    steps.map(([eventType, s]) => event(userId, iso(s), { eventType, page: `/${eventType}`, price: 10 }));
  const bought = (price: unknown, quantity?: unknown) =>
    event(`pays ${price} ${quantity}`, iso(3), { eventType: "purchase", price, quantity });
  return [
    event("walks", iso(0), { page: "/a?b#c", device: "watch", region: null }),
    ...["/z#?", "/only?a\n=b", "?a", "#/r", "/z?a\n#!/r?b", "/z#/r#\n/s", "/z#!r"].map((page) =>
      event("pages", iso(1), { page, device: "tablet" })
    ),
    ...["k1", "k", "k\u0001", "K", "é", "\u{1f600}"].map((eventId) =>
      event("ties", iso(1), { eventId, page: `/${eventId}` })
    ),
    ...["x", "x"].map((eventId) => event("repeats", iso(1), { eventId })),
    ...["one", "two", "one"].map((sessionId, n) => event("two sessions", iso(n), { sessionId })),
    ...funnel("disorder", ["purchase", 3], ["add_to_cart", 2], ["page_view", 2]),
    ...funnel("backwards", ["purchase", 1], ["add_to_cart", 2], ["page_view", 3]),
    ...funnel("two of three", ["add_to_cart", 1], ["page_view", 2], ["purchase", 2], ["add_to_cart", 3]),
    ...funnel("no view", ["add_to_cart", 1], ["purchase", 2]),
    ...[12.345, "12.345", 0.005, "0.004", 0, 19.99, "0.995", 12345678.9, null].map((price) => bought(price)),
    ...[[0.29, 3], ["1.005", 2], [9999999999, 1]].map(([price, quantity]) => bought(price, quantity)),
    ...["curl/8.14.1", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", null].map((
      userAgent,
    ) => event(`agent ${userAgent}`, iso(4), { userAgent })),
    ...Array.from({ length: 200 }, (_, n) => event("fast", iso(n / 1000))),
    ...Array.from({ length: 240 }, (_, n) => event("a minute each second", iso(n))),
    // Refused.
    event("long agent", iso(4), { userAgent: "x".repeat(1025) }),
    ...["1,5", -1, 1e11].map((price) => bought(price)),
    ...[0, 2.5, -1].map((quantity) => bought(1, quantity)),
    bought(1e9, 11),
    ...["", "u\0", "x".repeat(129), null].map((userId) => event(userId!, iso(4))),
    event("no page", iso(4), { page: "" }),
    event("no type", iso(4), { eventType: "Buy" }),
    ...["2026-02-30T00:00:00Z", "yesterday", "2026-11-02T00:00:00", "20261102T00:00:00Z", "2026-W45-1T00:00:00Z"].map((
      time,
    ) => event("no time", time)),
    event("future", nowMs + 3_600_000),
    event("past", nowMs - 40 * 86_400_000),
    "not JSON",
    "[]",
    // Timestamp formats.
    event("zones", zoned(5, 120, "+02:00")),
    event("zones", zoned(6, -330, "-0530")),
    event("zones", zoned(7, 60, "+01")),
    event("zones", zoned(60, 0, "Z", 16)),
    event("zones", zoned(61, 0, ",5678Z")),
    event("zones", startMs + 62_000),
    event("zones", zoned(63, 0, "z").toLowerCase()),
    event("zones", zoned(64, 60, "+01:00").replace("T", " ")),
    ...[zoned(65, -90, ",125-0130"), zoned(120, 60, "+01", 16)].map((time) =>
      event("zones", time.replace("-", "").replace("-", "").replaceAll(":", ""))
    ),
    event("zones", `${zoned(180, 0, "", 17)}60.5Z`),
    ...["3", "003", "3.0", "two"].map((quantity) => bought(2, quantity)),
    // Half an hour, and one millisecond more.
    event("walks", iso(1800), { page: "/b" }),
    event("walks", iso(3600.001), { page: "/c" }),
  ];
}
