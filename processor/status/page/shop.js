/**
 * The shop, from the tables: active users, sales, open windows and refusals.
 * @module
 */
import { drawActive } from "./charts.js";
import { byId, clock, duration, fill, keyed, make, meter, minute, percent, show, whole } from "./dom.js";

/** If the latest event is older than this, in milliseconds, the page shows its time. */
const FRESH_MS = 90_000;

let shop = null;

/** Shows a report. */
export function showShop(report) {
  shop = report;
  byId("trouble").hidden = true;
  const { asOf, activeUsers, conversion, topPages, refusals } = report;
  show(byId("as-of"), asOf === null || Date.now() - asOf < FRESH_MS ? "" : `as of the latest event, ${clock(asOf)}`);
  if (activeUsers !== null) {
    show(byId("active-now"), whole(activeUsers.now));
    drawActive(activeUsers.series);
  }
  if (conversion !== null) showConversion(conversion);
  showBars(byId("pages"), topPages.map(({ page, views }) => ({ name: page, count: views })));
  showWindows(report);
  showRefusals(refusals);
}

/** Shows that the tables cannot be read; the last report stays. */
export function showTrouble(reason) {
  byId("trouble").hidden = reason === null;
  if (reason === null) return;
  const from = shop === null ? "" : " The figures below are from before.";
  show(byId("trouble"), `Cannot read the tables at the moment: ${reason}.${from}`);
  // Windows and refusals may have changed since the last report.
  const unknown = "Unknown: cannot read the tables at the moment.";
  show(byId("windows-empty"), unknown);
  show(byId("refusals-empty"), unknown);
}

function showConversion({ sessions, conversions, revenueCents, views, carts, purchases }) {
  show(byId("conversion-rate"), sessions === 0 ? "–" : percent(conversions / sessions));
  showBars(byId("funnel"), [
    { name: "viewed a page", count: views },
    { name: "filled a cart", count: carts },
    { name: "bought", count: purchases },
  ]);
  show(byId("revenue"), money(revenueCents));
  show(byId("sessions"), `${whole(sessions)} sessions, ${whole(conversions)} with a purchase`);
}

/** An amount without its currency: the shop has only one. */
function money(cents) {
  const units = cents / 100;
  return units < 1e6 ? whole(units) : `${(units / 1e6).toFixed(2)} M`;
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
  show(byId("windows-empty"), "No window is open.");
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

function showRefusals(refusals) {
  byId("refusals-empty").hidden = refusals.length > 0;
  show(byId("refusals-empty"), "Nothing has been refused.");
  show(byId("refusals-count"), refusals.length === 0 ? "" : `the latest ${refusals.length}, with their payloads`);
  keyed(byId("refusals"), refusals, ({ id }) => id, (refusal) => {
    const { reason, field, detail, partition, offset, payload, bytes, refusedAt } = refusal;
    const why = make("span", "chip", reason.replaceAll("_", " "));
    why.dataset.kind = "refused";
    const what = make("span", "what", field === null ? "" : `${field}: `, detail ?? "");
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
