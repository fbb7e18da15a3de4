/**
 * Checks the rules with Prometheus' own tool: they are well-formed, and each alert fires exactly when it must.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { parse, stringify } from "yaml";
import { promtool } from "../../testing/servers/prometheus.ts";
import { everyFile, staleFiles } from "../../tasks/monitoring.ts";
import { type Alert, ALERTS, RUNBOOK_UID, runbookUrlOf } from "./alerts.ts";
import { type Case, CASES } from "./rules_cases.ts";
import { generatedFiles, prometheusConfig, rulesFile } from "./files.ts";
import { RECORDINGS } from "./recordings.ts";

const ROOT = new URL("../../", import.meta.url);
const HERE = fileURLToPath(new URL(".", import.meta.url));

/** Where Grafana is in the cases. */
const GRAFANA = "https://grafana.shop.example";

/** Runs promtool on the cases, with these alerts instead of the real ones; returns its output. */
async function judged(cases: readonly Case[], alerts: readonly Alert[] = ALERTS) {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-rules-" });
  await Deno.writeTextFile(`${folder}/rules.yml`, rulesFile(RECORDINGS, alerts));
  const tests = cases.map(({ alert: name, about, series, minute, fires }) => {
    const alert = ALERTS.find((alert) => alert.name === name)!;
    return {
      name: `${name}: ${about}`,
      interval: "1m",
      external_labels: { grafana: GRAFANA },
      input_series: Object.entries(series).map(([series, values]) => ({ series, values })),
      alert_rule_test: [{
        alertname: name,
        eval_time: `${minute}m`,
        exp_alerts: fires.map(([labels, description]) => ({
          exp_labels: { severity: alert.severity, ...labels },
          exp_annotations: { summary: alert.summary, description, runbook_url: runbookUrlOf(alert, GRAFANA) },
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

Deno.test("promtool accepts the configuration and the rules", async () => {
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

Deno.test("every alert fires when it must, and only then", async () => {
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

Deno.test("an alert that never fires is found, and so is one that always fires", async () => {
  const never = ALERTS.map((alert): Alert => ({ ...alert, value: "vector(0) > 1" }));
  const always = ALERTS.map((alert): Alert => ({ ...alert, value: "vector(1)", threshold: [">", 0] }));
  for (const wrong of [never, always]) {
    const { code, said } = await judged(CASES, wrong);
    assert.equal(code, 1);
    for (const { name } of ALERTS) assert.match(said, new RegExp(`alertname: ${name},`));
  }
});

Deno.test("every alert says what is wrong and links to its runbook", async () => {
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

Deno.test("Grafana's alerts equal Prometheus' alerts, in the format of provisioning files", () => {
  const text = generatedFiles()["grafana/provisioning/alerting/clickstream.yaml"]!;
  const { apiVersion, groups } = parse(text);
  assert.equal(apiVersion, 1);
  const rules = groups.flatMap(({ rules }: { rules: GrafanaRule[] }) => rules) as GrafanaRule[];
  assert.deepEqual(rules.map(({ title }) => title), ALERTS.map(({ summary }) => summary));
  assert.equal(new Set(rules.map(({ uid }) => uid)).size, rules.length);
  for (const { uid, condition, data, annotations } of rules) {
    assert.match(uid, /^[a-z-]{1,40}$/);
    assert.match(
      annotations["runbook_url"]!,
      new RegExp(`^\\{\\{ reReplaceAll "/\\$" "" externalURL \\}\\}/d/${RUNBOOK_UID}\\?viewPanel=\\d+$`),
    );
    assert.deepEqual(data.map(({ refId }) => refId), ["A", "B"]);
    assert.equal(condition, "B");
    assert.equal(data[0]!.datasourceUid, "clickstream-prometheus");
    assert.deepEqual([data[1]!.datasourceUid, data[1]!.model.expression], ["__expr__", "A"]);
    // Grafana replaces `${…}` in these files by environment variables.
    assert.doesNotMatch(JSON.stringify(data) + JSON.stringify(annotations), /\$\{/);
    assert.doesNotMatch(annotations["description"]!, /\$value\b|[{]\w/);
  }
});

Deno.test("the files match their sources, and a stale file is found", async () => {
  const files = await everyFile();
  assert.deepEqual(await staleFiles(files), []);
  assert.deepEqual(await staleFiles({ ...files, "docs/metrics.md": "" }), ["docs/metrics.md"]);
  assert.deepEqual(await staleFiles({ "docs/missing.md": "" }), ["docs/missing.md"]);
});

/** The parts of a Grafana rule that the test reads. */
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
