/**
 * Checks that everything that rules and panels name exists: a real Prometheus with the committed configuration scrapes
 * the compiled binary, a broker with the agent, a PostgreSQL server and both exporters.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Child, freePort, run, until } from "../../testing/servers/child.ts";
import { startKafka } from "../../testing/servers/kafka.ts";
import { startPostgres, using } from "../../testing/servers/postgres.ts";
import {
  jmxAgent,
  type Prometheus,
  promtool,
  startNodeExporter,
  startPostgresExporter,
  startPrometheus,
} from "../../testing/servers/prometheus.ts";
import { type Asked, expandExpression, expressionsOf, panelsOf } from "../expand.ts";
import { DASHBOARDS } from "../mod.ts";
import { ALERTS } from "./alerts.ts";
import { EXPORTER_QUERIES } from "./exporter_queries.ts";
import { JOBS, prometheusConfig } from "./files.ts";
import { FOREIGN } from "./foreign.ts";
import { BROKER_RULES, namesOf } from "./kafka.ts";
import { RECORDINGS } from "./recordings.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const BINARY = fileURLToPath(new URL("../../dist/clickstream", import.meta.url));
/** Grafana uses four times the scrape interval, here one second. Longer here, for a busy machine. */
const RATE_INTERVAL_MS = 10_000;
// kafkajs, which checks that the broker is up, leaves timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

/** Metric names in an expression: words that are not functions, labels, texts, numbers or keywords. */
function metricsOf(expr: string): string[] {
  const bare = expr.replaceAll(/"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|without|ignoring)\s*\([^)]*\)/g, " ");
  const words = bare.match(/[a-zA-Z_:][\w:]*(?!\w*\s*\()/g) ?? [];
  return words.filter((word) => !["and", "or", "unless"].includes(word));
}

/** Panels without an answer from Prometheus in this test, and the reason. */
const SILENT: Readonly<Record<string, string>> = {
  "Replication": "the server of the test has no replica; what the exporter calls it is in the list of foreign names",
  "Alerts": "no alert is pending or firing; the panel is asked again when the service is down",
};

/** The expressions that have had no answer since a time. */
async function unanswered(prometheus: Prometheus, asked: readonly Asked[], sinceMs: number): Promise<string[]> {
  const had = await Promise.all(
    asked.map(({ expr }) => prometheus.seriesSince(expandExpression(expr, RATE_INTERVAL_MS), sinceMs)),
  );
  return asked.filter((_, n) => had[n] === 0).map(({ by, expr }) => `${by}: ${expr}`);
}

Deno.test("metric names are found in an expression", () => {
  const expr =
    'sum by (a) (rate(one_total{b="c d"}[5m])) / on (e) two:sum and absent(three) - 1 or min without (f) (up)';
  assert.deepEqual(metricsOf(expr), ["one_total", "two:sum", "three", "up"]);
});

Deno.test("everything that the rules name is scraped from real servers", leaky, async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-prometheus-" });
  const targets = { kafka: `127.0.0.1:${freePort()}`, clickstream: `127.0.0.1:${freePort()}` };
  const agent = `-javaagent:${await jmxAgent()}=${targets.kafka}:${HERE}kafka.yml`;
  await using broker = await startKafka({ java: [agent] });
  await using server = await startPostgres();
  const url = await server.createDatabase();
  const env = {
    KAFKA_BROKERS: broker.bootstrap,
    DATABASE_URL: url,
    HTTP_LISTEN: targets.clickstream,
    LOG_LEVEL: "warn",
  };
  await run(BINARY, ["migrate"], env);
  await using(url, (db) => db.exec("create role monitor login; grant clickstream_reader, pg_monitor to monitor"));
  await using node = await startNodeExporter(folder);
  const readerUrl = server.urlFor("monitor", "", new URL(url).pathname.slice(1));
  await using postgres = await startPostgresExporter(folder, readerUrl, `${HERE}exporter_queries.yml`);
  await run(BINARY, ["generate", "--rate", "500", "--seconds", "4", "--fast", "--bad", "0.05"], env);
  const start = () => Child.start(BINARY, ["run"], `${folder}/service.log`, env);
  await using first = start();

  // The committed configuration, with other targets and a shorter scrape interval.
  await run("cp", ["-r", `${HERE}targets`, folder]);
  const all: Record<typeof JOBS[number], string> = { ...targets, node: node.target, postgresql: postgres.target };
  for (const [job, target] of Object.entries(all)) {
    await Deno.writeTextFile(`${folder}/targets/${job}.yml`, `- targets: [${target}]\n`);
  }
  await Deno.copyFile(`${HERE}rules.yml`, `${folder}/rules.yml`);
  await Deno.writeTextFile(`${folder}/prometheus.yml`, prometheusConfig("1s"));
  const sinceMs = Date.now();
  await using prometheus = await startPrometheus(folder);
  const text = (job: typeof JOBS[number]) => fetch(`http://${all[job]}/metrics`).then((r) => r.text(), () => "");

  const hasCommitted = async () => /^clickstream_commits_total [1-9]/m.test(await text("clickstream"));
  await until("the service has committed", hasCommitted);
  await t.step("all targets are up", async () => {
    const up = () => prometheus.seriesOf("up == 1");
    await until("four targets are up", async () => await up() === JOBS.length, 20_000).catch(async (error) => {
      throw new Error(`${error.message}: ${JSON.stringify(await prometheus.api("targets?state=active"))}`);
    });
  });

  // Rates need events between two scrapes. An event that is an hour old is late in any partition.
  await run(BINARY, ["generate", "--rate", "500", "--seconds", "4", "--fast", "--seed", "2", "--bad", "0.05"], env);
  const hourAgo = { userId: "ann", eventType: "page_view", page: "/", timestamp: Date.now() - 3_600_000 };
  await Deno.writeTextFile(`${folder}/late.ndjson`, `${JSON.stringify(hourAgo)}\n`);
  await run(BINARY, ["produce", `${folder}/late.ndjson`], env);

  await t.step("every recorded series has samples", async () => {
    for (const { record } of RECORDINGS) {
      await until(`${record} is recorded`, async () => await prometheus.seriesOf(record) > 0, 20_000);
    }
  });

  const panels = Object.values(DASHBOARDS).flatMap(expressionsOf);
  const marks = new Set(
    Object.values(DASHBOARDS).flatMap(({ annotations }) => annotations?.list ?? []).map((m) => m.name),
  );
  await t.step("every panel's expression has an answer", async () => {
    const asked = panels.filter(({ by }) => !marks.has(by));
    assert.ok(asked.length >= 30);
    assert.deepEqual(Object.keys(SILENT).filter((by) => !asked.some((one) => one.by === by)), []);
    const wrong = [{ by: "a fault", expr: "clickstream_evnets_total" }, { by: "another", expr: 'up{job="kafak"}' }];
    const answerable = [...asked.filter(({ by }) => SILENT[by] === undefined), ...wrong];
    // An open transaction, for the panel on the slowest one.
    await using(url, async (db) => {
      await db.transaction(async (tx) => {
        await tx.query("select 1");
        const faults = wrong.map(({ by, expr }) => `${by}: ${expr}`);
        let left: string[] = [];
        const isAnswered = async () =>
          (left = await unanswered(prometheus, answerable, sinceMs)).length === faults.length;
        await until("every question is answered", isAnswered, 20_000).catch(() => {});
        assert.deepEqual(left, faults);
      });
    });
  });

  await t.step("third-party exporters use the metric names that the panels use", async () => {
    const there = new Set(await prometheus.api<string[]>("label/__name__/values"));
    // This metric exists only with replicas.
    assert.deepEqual(Object.keys(FOREIGN).filter((name) => !there.has(name)), ["pg_stat_replication_pg_wal_lsn_diff"]);
  });

  await t.step("every metric that a rule names exists", async () => {
    const there = new Set(await prometheus.api<string[]>("label/__name__/values"));
    const named = [...RECORDINGS.map(({ expr }) => expr), ...ALERTS.map(({ value }) => value)].flatMap(metricsOf);
    assert.ok(named.length > 20);
    assert.deepEqual([...new Set(named)].filter((name) => !there.has(name)), []);
  });

  await t.step("every selector of an alert finds series", async () => {
    const selections = new Set(ALERTS.flatMap(({ value }) => value.match(/[a-zA-Z_:][\w:]*\{[^}]*\}/g) ?? []));
    assert.ok(selections.size >= 6);
    for (const selection of selections) assert.ok(await prometheus.seriesOf(selection) > 0, selection);
  });

  await t.step("the exporters answer the additional queries", async () => {
    const asked = EXPORTER_QUERIES.flatMap(({ name, metrics }) => Object.keys(metrics).map((m) => `${name}_${m}`));
    const of = (rules: string) => new Set([...rules.matchAll(/^([a-zA-Z_:][\w:]*)/gm)].map(([, name]) => name!));
    const database = of(await text("postgresql"));
    assert.deepEqual(asked.filter((name) => !database.has(name)), []);
    const kafka = of(await text("kafka"));
    const broker = BROKER_RULES.flatMap(namesOf);
    assert.deepEqual(broker.filter((name) => !kafka.has(name)), []);
  });

  await t.step("no conserved sum differs, and a deleted row is found", async () => {
    const broken = "clickstream_conservation_difference_events > 0";
    assert.equal(await prometheus.seriesOf("clickstream_conservation_difference_events == 0"), 3);
    assert.equal(await prometheus.seriesOf(broken), 0);
    await using(url, (db) => db.exec("update clickstream.pages set views = views + 1 where page = '/'"));
    const asked = EXPORTER_QUERIES.find(({ name }) => name === "clickstream_conservation")!.sql;
    await using(url, async (db) => {
      const { rows } = await db.query<{ difference_events: number }>(asked);
      assert.equal(rows.filter(({ difference_events: n }) => Number(n) > 0).length, 1);
    });
  });

  await t.step("values counted in several ways agree", async () => {
    const said = (await text("clickstream")).matchAll(/^(\w+(?:\{[^}]*\})?) (\S+)$/gm);
    const samples = new Map([...said].map(([, name, value]) => [name!, Number(value)]));
    const stored = samples.get('clickstream_events_total{outcome="stored"}')!;
    assert.ok(stored > 2000, String(stored));
    const same = [
      "clickstream_event_time_latency_seconds_count",
      "clickstream_produce_time_latency_seconds_count",
      'clickstream_commit_rows_total{table="events"}',
    ];
    for (const name of same) assert.equal(samples.get(name), stored, name);
    assert.equal(samples.get("clickstream_lateness_seconds_count"), samples.get("clickstream_late_events_total"));
    assert.equal(samples.get("clickstream_commit_wait_seconds_count"), samples.get("clickstream_commits_total"));
    // Compressed or not, an event has more than a few bytes.
    assert.ok(samples.get("clickstream_fetch_bytes_total")! > 10 * stored);
  });

  await t.step("promtool accepts all metric names", async () => {
    for (const job of ["clickstream", "kafka"] as const) {
      assert.deepEqual(await promtool(["check", "metrics"], await text(job)), { code: 0, said: "" }, job);
    }
    const asked = (await text("postgresql")).split("\n").filter((line) => /^(# \w+ )?clickstream_/.test(line));
    assert.deepEqual(await promtool(["check", "metrics"], `${asked.join("\n")}\n`), { code: 0, said: "" });
    const wrong = "# HELP clickstream_commits Commits.\n# TYPE clickstream_commits counter\nclickstream_commits 1\n";
    assert.match((await promtool(["check", "metrics"], wrong)).said, /should have "_total" suffix/);
  });

  await t.step("the runbook's expressions can be queried", async () => {
    const page = await Deno.readTextFile(new URL("../../docs/debugging.md", import.meta.url));
    const blocks = (language: string) =>
      [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, "gm"))].map(([, block]) => block!.trim());
    assert.ok(blocks("sql").length >= 9);
    await using(readerUrl, async (db) => {
      for (const sql of blocks("sql")) await db.query(sql);
    });
    const asked = blocks("promql").flatMap((block) => block.split("\n"));
    assert.ok(asked.length >= 9);
    for (const expr of asked) assert.ok(await prometheus.seriesOf(expr) > 0, expr);
  });

  await t.step("no alert fires", async () => {
    const { alerts } = await prometheus.api<{ alerts: { state: string; labels: { alertname: string } }[] }>("alerts");
    assert.deepEqual(alerts.filter(({ state }) => state === "firing").map(({ labels }) => labels.alertname), []);
  });

  assert.equal(await first.end("SIGTERM"), 0, await first.tail());
  await using service = start();
  const produce = () => run(BINARY, ["produce", `${folder}/late.ndjson`], env);
  await produce();
  await until("it commits", hasCommitted);
  // The next commit finds other positions, so the pipeline starts again.
  await run(BINARY, ["forget", "ann", "--yes"], env);
  await produce();
  const begun = "sum by (cause) (increase(clickstream_restarts_total[1m])) > 0";
  await until("work has begun again", async () => await prometheus.seriesOf(begun) > 0).catch(async (error) => {
    throw new Error(`${error.message}\n${await text("clickstream")}\n${await service.tail()}`);
  });

  await t.step("alerts see what goes down", async () => {
    const waits = "clickstream_ready == 0 and clickstream_retries_total > 0";
    const fires = async (name: string) => {
      const { value, threshold: [sign, threshold] } = ALERTS.find((alert) => alert.name === name)!;
      return await prometheus.seriesOf(`(${value}) ${sign} ${threshold}`) === 1;
    };
    const stops: Readonly<Record<string, () => Promise<unknown>>> = {
      ClickstreamDatabaseDown: () => server.stop(),
      ClickstreamBrokerDown: () => broker.kill(),
      ClickstreamDown: () => service.end("SIGTERM"),
    };
    for (const [name, stop] of Object.entries(stops)) {
      assert.equal(await fires(name), false, name);
      if (name === "ClickstreamDown") {
        await until("the service waits", async () => await prometheus.seriesOf(waits) === 1);
      }
      await stop();
      await until(`${name} holds`, () => fires(name), 20_000);
    }
  });

  await t.step("no state is that of a dead service", async () => {
    const states = Object.values(DASHBOARDS).flatMap(panelsOf).filter(({ type, title }) =>
      type === "stat" && title !== "Connections used"
    );
    const now = async (expr: string) => {
      const path = `query?query=${encodeURIComponent(expr)}`;
      const { result } = await prometheus.api<{ result: readonly { readonly value: readonly [number, string] }[] }>(
        path,
      );
      return result.map(({ value: [, value] }) => value);
    };
    const asked = states.flatMap(({ title, targets }) =>
      (targets as unknown as { expr?: string }[]).flatMap(({ expr }) => expr === undefined ? [] : [{ title, expr }])
    );
    assert.deepEqual(asked.map(({ title }) => title), [
      "Ready",
      "Lag",
      "Watermark delay",
      "Time since last commit",
      "Refused",
    ]);
    for (const { title, expr } of asked) {
      assert.deepEqual(await now(expr), [title === "Ready" ? "-1" : "NaN"], `${title}: ${expr}`);
    }
    const [{ expr } = { expr: "" }] = panels.filter(({ by }) => by === "Alerts");
    await until("the alert is on its panel", async () => await prometheus.seriesOf(expr) > 0, 20_000);
  });

  await t.step("annotations mark what happened", async () => {
    const asked = panels.filter(({ by }) => marks.has(by));
    assert.equal(asked.length, 3);
    assert.deepEqual(await unanswered(prometheus, asked, sinceMs), []);
  });

  assert.equal(await service.wait(), 0, await service.tail());
  await Deno.remove(folder, { recursive: true });
});
