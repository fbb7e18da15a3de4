/**
 * The rules as Prometheus' own tool sees them: well formed, and each alert held against what it must fire on and what
 * it must not.
 */
import assert from "node:assert/strict";
import { parse, stringify } from "yaml";
import { promtool } from "../../processor/testing/prometheus.ts";
import { everyFile, staleFiles } from "../../tasks/monitoring.ts";
import { type Alert, ALERTS, runbookOf } from "./alerts.ts";
import { generatedFiles, prometheusConfig, rulesFile } from "./files.ts";
import { RECORDINGS } from "./recordings.ts";

const ROOT = new URL("../../", import.meta.url);
const HERE = new URL(".", import.meta.url).pathname;

/** What an alert says when it fires: the labels of the series, and the description. */
type Firing = readonly [labels: Readonly<Record<string, string>>, description: string];

/** Series, a sample every minute, and what an alert says of them at a minute: nothing, if it must not fire. */
interface Case {
  readonly alert: string;
  readonly about: string;
  readonly series: Readonly<Record<string, string>>;
  readonly minute: number;
  readonly fires: readonly Firing[];
}

const UP = 'up{job="clickstream",instance="a:8080"}';
const READY = "clickstream_ready";
const COMMITS = "clickstream_commits_total";
const LAG = 'clickstream_lag_records{partition="0"}';
const STORED = 'clickstream_events_total{outcome="stored"}';
const REFUSED = 'clickstream_events_total{outcome="refused"}';
const WATERMARK = 'clickstream_watermark_timestamp_seconds{partition="0",instance="a"}';
const END = 'kafka_log_log_logendoffset{topic="clickstream-events",partition="0"}';
const SENT = 'kafka_server_brokertopicmetrics_messagesin_total{topic="clickstream-events"}';
const DIFFERENCE = 'clickstream_conservation_difference_events{law="this = that"}';
const [FREE, SIZE] = ["avail", "size"].map((of) =>
  `node_filesystem_${of}_bytes{instance="db",device="/dev/sda",mountpoint="/",fstype="ext4"}`
) as [string, string];
const PG_UP = 'pg_up{job="postgresql",instance="db:9187"}';
const EXPORTER_UP = 'up{job="postgresql",instance="db:9187"}';
const BROKER_UP = 'up{job="kafka",instance="k:9404"}';

const DEAD = (instance: string) =>
  `Nothing has answered Prometheus for a minute as clickstream, instance '${instance}'; what it had to do is not done.`;
const NO_COMMITS = "0 commits in the last minute, and none in the one before, though there is something to commit or " +
  "the service is not ready.";
const WAITS = "has not answered for a minute. The service waits, Kafka keeps.";

/** By alert: what must fire, and what must not. */
const CASES: readonly Case[] = [
  firing("ClickstreamDown", "an instance is gone", { [UP]: "1 1 0x5" }, 4, [
    { instance: "a:8080", job: "clickstream" },
    DEAD("a:8080"),
  ]),
  firing("ClickstreamDown", "there is nothing to scrape", { other: "1x5" }, 3, [{ job: "clickstream" }, DEAD("")]),
  silent("ClickstreamDown", "it was away for a moment", { [UP]: "1 0 1x5" }, 2),

  firing(
    "ClickstreamNothingCommitted",
    "it hangs over records",
    {
      [COMMITS]: "0+60x3 180x9",
      [LAG]: "100x12",
      [READY]: "1x12",
    },
    7,
    [{}, NO_COMMITS],
  ),
  firing(
    "ClickstreamNothingCommitted",
    "it has never got ready, and knows of no records",
    {
      [COMMITS]: "0x9",
      [READY]: "0x9",
    },
    5,
    [{}, NO_COMMITS],
  ),
  firing(
    "ClickstreamNothingCommitted",
    "the broker alone knows that there is something to read",
    {
      [COMMITS]: "7x9",
      [LAG]: "0x9",
      [READY]: "1x9",
      [SENT]: "0+60x9",
    },
    5,
    [{}, NO_COMMITS],
  ),
  silent("ClickstreamNothingCommitted", "it is night, and nobody shops", {
    [COMMITS]: "7x9",
    [LAG]: "0x9",
    [READY]: "1x9",
    [SENT]: "60x9",
  }, 8),
  silent("ClickstreamNothingCommitted", "it commits", { [COMMITS]: "0+60x9", [LAG]: "100x9", [READY]: "1x9" }, 8),

  firing("ClickstreamLagGrowing", "more comes than is taken in", { [LAG]: "0+2000x30" }, 25, [
    {},
    "50k records are still to be committed, and they have been growing in number for 10 minutes.",
  ]),
  silent("ClickstreamLagGrowing", "a great backlog is being taken in", { [LAG]: "900000-2000x30" }, 25),
  silent("ClickstreamLagGrowing", "a little more than usual waits", { [LAG]: "0+100x30" }, 25),

  firing(
    "ClickstreamRefusals",
    "a producer sends what it should not",
    {
      [STORED]: "0+980x20",
      [REFUSED]: "0+20x20",
    },
    17,
    [{}, "2% of the messages of the last 10 minutes can't be events."],
  ),
  silent("ClickstreamRefusals", "some are always broken", { [STORED]: "0+995x20", [REFUSED]: "0+5x20" }, 17),
  silent("ClickstreamRefusals", "one of few was broken", { [STORED]: "0+1x20", [REFUSED]: "0 0 1x18" }, 8),

  firing(
    "ClickstreamWatermarkStuck",
    "records wait, and no time passes",
    {
      [WATERMARK]: "60x30",
      [LAG]: "5x30",
    },
    25,
    [
      { partition: "0" },
      "The watermark of partition 0 is 24m 0s behind and does not move, though there are records to be taken in. No " +
      "window becomes final.",
    ],
  ),
  firing(
    "ClickstreamWatermarkStuck",
    "the partition grows, says the broker",
    {
      [WATERMARK]: "60x30",
      [LAG]: "0x30",
      [END]: "0+10x30",
    },
    25,
    [
      { partition: "0" },
      "The watermark of partition 0 is 24m 0s behind and does not move, though there are records to be taken in. No " +
      "window becomes final.",
    ],
  ),
  silent("ClickstreamWatermarkStuck", "nobody shops", { [WATERMARK]: "60x30", [LAG]: "0x30", [END]: "7x30" }, 25),
  silent("ClickstreamWatermarkStuck", "a month of the past is taken in", { [WATERMARK]: "0+10x30", [LAG]: "5x30" }, 25),

  firing("ClickstreamConservationBroken", "two sums differ", { [DIFFERENCE]: "0 0 3x9" }, 6, [
    { law: "this = that" },
    "this = that: the tables differ by 3 events. What the reports say can't be trusted until it is known why.",
  ]),
  silent("ClickstreamConservationBroken", "they agree", { [DIFFERENCE]: "0x9" }, 6),

  firing("ClickstreamDatabaseNearlyFull", "little is left", { [FREE]: "50x20", [SIZE]: "1000x20" }, 15, [
    { instance: "db", device: "/dev/sda" },
    "5% of /dev/sda on db is free. A database or a broker without room stops.",
  ]),
  silent("ClickstreamDatabaseNearlyFull", "enough is left", { [FREE]: "200x20", [SIZE]: "1000x20" }, 15),
  silent("ClickstreamDatabaseNearlyFull", "it is memory", {
    [FREE.replace("ext4", "tmpfs")]: "50x20",
    [SIZE.replace("ext4", "tmpfs")]: "1000x20",
  }, 15),

  firing("ClickstreamDatabaseDown", "the exporter can't reach it", { [PG_UP]: "1 0x9", [EXPORTER_UP]: "1x10" }, 5, [
    { instance: "db:9187", job: "postgresql" },
    `PostgreSQL, or its exporter at db:9187, ${WAITS}`,
  ]),
  firing("ClickstreamDatabaseDown", "the exporter is gone", { [PG_UP]: "1 stale", [EXPORTER_UP]: "1 0x9" }, 5, [
    { instance: "db:9187", job: "postgresql" },
    `PostgreSQL, or its exporter at db:9187, ${WAITS}`,
  ]),
  silent("ClickstreamDatabaseDown", "it is up", { [PG_UP]: "1x9", [EXPORTER_UP]: "1x9" }, 5),

  firing("ClickstreamBrokerDown", "a broker is gone", { [BROKER_UP]: "1 0x9" }, 5, [
    { instance: "k:9404", job: "kafka" },
    "The broker at k:9404 has not answered for a minute.",
  ]),
  silent("ClickstreamBrokerDown", "it is up", { [BROKER_UP]: "1x9" }, 5),
];

function firing(alert: string, about: string, series: Case["series"], minute: number, ...fires: Firing[]): Case {
  return { alert, about, series, minute, fires };
}

function silent(alert: string, about: string, series: Case["series"], minute: number): Case {
  return { alert, about, series, minute, fires: [] };
}

/** What promtool says of the cases, with these alerts in place of the real ones. */
async function judged(cases: readonly Case[], alerts: readonly Alert[] = ALERTS) {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-rules-" });
  await Deno.writeTextFile(`${folder}/rules.yml`, rulesFile(RECORDINGS, alerts));
  const tests = cases.map(({ alert: name, about, series, minute, fires }) => {
    const alert = ALERTS.find((alert) => alert.name === name)!;
    return {
      name: `${name}: ${about}`,
      interval: "1m",
      input_series: Object.entries(series).map(([series, values]) => ({ series, values })),
      alert_rule_test: [{
        alertname: name,
        eval_time: `${minute}m`,
        exp_alerts: fires.map(([labels, description]) => ({
          exp_labels: { severity: alert.severity, ...labels },
          exp_annotations: { summary: alert.summary, description, runbook_url: runbookOf(alert) },
        })),
      }],
    };
  });
  await Deno.writeTextFile(
    `${folder}/tests.yml`,
    stringify({ rule_files: ["rules.yml"], evaluation_interval: "1m", tests }),
  );
  const verdict = await promtool(["test", "rules", `${folder}/tests.yml`]);
  await Deno.remove(folder, { recursive: true });
  return verdict;
}

Deno.test("promtool finds nothing wrong with the configuration and the rules", async () => {
  for (const what of [["config", "prometheus.yml"], ["rules", "rules.yml"]]) {
    const { code, said } = await promtool(["check", what[0]!, HERE + what[1]!]);
    assert.equal(code, 0, said);
    assert.match(said, /SUCCESS/);
    assert.doesNotMatch(said, /WARNING|FAILED|duplicate/);
  }
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/prometheus.yml`, prometheusConfig("15 parsecs"));
  assert.equal((await promtool(["check", "config", `${folder}/prometheus.yml`])).code, 1);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("every alert fires on what it must, and on nothing else", async () => {
  for (const { name } of ALERTS) {
    const [fires, doesNot] = [
      CASES.filter((c) => c.alert === name && c.fires.length > 0),
      CASES.filter((c) => c.alert === name && c.fires.length === 0),
    ];
    assert.ok(fires.length > 0 && doesNot.length > 0, `${name} needs a case that fires and one that does not`);
  }
  const { code, said } = await judged(CASES);
  assert.equal(code, 0, said);
});

Deno.test("an alert that never fires is seen, and one that always does", async () => {
  const never = ALERTS.map((alert): Alert => ({ ...alert, value: "vector(0) > 1" }));
  const always = ALERTS.map((alert): Alert => ({ ...alert, value: "vector(1)", threshold: [">", 0] }));
  for (const wrong of [never, always]) {
    const { code, said } = await judged(CASES, wrong);
    assert.equal(code, 1);
    for (const { name } of ALERTS) assert.match(said, new RegExp(`alertname: ${name},`));
  }
});

Deno.test("every alert says in words what is wrong, and where it is written what to do", async () => {
  const debugging = await Deno.readTextFile(new URL("docs/debugging.md", ROOT));
  const anchors = [...debugging.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(/\s/g, "-")
  );
  assert.equal(new Set(anchors).size, anchors.length, "two headings with one anchor");
  for (const alert of ALERTS) {
    assert.ok(anchors.includes(alert.runbook), `docs/debugging.md has no section #${alert.runbook}`);
    const section = debugging.split(/^## /m).find((text) => text.includes(`\`${alert.name}\``));
    assert.ok(section !== undefined, `docs/debugging.md does not speak of ${alert.name}`);
    assert.match(alert.summary, /^[A-Z][^.]+$/);
  }
});

Deno.test("Grafana's alerts are those of Prometheus, in the shape of its provisioning files", () => {
  const text = generatedFiles()["grafana/provisioning/alerting/clickstream.yaml"]!;
  const { apiVersion, groups } = parse(text);
  assert.equal(apiVersion, 1);
  const rules = groups.flatMap(({ rules }: { rules: GrafanaRule[] }) => rules) as GrafanaRule[];
  assert.deepEqual(rules.map(({ title }) => title), ALERTS.map(({ summary }) => summary));
  assert.equal(new Set(rules.map(({ uid }) => uid)).size, rules.length);
  for (const { uid, condition, data, annotations } of rules) {
    assert.match(uid, /^[a-z-]{1,40}$/);
    assert.deepEqual(data.map(({ refId }) => refId), ["A", "B"]);
    assert.equal(condition, "B");
    assert.equal(data[0]!.datasourceUid, "clickstream-prometheus");
    assert.deepEqual([data[1]!.datasourceUid, data[1]!.model.expression], ["__expr__", "A"]);
    // Grafana replaces what stands in ${…} in these files by its environment.
    assert.doesNotMatch(JSON.stringify(data) + JSON.stringify(annotations), /\$\{/);
    assert.doesNotMatch(annotations["description"]!, /\$value\b|[{]\w/);
  }
});

Deno.test("the files are what their sources say, and it would be seen if they were not", async () => {
  const files = await everyFile();
  assert.deepEqual(await staleFiles(files), []);
  assert.deepEqual(await staleFiles({ ...files, "docs/metrics.md": "" }), ["docs/metrics.md"]);
  assert.deepEqual(await staleFiles({ "docs/missing.md": "" }), ["docs/missing.md"]);
});

/** A rule of Grafana's, as far as it is looked at. */
interface GrafanaRule {
  readonly uid: string;
  readonly title: string;
  readonly condition: string;
  readonly data: readonly {
    readonly refId: string;
    readonly datasourceUid: string;
    readonly model: { readonly expression?: string };
  }[];
  readonly annotations: Readonly<Record<string, string>>;
}
