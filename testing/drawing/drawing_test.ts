/**
 * Draws the dashboards from their JSON and from the data of a running shop, with Grafana's own components, and looks at
 * them as an analyst would: nothing is empty, cut or green that must not be.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Dashboard, Panel } from "@grafana/grafana-foundation-sdk/dashboard";
import { openPanelsOf, sqlTargetsOf } from "../../grafana/expand.ts";
import { FILES } from "../../grafana/mod.ts";
import { startBrowser } from "../servers/browser.ts";
import { until } from "../servers/child.ts";
import type { Answer, AnswerField } from "./answer.ts";
import { answersOf } from "./answers.ts";
import { dislikes } from "./dislikes.ts";
import { MOST_BYTES, openDrawer, SCALE } from "./draw.ts";
import { PICTURE_PX, PICTURES } from "./pictures.ts";
import { serveDrawing } from "./page.ts";
import { openShop } from "./shop.ts";

const DOCS = fileURLToPath(new URL("../../docs/", import.meta.url));
const FOLDER = new URL("../../grafana/dashboards/", import.meta.url);

// kafkajs and the browser's client leave timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

const THEMES = ["light", "dark"] as const;
const WIDTHS = [1440, 1920];

/** The dashboard as Grafana gets it. */
async function read(file: string): Promise<Dashboard> {
  return JSON.parse(await Deno.readTextFile(new URL(file, FOLDER))) as Dashboard;
}

/** The dashboard with some of its panels only. */
function only(dashboard: Dashboard, titles: readonly string[]): Dashboard {
  return { ...dashboard, panels: openPanelsOf(dashboard).filter(({ title }) => titles.includes(title!)) };
}

/** Writes a user's id that consists of digits, as some shops have them, into the first row. */
function numbered(answers: Readonly<Record<number, Answer>>): Record<number, Answer> {
  const fieldOf = (field: AnswerField) =>
    field.name === "user" ? { ...field, values: ["541312140", ...field.values.slice(1)] } : field;
  const copies = Object.entries(answers).map(([id, answer]) => {
    const frames = answer.frames.map((frame) => ({ ...frame, fields: frame.fields.map(fieldOf) }));
    return [id, { ...answer, frames }] as const;
  });
  return Object.fromEntries(copies);
}

/** Faults of a panel, each with what is disliked then. */
const FAULTS: readonly (readonly [file: string, title: string, fault: (panel: Panel) => void, seen: RegExp])[] = [
  ["analytics.json", "Devices", (panel) => panel.targets = [], /is empty/],
  [
    "analytics.json",
    "Regions",
    (panel) => panel.options.reduceOptions.fields = "/^event$/",
    /is empty/,
  ],
  ["analytics.json", "Conversion rate", (panel) => panel.fieldConfig!.defaults.unit = "short", /says 0\./],
  ["analytics.json", "Event rate by type", (panel) => panel.fieldConfig!.defaults.unit = "s", /says /],
  ["analytics.json", "Today in numbers", (panel) => panel.gridPos!.w = 5, /cut: |columns outside/],
  ["analytics.json", "Top pages", (panel) => named(panel, "bounce rate").options = "bounces", /bounce rate is 0\./],
  [
    "analytics.json",
    "Events by weekday and hour",
    (panel) => panel.fieldConfig!.defaults.custom!.minWidth = 90,
    /outside/,
  ],
  ["analytics.json", "Latest events", (panel) => asked(panel, "limit 50", "limit 0"), /is empty/],
  ["analytics.json", "Active users over time", (panel) => asked(panel, "max(users)", "null::int"), /draws nothing/],
  [
    "analytics.json",
    "Bounce rate",
    (panel) => panel.transformations = [{ id: "reduce", options: {} }],
    /transformations/,
  ],
  ["behavior.json", "New and returning users", (panel) => panel.options.xField = "date", /no column date/],
  ["behavior.json", "Top users", (panel) => panel.fieldConfig!.defaults.unit = "short", /user is 541 Mil/],
  ["behavior.json", "Funnel", (panel) => panel.type = "piechart", /piechart cannot be drawn/],
  ["views.json", "cart_products", (panel) => asked(panel, "'cart_products'", "'no_view'"), /is empty/],
  ["views.json", "busy_hours", (panel) => asked(panel, "s.value end", "null end"), /draws nothing/],
  ["views.json", "Declared views", (panel) => panel.gridPos!.w = 8, /columns outside|cut: /],
  ["behavior.json", "Top users", (panel) => valued(panel, "last seen", "custom.width").value = 90, /cut: \d{4}-/],
];

function named(panel: Panel, name: string): { options?: unknown } {
  return panel.fieldConfig!.overrides.find(({ matcher }) => matcher.options === name)!.matcher;
}

function valued(panel: Panel, name: string, id: string): { value?: unknown } {
  const all = panel.fieldConfig!.overrides.filter(({ matcher }) => matcher.options === name);
  return all.flatMap(({ properties }) => properties).find((property) => property.id === id)!;
}

function asked(panel: Panel, right: string, wrong: string): void {
  const [target] = sqlTargetsOf(panel) as { rawSql: string }[];
  const sql = target!.rawSql.replace(right, wrong);
  assert.notEqual(sql, target!.rawSql);
  target!.rawSql = sql;
}

/** The alert that a service is down, before it fires. */
const DOWN = 'ALERTS{alertname="ClickstreamDown",alertstate="pending"}';

Deno.test("an analyst and an operator can read the dashboards in both themes", leaky, async (t) => {
  await using opened = new AsyncDisposableStack();
  // Packages are installed and bundled while the shop opens.
  const [shop, browser, served] = await Promise.all([
    openShop({ days: 9, rate: 0.05, liveRate: 20 }).then((shop) => opened.use(shop)),
    startBrowser().then((browser) => opened.use(browser)),
    serveDrawing().then((served) => opened.use(served)),
  ]);
  const drawer = opened.use(await openDrawer(browser, served));
  const draw = async (file: string, dashboard: Dashboard) => {
    const look = shop.rangeOf(file);
    const answers = numbered(await answersOf(dashboard, shop.sources, look));
    return { answers, drawn: await drawer.draw({ dashboard, answers, ...look, theme: "light", width: 1440 }) };
  };

  const shots = await Promise.all(
    Object.keys(FILES).map(async (file) => {
      const [dashboard, look] = [await shop.withViews(await read(file)), shop.rangeOf(file)];
      return { file, dashboard, ...look, answers: numbered(await answersOf(dashboard, shop.sources, look)) };
    }),
  );
  for (const theme of THEMES) {
    for (const { file, ...shot } of shots) {
      await t.step(`${file}, ${theme}`, async () => {
        for (const width of WIDTHS) {
          const drawn = await drawer.draw({ ...shot, theme, width });
          assert.deepEqual(dislikes(drawn, shot.dashboard, shot.answers), [], `${width} px`);
        }
      });
    }
  }

  await t.step("faults of panels are seen", async () => {
    for (const [file, title, fault, seen] of FAULTS) {
      const dashboard = only(await shop.withViews(await read(file)), [title]);
      fault(openPanelsOf(dashboard)[0]!);
      const { answers, drawn } = await draw(file, dashboard);
      assert.match(dislikes(drawn, dashboard, answers).join("\n"), seen, title);
    }
  });

  await t.step("a dead service is red, in words", async () => {
    const titles = ["Lag", "Watermark delay", "Time since last commit", "Refused"];
    const dashboard = only(await read("system.json"), ["Ready", ...titles]);
    await shop.stopService();
    const { drawn } = await draw("system.json", dashboard);
    const texts = Object.fromEntries(drawn.panels.map(({ title, text }) => [title, text]));
    assert.match(texts["Ready"]!, /Down$/);
    for (const title of titles) assert.match(texts[title]!, /Silent$/, title);
  });

  await t.step("an alert that is pending is told with its state", async () => {
    const dashboard = only(await read("system.json"), ["Alerts"]);
    await until("the alert is pending", async () => await shop.sources.prometheus.seriesOf(DOWN) > 0);
    const { answers, drawn } = await draw("system.json", dashboard);
    assert.deepEqual(dislikes(drawn, dashboard, answers), []);
    const [panel] = drawn.panels;
    assert.deepEqual(panel!.columns.map(({ heading }) => heading), ["alert", "state", "severity", "since"]);
    assert.deepEqual(panel!.columns.slice(0, 3).map(({ cells }) => cells), [
      ["ClickstreamDown"],
      ["pending"],
      ["critical"],
    ]);
  });
});

Deno.test("docs/ has the pictures, which are small", leaky, async () => {
  const page = await Deno.readTextFile(`${DOCS}dashboards.md`);
  for (const name of PICTURES) {
    const bytes = await Deno.readFile(`${DOCS}${name}`);
    assert.ok(bytes.length <= MOST_BYTES, `${name} has ${bytes.length} bytes`);
    // A WebP with an extended header, which has its width less one.
    assert.equal(new TextDecoder().decode(bytes.subarray(8, 16)), "WEBPVP8X", name);
    assert.equal(new DataView(bytes.buffer).getUint16(24, true) + 1, PICTURE_PX * SCALE, name);
  }
  const shown = [...page.matchAll(/\((dashboard-[\w-]+\.webp)\)/g)].map(([, name]) => name!);
  assert.deepEqual([...new Set(shown)].sort(), [...PICTURES].sort());
});
