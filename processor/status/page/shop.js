/**
 * The shop, from the tables: active users, sales, open windows and refusals.
 * @module
 */
import { Chart } from "./charts.js";
import { byId, clock, duration, fill, keyed, make, meter, minute, percent, show, whole } from "./dom.js";

/** If the latest event is older than this, in milliseconds, the page shows its time. */
const FRESH_MS = 90_000;

/** A chart without axes: the last hour, and the same hour a day before. */
function sparkline(id, name, format) {
  const lines = [
    { name, colour: "--accent", fill: "--accent-soft" },
    { name: "yesterday", colour: "--soft", dash: [3, 3] },
  ];
  return new Chart(id, { lines, format, time: minute });
}

const users = sparkline("active-chart", "users", whole);
const revenue = sparkline("revenue-chart", "revenue", money);

let shop = null;

/** Shows a report. */
export function showShop(report) {
  shop = report;
  byId("trouble").hidden = true;
  const { asOf, activeUsers, conversion, revenue: taken, topPages, refusals } = report;
  const isOld = asOf !== null && Date.now() - asOf >= FRESH_MS;
  const old = isOld ? `as of the latest event, ${clock(asOf)}` : "";
  show(byId("as-of"), asOf === null ? "No event has been committed yet." : old);
  if (activeUsers !== null) {
    show(byId("active-now"), whole(activeUsers.now));
    showTrend(users, byId("active-change"), activeUsers);
  }
  if (conversion !== null) showConversion(conversion);
  if (taken !== null) showTrend(revenue, byId("revenue-change"), taken);
  byId("pages-empty").hidden = topPages.length > 0;
  show(byId("pages-empty"), "No page was viewed in this time.");
  showBars(byId("pages"), topPages.map(({ page, views }) => ({ name: page, count: views })));
  showWindows(report);
  showRefusals(refusals);
}

function showTrend(chart, line, { series, dayBefore, change }) {
  const values = [series.map(([, figure]) => figure), ...(dayBefore === null ? [] : [dayBefore])];
  chart.draw(series.map(([end]) => end / 1000), values, {
    shown: [values[0], dayBefore ?? values[0].map(() => null)],
  });
  const share = change === null ? null : Math.abs(change) < 0.005 ? 0 : change;
  line.dataset.way = share === null || share === 0 ? "same" : share > 0 ? "up" : "down";
  const sign = share > 0 ? "+" : "−";
  show(
    line,
    share === null
      ? "no data from yesterday"
      : share === 0
      ? "same as yesterday"
      : share >= 9
      ? `${whole(share + 1)} times yesterday`
      : `${sign}${percent(Math.abs(share))} on yesterday`,
  );
}

/** Shows that the tables cannot be read; the last report stays. */
export function showTrouble(reason) {
  byId("trouble").hidden = reason === null;
  if (reason === null) return;
  const from = shop === null ? "" : " The figures below are from before.";
  // If the service is broken, the verdict gives the reason.
  const why = byId("verdict").dataset.level === "broken" ? "" : `: ${reason}`;
  show(byId("trouble"), `Cannot read the tables at the moment${why}.${from}`);
  // Windows and refusals may have changed since the last report.
  const unknown = "Unknown: cannot read the tables at the moment.";
  show(byId("windows-empty"), unknown);
  show(byId("refusals-empty"), unknown);
  show(byId("pages-empty"), unknown);
}

function showConversion({ sessions, conversions, rate, revenueCents, views, carts, purchases }) {
  show(byId("conversion-rate"), rate === null ? "–" : percent(rate));
  show(byId("sessions"), `${whole(conversions)} of ${whole(sessions)} with a purchase`);
  showBars(byId("funnel"), [
    { name: "page", count: views },
    { name: "→ cart", count: carts },
    { name: "→ bought", count: purchases },
  ]);
  show(byId("revenue"), money(revenueCents));
}

/** An amount in whole units, with its currency if it is known. */
function money(minor) {
  const { code, digits } = shop.currency;
  const units = minor / 10 ** digits;
  const amount = units < 1e6 ? whole(units) : `${(units / 1e6).toFixed(2)} M`;
  return code === null ? amount : `${amount} ${code}`;
}

function showBars(list, items) {
  const most = Math.max(1, ...items.map(({ count }) => count));
  keyed(
    list,
    items,
    ({ name }) => name,
    ({ name }) => make("li", "", make("span", "", name), make("span")),
    (bar, item) => {
      show(bar.lastElementChild, whole(item.count));
      fill(bar, item.count / most);
    },
  );
}

function showWindows({ windows, asOf, watermark }) {
  byId("windows-empty").hidden = windows.length > 0;
  const latest = asOf === null ? "" : ` The latest event is of ${clock(asOf)}.`;
  show(byId("windows-empty"), `No window is open; the next event opens one.${latest}`);
  keyed(byId("windows"), windows, ({ view, start }) => `${view} ${start}`, ({ view, start, end }) => {
    const name = make("span", "", view, make("small", "", ` ${minute(start)}–${minute(end)}`));
    return make("li", "", make("p", "line", name, make("span")), meter());
  }, (row, { start, end, count, unit }) => {
    const isOver = asOf >= end;
    const left = watermark === null ? "" : isOver ? ", waiting for late events" : `, ${duration(end - asOf)} left`;
    show(row.querySelector(".line").lastElementChild, `${whole(count)} ${unit}${left}`);
    fill(row.querySelector(".meter"), (asOf - start) / (end - start));
  });
}

/** Shows how many records this process has refused, by reason. */
export function showReasons({ refusals, totals, startedAt }) {
  const since = `since the service started, ${clock(startedAt)}`;
  show(byId("refusals-since"), totals.refused === 0 ? `none ${since}` : `${whole(totals.refused)} ${since}`);
  // In the order of the report: one by number would change while it is read.
  keyed(byId("reasons"), Object.entries(refusals), ([reason]) => reason, ([reason]) => {
    const why = make("span", "chip", reason.replaceAll("_", " "));
    why.dataset.kind = "refused";
    return make("li", "", why, make("b"));
  }, (row, [, count]) => show(row.lastElementChild, whole(count)));
}

function showRefusals(refusals) {
  const isEmpty = refusals.length === 0;
  byId("refusals-empty").hidden = !isEmpty;
  show(
    byId("refusals-empty"),
    "Nothing has been refused. A refused record appears here with its reason and its bytes.",
  );
  byId("refusals-count").hidden = isEmpty;
  show(byId("refusals-count"), `The latest ${refusals.length}, of all instances`);
  keyed(byId("refusals"), refusals, ({ id }) => id, (refusal) => {
    const { reason, field, detail, partition, offset, payload, bytes, refusedAt } = refusal;
    const why = make("span", "chip", reason.replaceAll("_", " "));
    why.dataset.kind = "refused";
    const isNamed = field === null || detail?.startsWith(field);
    const what = make("span", "what", isNamed ? "" : `${field}: `, detail ?? "");
    const where = make("span", "aside", `partition ${partition}, offset ${offset}, ${clock(refusedAt)}`);
    const sent = make("pre", "", bytes === 0 ? "(empty)" : payload);
    sent.tabIndex = 0;
    sent.ariaLabel = `Payload, ${whole(bytes)} bytes`;
    sent.role = "region";
    return make("li", "", make("details", "", make("summary", "", why, what, where), sent));
  }, (row, { replayedAt }) => {
    if (replayedAt === null || row.querySelector(".replayed") !== null) return;
    row.querySelector("summary").append(make("span", "aside replayed", `replayed ${clock(replayedAt)}`));
  });
}
