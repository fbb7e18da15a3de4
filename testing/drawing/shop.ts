/**
 * A running shop whose dashboards can be drawn: Kafka, PostgreSQL, the compiled service, the simulator, Prometheus and
 * its exporters.
 * @module
 */
import { parse, stringify } from "yaml";
import { fileURLToPath } from "node:url";
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { withRepeats } from "../../grafana/expand.ts";
import { JOBS, prometheusConfig } from "../../grafana/prometheus/files.ts";
import { openPostgres } from "../../processor/postgres/postgres.ts";
import { Child, freePort, run, until } from "../servers/child.ts";
import { startKafka } from "../servers/kafka.ts";
import { startPostgres, using } from "../servers/postgres.ts";
import { jmxAgent, startNodeExporter, startPostgresExporter, startPrometheus } from "../servers/prometheus.ts";
import type { Sources } from "./answers.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BINARY = `${ROOT}dist/clickstream`;
const MONITORING = `${ROOT}grafana/prometheus/`;

/** The rules without the alert on disks: that of this machine is not the shop's. */
function rulesOfShop(text: string): string {
  const { groups } = parse(text) as {
    readonly groups: readonly { readonly rules: readonly { readonly alert?: string }[] }[];
  };
  const kept = groups.map((group) => ({
    ...group,
    rules: group.rules.filter(({ alert }) => alert !== "ClickstreamDatabaseNearlyFull"),
  }));
  return stringify({ groups: kept });
}

/** Seconds between scrapes. */
const SCRAPE_S = 2;

/** What Grafana would be told: more, because a scrape may be late on a busy machine. */
const TOLD_MS = 5000;

/** Scrapes of the service with which graphs are more than some points. */
const LEAST_SCRAPES = 12;

/** How much the shop has sold, and how much it sells. */
export interface Trade {
  /** Days of events before it opens. */
  readonly days: number;
  /** Events per second then. */
  readonly rate: number;
  /** Events per second now. */
  readonly liveRate: number;
}

/** What the shop has declared: views of each kind of window, with and without keys, goals, and a funnel. */
const VIEWS_FILE = `views:
  - name: campaign_visits
    description: What visitors of campaigns do, by campaign.
    window: 15 minutes
    filter: { event: [page_view, add_to_cart, purchase] }
    keys: [campaign]
    measures: { views: { measure: count, filter: { event: page_view } }, visitors: users, revenue_cents: sum revenue }
  - name: cart_products
    description: What is put into carts, by product.
    filter: { event: add_to_cart }
    window: 1 hour
    keys: [product]
    measures: { carts: count, people: users, price_cents: sum price, last_page: last page }
  - name: busy_hours
    description: Users on phones and tablets within an hour, every quarter of an hour.
    filter: { device: [mobile, tablet] }
    window: { size: 1 hour, every: 15 minutes }
    keys: [device]
    measures: { people: users, seen: count }
  - name: region_days
    description: Days of regions.
    window: 1 day
    keys: [region]
    measures: { seen: count, people: users, revenue_cents: sum revenue }
goals:
  - { name: order, description: Bought something., filter: { event: purchase } }
  - { name: found, description: Searched for something on a phone., filter: { event: search, device: mobile } }
funnels:
  - name: checkout
    description: From a product to the order.
    steps:
      - { name: product, filter: { page: { prefix: /product/ } } }
      - { name: cart, filter: { event: add_to_cart } }
      - { name: order, filter: { event: purchase } }
`;

/** A running shop. */
export interface Shop extends AsyncDisposable {
  readonly sources: Sources;
  /** The dashboard with a panel for each view that the database says to be declared. */
  withViews(dashboard: Dashboard): Promise<Dashboard>;
  /** The time range in which to draw a dashboard: its own, or for metrics since the service began. */
  rangeOf(file: string): Range;
  /** Ends the service, and waits until Prometheus knows it. */
  stopService(): Promise<void>;
}

/** A time range. */
export interface Range {
  readonly from: Date;
  readonly to: Date;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const DAYS: Readonly<Record<string, number>> = { "analytics.json": 1, "behavior.json": 7, "views.json": 7 };

/** Up to now, but not just after midnight, when there is hardly any "today". */
function rangeOf(file: string, since: Date): Range {
  const days = DAYS[file];
  if (days === undefined) return { from: since, to: new Date() };
  const nowMs = Date.now();
  const to = nowMs % DAY_MS < 3 * HOUR_MS ? nowMs - nowMs % DAY_MS - HOUR_MS : nowMs;
  return { from: new Date(to - days * DAY_MS), to: new Date(to) };
}

/** Events that are late by minutes to half an hour, as lines of JSON. */
function lateEvents(): string {
  const events = Array.from({ length: 30 }, (_, n) => {
    return { userId: `u-0000000${n % 10}`, eventType: "page_view", page: "/", timestamp: Date.now() - n * MINUTE_MS };
  });
  return events.map((event) => JSON.stringify(event) + "\n").join("");
}

/** Opens a shop: all of its past events are stored, and Prometheus has scraped everything. */
export async function openShop({ days, rate, liveRate }: Trade): Promise<Shop> {
  await using opened = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "clickstream-drawing-" });
  opened.defer(() => Deno.remove(folder, { recursive: true }));
  const targets = { kafka: `127.0.0.1:${freePort()}`, clickstream: `127.0.0.1:${freePort()}` };
  const agent = `-javaagent:${await jmxAgent()}=${targets.kafka}:${MONITORING}kafka.yml`;
  const [broker, server] = await Promise.all([
    startKafka({ java: [agent] }).then((broker) => opened.use(broker)),
    startPostgres().then((server) => opened.use(server)),
  ]);
  const url = await server.createDatabase("shop");
  const views = `${folder}/views.yaml`;
  await Deno.writeTextFile(views, VIEWS_FILE);
  const env = {
    ...{ KAFKA_BROKERS: broker.bootstrap, DATABASE_URL: url, HTTP_LISTEN: targets.clickstream, VIEWS_FILE: views },
  };
  await run(BINARY, ["migrate"], env);
  await run(BINARY, ["views", "apply"], env);
  await using(url, (db) => db.exec("create role monitor login; grant clickstream_reader, pg_monitor to monitor"));
  const readerUrl = server.urlFor("monitor", "", "shop");
  const [node, exporter] = await Promise.all([
    startNodeExporter(folder).then((node) => opened.use(node)),
    startPostgresExporter(folder, readerUrl, `${MONITORING}exporter_queries.yml`).then((one) => opened.use(one)),
  ]);

  const all: Record<typeof JOBS[number], string> = { ...targets, node: node.target, postgresql: exporter.target };
  await run("cp", ["-r", `${MONITORING}targets`, folder]);
  await Deno.writeTextFile(`${folder}/rules.yml`, rulesOfShop(await Deno.readTextFile(`${MONITORING}rules.yml`)));
  for (const [job, target] of Object.entries(all)) {
    await Deno.writeTextFile(`${folder}/targets/${job}.yml`, `- targets: [${target}]\n`);
  }
  await Deno.writeTextFile(`${folder}/prometheus.yml`, prometheusConfig(`${SCRAPE_S}s`));

  const users = ["--users", String(Math.ceil(rate * days * 86_400 / 60))];
  const past = ["--fast", "--seconds", String(days * 86_400), "--rate", String(rate)];
  // Enough of each kind, so that no share is 0 ÷ 0 between two scrapes.
  const kinds = ["--bad", "0.02", "--duplicates", "0.05", "--late", "0.05"];
  const present = ["--seed", "2", "--rate", String(liveRate), ...kinds];
  // Prometheus is first, so that it sees what the service does with the past.
  const [prometheus] = await Promise.all([
    startPrometheus(folder).then((prometheus) => opened.use(prometheus)),
    run(BINARY, ["generate", ...past, ...users], env),
  ]);
  const late = `${folder}/late.ndjson`;
  await Deno.writeTextFile(late, lateEvents());
  const since = new Date();
  const service = opened.use(Child.start(BINARY, ["run"], `${folder}/service.log`, env));
  opened.use(Child.start(BINARY, ["generate", ...present, ...users], `${folder}/shop.log`, env));
  const caughtUp =
    "clickstream_ready == 1 and on () clickstream:lag_records:sum < 100 and on () clickstream_commits_total > 3 " +
    `and on () count_over_time(clickstream_ready[10m]) >= ${LEAST_SCRAPES} ` +
    "and on () sum(rate(clickstream_events_total[20s])) > 0 and on () sum(rate(clickstream_lateness_seconds_count[8s])) > 0";
  const postgres = await openPostgres(readerUrl);
  opened.defer(() => postgres.close());
  const isThere = async () => {
    if (service.ended) throw new Error(await service.tail());
    // The simulator's own late events come minutes later.
    await run(BINARY, ["produce", late], env);
    const { rowCount } = await postgres.query(
      `select from clickstream.traffic
        where window_start >= now() - interval '5 minutes' and window_start < date_trunc('minute', now()) limit 1`,
    );
    return rowCount > 0 && await prometheus.seriesOf(caughtUp) > 0;
  };
  await until("the past is stored, and a minute of the present", isThere, 600_000, 500);
  const kept = opened.move();
  return {
    sources: { postgres, prometheus, scrapeMs: TOLD_MS },
    async withViews(dashboard) {
      const { query } = dashboard.templating?.list?.find(({ name }) => name === "view") ?? {};
      if (query === undefined) return dashboard;
      const { rows } = await postgres.query<{ view: string }>(String(query));
      return withRepeats(dashboard, { view: rows.map(({ view }) => view).sort() });
    },
    rangeOf: (file) => rangeOf(file, since),
    async stopService() {
      await service.end("SIGTERM");
      await until("Prometheus knows it", async () => await prometheus.seriesOf("clickstream_ready") === 0);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
