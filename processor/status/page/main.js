/**
 * Passes each update to the part of the page that shows it.
 * @module
 */
import { setConsumed, setEvents, setUnknown, showEvents, showMissed } from "./events.js";
import { listen } from "./live.js";
import { showFront, showLost, showStatus } from "./overview.js";
import { addPoint, setHistory } from "./recent.js";
import { showReasons, showShop, showTrouble } from "./shop.js";

const SHOW = {
  status(report) {
    showStatus(report);
    showReasons(report);
    setConsumed(report.totals.consumed);
  },
  history: setHistory,
  point: addPoint,
  front: showFront,
  shop: showShop,
  recent: setEvents,
  events: showEvents,
  trouble({ reason }) {
    showTrouble(reason);
    setUnknown();
  },
  missed: ({ messages }) => showMissed(messages),
};

let points = 0;

/**
 * Lets the page appear in two steps, each when its figures are known, so that nothing moves what was already visible. The
 * tables may take long to answer: after two seconds, their part appears without them.
 */
function appear(name) {
  const { dataset } = document.body;
  if (name === "point") points++;
  if (name === "shop" || name === "trouble" || points > 1) dataset.known = "all";
  else dataset.known ??= "status";
}

listen((name, data) => {
  SHOW[name](data);
  appear(name);
}, showLost);
