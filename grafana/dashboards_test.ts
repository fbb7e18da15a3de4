/**
 * Checks the dashboard files that Grafana gets, as a dashboard linter would.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Dashboard, Panel, RowPanel } from "@grafana/grafana-foundation-sdk/dashboard";
import { parse } from "yaml";
import { staleFiles } from "../tasks/dashboards.ts";
import { GRID, TAG } from "./dashboard.ts";
import { expressionsOf, panelsOf, withRepeats } from "./expand.ts";
import { DASHBOARDS, fileOf, FILES } from "./mod.ts";
import { fedIn, listIn, panelList } from "./panel_list.ts";
import { ALERTS, runbookUrlOf } from "./prometheus/alerts.ts";
import { FOREIGN } from "./prometheus/foreign.ts";
import { DATA_SOURCES } from "./query.ts";

const HERE = new URL(".", import.meta.url);
const FOLDER = new URL("dashboards/", HERE);
const PLUGINS = ["barchart", "bargauge", "stat", "table", "timeseries"];
const METRICS_PAGE = new URL("../docs/metrics.md", HERE);
const HAS_METRICS_PAGE = await Deno.stat(METRICS_PAGE).then(() => true, () => false);

async function files(): Promise<Dashboard[]> {
  const names = Object.keys(DASHBOARDS);
  return await Promise.all(names.map(async (name) => JSON.parse(await Deno.readTextFile(new URL(name, FOLDER)))));
}

/** Headings and panels, including those under closed headings. */
function everything({ panels = [] }: Dashboard): (Panel | RowPanel)[] {
  return panels.flatMap((panel) => [panel, ...panel.type === "row" ? (panel as RowPanel).panels : []]);
}

/** Describes what is wrong with a dashboard. */
function lint(dashboard: Dashboard): string[] {
  const all = everything(dashboard);
  return [
    ...lintWhole(dashboard),
    ...repeated(all.map(({ id }) => id)).map((id) => `two panels have the id ${id}`),
    ...repeated(all.map(({ title }) => title)).map((title) => `two panels are called ${title}`),
    ...all.flatMap((panel) => lintPlace(panel, all)),
    ...panelsOf(dashboard).flatMap((panel) => lintPanel(panel, dashboard).map((what) => `${panel.title}: ${what}`)),
  ];
}

function lintWhole({ uid, title, description, tags, timezone, links, templating, schemaVersion }: Dashboard): string[] {
  const variables = templating?.list ?? [];
  return refused([
    [!/^[a-z-]{1,40}$/.test(uid ?? ""), "has no uid"],
    [!title, "has no title"],
    [timezone !== "utc" || !/UTC/.test(description ?? ""), "does not say that its times are UTC"],
    [!tags?.includes(TAG), "is not found by the others"],
    [
      !links?.some(({ type, tags, keepTime }) => type === "dashboards" && tags.includes(TAG) && keepTime),
      "has no links",
    ],
    [schemaVersion > 39, "is written for a Grafana later than 11"],
    [variables.some(({ label }) => !label), "has a variable without a label"],
    [repeated(variables.map(({ name }) => name)).length > 0, "has a variable twice"],
    ...Object.entries(DATA_SOURCES).map(([name, { type, uid }]): [boolean, string] => {
      const variable = variables.find((variable) => variable.name === name);
      const isRight = variable?.type === "datasource" && variable.query === type && variable.current?.value === uid;
      return [variable !== undefined && !isRight, `the variable ${name} does not stand for its data source`];
    }),
  ]);
}

function lintPlace({ id, title, gridPos }: Panel | RowPanel, all: readonly (Panel | RowPanel)[]): string[] {
  if (gridPos === undefined) return [`${title}: stands nowhere`];
  const { x, y, w, h } = gridPos;
  const over = all.filter((other) =>
    other.id !== id && other.gridPos !== undefined && x < other.gridPos.x + other.gridPos.w &&
    other.gridPos.x < x + w &&
    y < other.gridPos.y + other.gridPos.h && other.gridPos.y < y + h
  );
  return refused([
    [x < 0 || w < 1 || x + w > GRID, `${title}: reaches over the edge`],
    [over.length > 0, `${title}: stands over ${over[0]?.title}`],
  ]);
}

function lintPanel(panel: Panel, dashboard: Dashboard): string[] {
  const { type, description = "", datasource, targets = [], fieldConfig } = panel;
  const asked = targets as unknown as { refId?: string; datasource?: { uid?: string }; expr?: string }[];
  const sources = [datasource, ...asked.map((target) => target.datasource)];
  const names = dashboard.templating?.list?.filter((variable) => variable.type === "datasource").map((v) => v.name) ??
    [];
  return refused([
    [!PLUGINS.includes(type), `${type} is not known`],
    [description.length < 25 || !/[.:]/.test(description), "has no definition"],
    [!fieldConfig?.defaults.unit, "has no unit"],
    [!fieldConfig?.defaults.noValue, "says nothing where it is empty"],
    [targets.length === 0, "asks nothing"],
    [
      asked.some(({ refId }) => !refId) || repeated(asked.map(({ refId }) => refId)).length > 0,
      "has targets of one refId",
    ],
    [
      sources.some((source) => !names.some((name) => source?.uid === `\${${name}}`)),
      "asks a data source that is not a variable's",
    ],
    [
      asked.some(({ expr }) => expr !== undefined && /\[\d+[smh]\]/.test(expr) && !/\[5m\]/.test(expr)),
      "has a fixed step",
    ],
  ]);
}

function refused(checks: readonly (readonly [is: boolean, what: string])[]): string[] {
  return checks.filter(([is]) => is).map(([, what]) => what);
}

function repeated<T>(values: readonly T[]): T[] {
  return values.filter((value, n) => value !== undefined && values.indexOf(value) < n);
}

function metricsIn(expression: string): string[] {
  return [...expression.matchAll(/\b(?:clickstream|process|kafka|node|pg)_\w+/g)].map(([name]) => name);
}

Deno.test("the dashboards are the committed files", async () => {
  assert.deepEqual(await staleFiles(FOLDER), []);
  const folder = await Deno.makeTempDir();
  const copy = new URL(`file://${folder}/`);
  for (const [name, dashboard] of Object.entries(FILES)) {
    await Deno.writeTextFile(new URL(name, copy), fileOf(dashboard).replace(/"refresh": "[13]0s"/, '"refresh": "31s"'));
  }
  await Deno.writeTextFile(new URL("old.json", copy), "");
  assert.deepEqual(await staleFiles(copy), ["analytics.json", "system.json", "old.json"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the linter finds nothing wrong with the dashboards", async () => {
  for (const dashboard of await files()) assert.deepEqual(lint(dashboard), [], dashboard.title ?? "");
  const uids = (await files()).map(({ uid }) => uid);
  assert.deepEqual(uids, ["clickstream-analytics", "clickstream-behavior", "clickstream-system", "clickstream-views"]);
});

Deno.test("the linter finds nothing wrong with any number of repeated panels", () => {
  const views = DASHBOARDS["views.json"]!;
  for (const view of [[], ["a"], ["a", "b"], ["a", "b", "c", "d", "e"]]) {
    const copies = withRepeats(views, { view });
    assert.deepEqual(lint(copies), [], `${view}`);
    const repeated = panelsOf(copies).slice(panelsOf(views).length - 1);
    assert.deepEqual(repeated.map(({ title }) => title), view.length === 0 ? [""] : view);
  }
});

Deno.test("the linter finds faults", async () => {
  type Loose = { panels: Record<string, unknown>[] } & Record<string, unknown>;
  const planted: readonly (readonly [what: RegExp, fault: (dashboard: Loose) => void])[] = [
    [/reaches over the edge/, ({ panels }) => panels[1]!["gridPos"] = { x: 20, y: 500, w: 5, h: 4 }],
    [/stands over/, ({ panels }) => panels[1]!["gridPos"] = panels[2]!["gridPos"]],
    [/two panels have the id/, ({ panels }) => panels[1]!["id"] = panels[2]!["id"]],
    [/two panels are called/, ({ panels }) => panels[1]!["title"] = panels[2]!["title"]],
    [/no definition/, ({ panels }) => panels[1]!["description"] = "Events"],
    [/no unit/, ({ panels }) => panels[1]!["fieldConfig"] = { defaults: { noValue: "-" }, overrides: [] }],
    [/where it is empty/, ({ panels }) => panels[1]!["fieldConfig"] = { defaults: { unit: "s" }, overrides: [] }],
    [/not a variable's/, ({ panels }) => panels[1]!["datasource"] = { type: "postgres", uid: "clickstream-postgres" }],
    [/one refId/, ({ panels }) => panels[1]!["targets"] = [panels[1]!["targets"], panels[1]!["targets"]].flat()],
    [/is not known/, ({ panels }) => panels[1]!["type"] = "graph"],
    [/times are UTC/, (dashboard) => dashboard["timezone"] = "browser"],
    [/has no links/, (dashboard) => dashboard["links"] = []],
    [/does not stand for/, (dashboard) => {
      (dashboard["templating"] as { list: { current: unknown }[] }).list[0]!.current = { value: "other" };
    }],
  ];
  for (const [what, fault] of planted) {
    const [dashboard] = await files();
    fault(dashboard as unknown as Loose);
    assert.match(lint(dashboard!).join("\n"), what);
  }
});

Deno.test({
  name: "every metric that a dashboard names exists (ignored without docs/metrics.md, which lists them)",
  ignore: !HAS_METRICS_PAGE,
  fn: async () => {
    const page = await Deno.readTextFile(METRICS_PAGE);
    const known = new Set([...page.matchAll(/`((?:clickstream|process|kafka)_\w+)`/g)].map(([, name]) => name!));
    const exists = (name: string) => known.has(name.replace(/_bucket$/, "")) || name in FOREIGN;
    const named = (await files()).flatMap(expressionsOf).flatMap(({ expr }) => metricsIn(expr));
    assert.ok(named.length > 30);
    assert.deepEqual(named.filter((name) => !exists(name)), []);
    assert.equal(exists("clickstream_evnets_total"), false);
  },
});

Deno.test("docs/dashboards.md lists every panel and what feeds it", async () => {
  const page = await Deno.readTextFile(new URL("../docs/dashboards.md", HERE));
  const fed = (dashboards: Dashboard[]) => fedIn(panelList(dashboards, [], () => []));
  const listed = fedIn(listIn(page));
  assert.deepEqual(listed, fed(await files()));
  assert.ok(listed.length > 60);
  assert.deepEqual(listed.filter((line) => line.endsWith(": ")), []);
  const [analytics] = await files();
  analytics!.panels!.splice(1, 1);
  assert.notDeepEqual(listed.slice(0, 10), fed([analytics!]).slice(0, 10));
});

/** Expands a text of a provisioning file as Grafana does: first variables in braces, then all variables, once. */
function expanded(text: string, env: Readonly<Record<string, string>>): string {
  const inBraces = text.replaceAll(/\$\{([^}]+)\}/g, (_, name: string) => env[name] ?? "");
  return inBraces.replaceAll(/\$(?:\{([^}]+)\}|(\w+))/g, (_, a?: string, b?: string) => env[a ?? b ?? ""] ?? "");
}

Deno.test("provisioning reads the environment, whatever characters a password contains", async () => {
  const text = await Deno.readTextFile(new URL("provisioning/datasources/clickstream.yaml", HERE));
  const { datasources } = parse(text) as { datasources: Record<string, unknown>[] };
  assert.deepEqual(
    datasources.map(({ type, uid }) => ({ type, uid })),
    Object.values(DATA_SOURCES).map(({ type, uid }) => ({ type, uid })),
  );
  const [postgres, prometheus] = datasources;
  const env = {
    CLICKSTREAM_POSTGRES_PASSWORD: "pa$$w$rd$HOME${HOME}",
    HOME: "/root",
    CLICKSTREAM_PROMETHEUS_URL: "http://p",
  };
  const { password } = postgres!["secureJsonData"] as { password: string };
  assert.equal(expanded(password, env), env.CLICKSTREAM_POSTGRES_PASSWORD);
  assert.notEqual(expanded("${CLICKSTREAM_POSTGRES_PASSWORD}", env), env.CLICKSTREAM_POSTGRES_PASSWORD);
  assert.equal(expanded(prometheus!["url"] as string, env), "http://p");
  // An empty mode would take any certificate, so no variable may decide it.
  const { sslmode, sslRootCertFile } = postgres!["jsonData"] as Record<string, string>;
  assert.equal(sslmode, "verify-full");
  assert.equal(sslRootCertFile, "$CLICKSTREAM_POSTGRES_CA");
  for (const key of ["url", "user"]) assert.match(String(postgres![key]), /^\$CLICKSTREAM_POSTGRES_[A-Z]+$/);
  const said = new Set([...text.matchAll(/^# {3}(CLICKSTREAM_\w+)/gm)].map(([, name]) => name));
  const used = new Set([...text.matchAll(/\$(CLICKSTREAM_\w+)/g)].map(([, name]) => name));
  assert.deepEqual(said, used);
});

Deno.test("the dashboards are provisioned from their folder", async () => {
  const folder = fileURLToPath(new URL("provisioning", HERE));
  const text = await Deno.readTextFile(`${folder}/dashboards/clickstream.yaml`);
  const { providers: [provider] } = parse(text) as { providers: { type: string; options: { path: string } }[] };
  assert.equal(provider!.type, "file");
  const path = expanded(provider!.options.path, { GF_PATHS_PROVISIONING: folder });
  assert.deepEqual(
    (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name).sort(),
    Object.keys(FILES).sort(),
  );
});

Deno.test("an alert's link leads to its section of the runbook", async () => {
  const runbook = JSON.parse(await Deno.readTextFile(new URL("runbook.json", FOLDER))) as Dashboard;
  const debugging = await Deno.readTextFile(new URL("../docs/debugging.md", HERE));
  for (const alert of ALERTS) {
    const url = new URL(runbookUrlOf(alert, "https://grafana.shop.example/monitoring"));
    assert.equal(url.pathname, `/monitoring/d/${runbook.uid}`);
    const panel = panelsOf(runbook).find(({ id }) => String(id) === url.searchParams.get("viewPanel"))!;
    assert.match(panel.options.content, new RegExp(`\\*\\*Alert\\*\\* \`${alert.name}\``), alert.name);
    assert.ok(debugging.includes(`\n## ${panel.title}\n`), `${panel.title} is no section`);
    // Neither a file nor an anchor can be reached from Grafana.
    for (const [, target] of panel.options.content.matchAll(/\]\(([^)]+)\)/g)) {
      assert.match(target!, /^d\/clickstream-/);
    }
  }
});
