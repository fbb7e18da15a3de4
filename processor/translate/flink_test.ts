import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { jobOf } from "../commands/flink.ts";
import { READS } from "../commands/cli/reads.ts";
import { readSettings } from "../config/config.ts";
import { funnel } from "../measures/funnel.ts";
import { count } from "../measures/totals.ts";
import { sessions } from "../views/sessions.ts";
import { databaseUrl } from "../config/database_url.ts";
import { hopping, minutes, view } from "../views/view.ts";
import { flinkJob } from "./flink.ts";
import { interval } from "./flink_events.ts";
import { insertOf, sinkTable } from "./flink_view.ts";

const GOLDEN = new URL("testdata/flink.sql", import.meta.url);

function printed(env: Readonly<Record<string, string>>): string {
  const url = env["DATABASE_URL"] === undefined ? null : databaseUrl(env["DATABASE_URL"]);
  return flinkJob(jobOf({ ...readSettings(READS.flink, (name) => env[name]), DATABASE_URL: url }));
}

Deno.test("the job matches the reviewed one", async () => {
  assert.equal(
    printed({}),
    await Deno.readTextFile(GOLDEN),
    `${
      fileURLToPath(GOLDEN)
    } is stale: look at what changed, run deno task flink:check, and write what clickstream flink prints there`,
  );
});

const SASL = { KAFKA_SASL_MECHANISM: "PLAIN", KAFKA_SASL_USERNAME: "a\"li'ce", KAFKA_SASL_PASSWORD: "hunter2" };
const URL_OF = "postgres://wri%40ter:hunter2@db:5433/shop?sslmode=disable";

Deno.test("settings are in the connectors' options, but no password", () => {
  const cases: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ KAFKA_BROKERS: "a:1,b" }, /^ {2}'properties\.bootstrap\.servers' = 'a:1,b:9092',$/m],
    [{ KAFKA_TOPIC: "t" }, /^ {2}'topic' = 't',$/m],
    [{ KAFKA_GROUP_ID: "it's" }, /^ {2}'properties\.group\.id' = 'it''s',$/m],
    [{ EVENTS_KEEP_DAYS: "400" }, /kafka_time - INTERVAL '400' DAY\(3\) AND[\s\S]*STATE_TTL\('events' = '401 d'\)/],
    [{ KAFKA_TLS_CA: "public" }, /^ {2}'properties\.security\.protocol' = 'SSL',\n {2}'scan/m],
    [SASL, /'SASL_PLAINTEXT',[\s\S]* username="a\\"li''ce" password="<password>";',$/m],
    [{ ...SASL, KAFKA_TLS_CA: "public" }, /'SASL_SSL',/],
    [
      { DATABASE_URL: URL_OF },
      /'jdbc:postgresql:\/\/db:5433\/shop',\n {2}'username' = 'wri@ter',\n {2}'password' = '<password>'/,
    ],
    [{ DATABASE_URL: URL_OF, DATABASE_TLS_CA: "public" }, /shop\?sslmode=verify-full&sslfactory=/],
    [
      { CURRENCY: "KWD" },
      /AND NOT COALESCE\(currency, 'KWD'\) <> 'KWD' THEN COALESCE\(CAST\(ROUND\([^,]*, 18\)\), 3\) \* 1000 AS BIGINT/,
    ],
    [
      { CURRENCY: "KWD" },
      /CASE WHEN eventType = 'purchase' AND COALESCE\(currency, 'KWD'\) <> 'KWD' THEN 1 ELSE 0 END AS unconverted/,
    ],
    [
      { TIME_ZONE: "Asia/Kathmandu" },
      /GROUP BY TO_DATE\(CONVERT_TZ\(DATE_FORMAT\(.*'UTC', 'Asia\/Kathmandu'\), .*user_id$/m,
    ],
    [{ VIEWS: "traffic" }, /^BEGIN\n\n-- Events, users.*\nINSERT INTO `traffic`[^;]*;\n\nEND;\n$/m],
  ];
  for (const [env, said] of cases) {
    assert.match(printed(env), said);
    assert.doesNotMatch(printed(env), /hunter2/);
  }
  assert.doesNotMatch(printed({ VIEWS: "traffic" }), /create unique index|`sessions`/);
});

Deno.test("a length of time is written in the largest unit that divides it", () => {
  const cases: readonly (readonly [number, string])[] = [
    [minutes(24 * 60), "INTERVAL '1' DAY"],
    [minutes(90), "INTERVAL '90' MINUTE"],
    [minutes(121), "INTERVAL '121' MINUTE(3)"],
    [10_000, "INTERVAL '10' SECOND"],
    [1500, "INTERVAL '1.5' SECOND(6, 3)"],
  ];
  for (const [ms, said] of cases) assert.equal(interval(ms), said);
});

Deno.test("a view is translated as it is declared", () => {
  const hops = insertOf(
    view({
      name: "v",
      about: "V.",
      window: hopping(minutes(10), minutes(2)),
      by: ["type"],
      measures: { n: count({ device: ["it's", "b"] }) },
    }),
    { keepMs: 0 },
  );
  assert.match(
    hops,
    /TABLE\(HOP\(TABLE events, DESCRIPTOR\(event_time\), INTERVAL '2' MINUTE, INTERVAL '10' MINUTE\)\)/,
  );
  assert.match(hops, /COUNT\(\*\) FILTER \(WHERE device IN \('it''s', 'b'\)\) AS `n`/);
});

Deno.test("goals and funnels of event types are translated; other funnels are left out", () => {
  const types = (...all: readonly string[]) => all.map((type) => ({ type: [type] }));
  const added = {
    goal_a: count({ type: ["purchase"], device: ["mobile"] }),
    funnel_a: funnel(types("search", "purchase"), "funnel_a_state"),
    funnel_twice: funnel(types("search", "search"), "funnel_twice_state"),
    funnel_pages: funnel([...types("search"), { type: ["page_view"], pagePath: ["/"] }], "funnel_pages_state"),
  };
  const declared = { ...sessions, measures: { ...sessions.measures, ...added } };
  const written = `${sinkTable(declared, {})}\n${insertOf(declared, { keepMs: 0 })}`;
  assert.match(written, /`goal_a` BIGINT,\n/);
  assert.match(
    written,
    /COUNT\(\*\) FILTER \(WHERE event_type IN \('purchase'\) AND device IN \('mobile'\)\) AS `goal_a`/,
  );
  assert.match(written, /WHEN 'search' THEN 'a' WHEN 'purchase' THEN 'b' END\) FILTER/);
  assert.match(written, /WHEN REGEXP\(`funnel_a`, 'a\.\*b'\) THEN 2 WHEN REGEXP\(`funnel_a`, 'a'\) THEN 1 ELSE 0 END/);
  assert.doesNotMatch(written, /funnel_twice|funnel_pages|funnel_a_state/);
});
