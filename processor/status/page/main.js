/**
 * Passes each update to the part of the page that shows it.
 * @module
 */
import { addPoint, setHistory } from "./charts.js";
import { showEvents, showMissed } from "./events.js";
import { listen } from "./live.js";
import { showFront, showLost, showStatus } from "./overview.js";
import { showShop, showTrouble } from "./shop.js";

const SHOW = {
  status: showStatus,
  history: setHistory,
  point: addPoint,
  front: showFront,
  shop: showShop,
  events: showEvents,
  trouble: ({ reason }) => showTrouble(reason),
  missed: ({ messages }) => showMissed(messages),
};

listen((name, data) => SHOW[name](data), showLost);
