/**
 * The stream of the latest events.
 * @module
 */
import { byId, clock, make, plain, show, whole } from "./dom.js";

/** Number of rows that are kept. */
const ROWS = 60;

/** Samples that arrive together are shown over this time, in milliseconds. */
const SPREAD_MS = 900;

const rows = byId("events");
const pause = byId("events-pause");
const filter = byId("events-filter");
const refusedOnly = byId("events-refused");
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Timers of samples that have arrived and are not shown yet. */
const waiting = new Set();

let passed = 0;
let missed = 0;

/** Shows new samples, spread over time. */
export function showEvents(samples) {
  if (isPaused()) {
    passed += samples.length;
    return count();
  }
  const later = samples.filter(fits);
  const everyMs = still.matches ? 0 : SPREAD_MS / later.length;
  later.forEach((sample, i) => {
    const timer = setTimeout(() => {
      waiting.delete(timer);
      if (isPaused()) passed++;
      else add(sample);
    }, i * everyMs);
    waiting.add(timer);
  });
}

/** Drops all samples, shown or not: they may belong to a user who was forgotten. */
export function forgetEvents() {
  waiting.forEach(clearTimeout);
  waiting.clear();
  rows.replaceChildren();
}

/** Shows that messages were dropped because this connection is too slow. */
export function showMissed(messages) {
  missed += messages;
  count();
}

function isPaused() {
  return pause.ariaPressed === "true";
}

function add(sample) {
  const row = rowOf(sample);
  rows.prepend(row);
  while (rows.childElementCount > ROWS) rows.lastElementChild.remove();
}

function rowOf({ time, type, page, user, device, region, revenueCents, reason, detail }) {
  const kind = make("span", "chip", reason === null ? type : reason.replaceAll("_", " "));
  kind.dataset.kind = reason === null ? type : "refused";
  const what = make("td", "clip", reason === null ? page : detail);
  what.title = plain(reason === null ? page : detail);
  const revenue = revenueCents === 0 ? "" : whole(revenueCents / 100);
  const cell = (text, className = "") => make("td", className, text ?? "");
  const when = time === null ? "–" : clock(time);
  const cells = [cell(when), make("td", "", kind), what, cell(user, "clip mono"), cell(device), cell(region, "clip")];
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

pause.addEventListener("click", () => {
  pause.ariaPressed = String(!isPaused());
  pause.textContent = isPaused() ? "Resume" : "Pause";
  passed = 0;
  count();
});

/** Clears the rows after a change of filter; new samples are filtered. */
function again() {
  rows.replaceChildren();
}

filter.addEventListener("input", again);
refusedOnly.addEventListener("change", again);
byId("events-tools").addEventListener("submit", (event) => event.preventDefault());
