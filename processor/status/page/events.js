/**
 * The stream of the latest events.
 * @module
 */
import { byId, clock, make, plain, show, whole } from "./dom.js";

/** Number of rows, and of samples that are kept to filter. */
const ROWS = 60;
const KEPT = 500;

/** Samples that arrive together are shown over this time, in milliseconds. */
const SPREAD_MS = 900;

const rows = byId("events");
const pause = byId("events-pause");
const filter = byId("events-filter");
const refusedOnly = byId("events-refused");
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Timers of samples that have arrived and are not shown yet. */
const waiting = new Set();

/** The latest samples by partition and offset, newest last. */
const samples = new Map();

/** Whether the service has consumed anything since it started, and whether it may show what it kept of that. */
let hasConsumed = false;
let isUnknown = false;
let passed = 0;
let missed = 0;

/** Shows new samples, spread over time. */
export function showEvents(all) {
  if (isPaused()) {
    passed += all.length;
    return count();
  }
  const everyMs = still.matches ? 0 : SPREAD_MS / all.length;
  all.forEach((sample, i) => {
    const timer = setTimeout(() => {
      waiting.delete(timer);
      if (isPaused()) passed++;
      else add(sample);
    }, i * everyMs);
    waiting.add(timer);
  });
}

/** Shows these samples only: others may belong to a user who was forgotten. */
export function setEvents(all) {
  waiting.forEach(clearTimeout);
  waiting.clear();
  isUnknown = false;
  samples.clear();
  for (const sample of all) samples.set(keyOf(sample), sample);
  again();
}

/** Shows that messages were dropped because this connection is too slow. */
export function showMissed(messages) {
  missed += messages;
  count();
}

/** Takes the number of records that the service has consumed. */
export function setConsumed(records) {
  hasConsumed = records > 0;
  showEmpty();
}

/** The tables cannot be read: only they know which events may be shown. */
export function setUnknown() {
  isUnknown = true;
  showEmpty();
}

function isPaused() {
  return pause.ariaPressed === "true";
}

function keyOf({ partition, offset }) {
  return `${partition}/${offset}`;
}

function add(sample) {
  const key = keyOf(sample);
  if (samples.has(key)) return;
  samples.set(key, sample);
  if (samples.size > KEPT) samples.delete(samples.keys().next().value);
  if (!fits(sample)) return showEmpty();
  const row = rowOf(sample);
  row.className = "new";
  rows.prepend(row);
  while (rows.childElementCount > ROWS) rows.lastElementChild.remove();
  showEmpty();
}

function rowOf({ time, type, page, user, device, region, revenueCents, reason, detail }) {
  const kind = make("span", "chip", reason === null ? type : reason.replaceAll("_", " "));
  kind.dataset.kind = reason === null ? type : "refused";
  const what = make("td", "clip", reason === null ? page : detail);
  what.title = plain(reason === null ? page : detail);
  const revenue = revenueCents === 0 ? "" : whole(revenueCents / 100);
  const cell = (text, className = "clip") => make("td", className, text ?? "");
  const when = time === null ? "–" : clock(time);
  const cells = [cell(when), make("td", "clip", kind), what, cell(user, "clip mono"), cell(device), cell(region)];
  return make("tr", "", ...cells, cell(revenue, "n"));
}

function fits({ type, page, user, device, region, reason, detail }) {
  if (refusedOnly.checked && reason === null) return false;
  const wanted = filter.value.trim().toLowerCase();
  return wanted === "" ||
    [type, page, user, device, region, reason, detail].some((text) => text?.toLowerCase().includes(wanted));
}

function count() {
  const parts = [
    ...(isPaused() ? [`${whole(passed)} skipped`] : []),
    ...(missed === 0 ? [] : [`${whole(missed)} messages dropped: this connection is slow`]),
  ];
  show(byId("events-count"), parts.join("; "));
}

/** Shows the samples that fit, newest first. */
function again() {
  rows.replaceChildren(...[...samples.values()].reverse().filter(fits).slice(0, ROWS).map(rowOf));
  showEmpty();
}

/** Says why there is no row, and what can be done. */
function showEmpty() {
  byId("events-empty").hidden = rows.childElementCount > 0;
  if (rows.childElementCount > 0) return;
  const isFiltered = samples.size > 0;
  show(
    byId("events-why"),
    isFiltered
      ? `None of the latest ${whole(samples.size)} events matches.`
      : isUnknown
      ? "Unknown: cannot read the tables at the moment."
      : hasConsumed
      ? "The next event appears here."
      : "No event has arrived since the service started.",
  );
  byId("events-send").hidden = isFiltered || isUnknown || hasConsumed;
  byId("events-all").hidden = !isFiltered;
}

pause.addEventListener("click", () => {
  pause.ariaPressed = String(!isPaused());
  pause.textContent = isPaused() ? "Resume" : "Pause";
  passed = 0;
  count();
});

filter.addEventListener("input", again);
refusedOnly.addEventListener("change", again);
byId("events-tools").addEventListener("submit", (event) => event.preventDefault());
byId("events-all").addEventListener("click", () => {
  filter.value = "";
  refusedOnly.checked = false;
  again();
  filter.focus();
});
