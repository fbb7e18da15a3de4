/**
 * Charts with a crosshair and a tooltip, by mouse, touch or keyboard.
 * @module
 */
import { byId, make, show } from "./dom.js";

/** Values that a durations' axis may be divided by, in milliseconds. */
const DURATIONS = [0.01, 0.1, 1, 10, 100, 1000, 10_000].flatMap((ms) => [ms, 2 * ms, 5 * ms])
  .filter((ms) => ms < 30_000).concat(
    [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 240, 360, 720, 1440, 2880, 7200, 14_400].map((minutes) => minutes * 60_000),
  );

/** Seconds without a value that a line passes over. */
const SHORT_GAP = 20;

/** The gaps at which a line ends, in pixels. */
function longGaps(plot, _series, _first, _last, gaps) {
  const shortest = Math.abs(plot.valToPos(SHORT_GAP, "x", true) - plot.valToPos(0, "x", true));
  return gaps.filter(([from, to]) => to - from > shortest);
}

/** All charts by the id of their element. */
const charts = new Map();

/** A colour of the style sheet, as a value for the canvas. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/**
 * One chart. It draws when its element is visible, and again after a change of width or colours.
 *
 * Options: `lines` from first to last, each with a `name`, a `colour`, perhaps a `fill` or `dash`; `format` of a value;
 * `time` of a tooltip; `axes`, if it has any; `isDuration` for an axis of milliseconds; `syncs`, to share the crosshair with
 * others; `span` of the time that is always shown, in seconds; `keys`, the number of points that an arrow key passes.
 */
export class Chart {
  #id;
  #place;
  #options;
  #tip = make("div", "tip");
  #plot = null;
  #times = [];
  #values = [];
  /** The time that the keyboard has chosen, in seconds; null if none. */
  #chosen = null;
  #isOver = false;

  constructor(id, options) {
    this.#id = id;
    this.#options = options;
    this.#place = byId(id);
    this.#tip.hidden = true;
    // Screen readers are told the same as the value of the slider.
    this.#tip.ariaHidden = "true";
    this.#place.append(this.#tip);
    this.#place.addEventListener("pointerenter", () => this.#isOver = true);
    this.#place.addEventListener("pointerleave", () => {
      this.#isOver = false;
      this.#tip.hidden = true;
    });
    this.#place.addEventListener("keydown", (event) => this.#press(event));
    this.#place.addEventListener("blur", () => this.#choose(null));
    charts.set(id, this);
  }

  /** Draws these values; `times` are in seconds, and each line has as many values. */
  draw(times, values, { shown = values } = {}) {
    this.#times = times;
    this.#values = values;
    this.#describe();
    const { width, height } = this.#place.getBoundingClientRect();
    if (width === 0) return;
    const data = [times, ...shown];
    if (this.#plot === null) {
      this.#plot = new globalThis.uPlot({ ...this.#plotOptions(), width, height }, data, this.#place);
    } else {
      this.#plot.setData(data);
    }
    if (this.#chosen !== null) this.#point();
  }

  /** Draws the same again, from nothing. */
  again() {
    if (this.#plot === null) return;
    const data = this.#plot.data;
    this.#plot.destroy();
    this.#plot = null;
    this.draw(this.#times, this.#values, { shown: data.slice(1) });
  }

  /** Whether there is nothing but zeros to show. */
  get isIdle() {
    return this.#values.every((line) => line.every((value) => !(value > 0)));
  }

  #plotOptions() {
    const { lines, axes = false, syncs = false, span = null } = this.#options;
    return {
      legend: { show: false },
      padding: axes ? [8, 8, 0, 0] : [4, 0, 2, 0],
      cursor: {
        y: false,
        drag: { x: false, y: false },
        points: { size: 7 },
        ...(syncs ? { sync: { key: "time" } } : {}),
      },
      scales: {
        x: { time: true, ...(span === null ? {} : { range: (_, __, last) => [last - span, last] }) },
        y: { range: (_, __, largest) => [0, largest > 0 ? largest * 1.15 : 1] },
      },
      axes: axes ? this.#axes() : [{ show: false }, { show: false }],
      series: [
        {},
        ...lines.map((line) => ({
          stroke: colour(line.colour),
          width: 2,
          ...(line.hasGaps ? {} : { gaps: longGaps }),
          points: { show: false },
          ...(line.dash === undefined ? {} : { dash: line.dash }),
          ...(line.fill === undefined ? {} : { fill: colour(line.fill) }),
        })),
      ],
      hooks: { setCursor: [(plot) => this.#showTip(plot)] },
    };
  }

  #axes() {
    const { format, isDuration = false } = this.#options;
    const axis = {
      stroke: colour("--soft"),
      font: "12px Inter, system-ui, sans-serif",
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
    };
    const time = (_, values) => values.map((s) => new Date(s * 1000).toTimeString().slice(0, 5));
    // Of nothing, every label but 0 is made up.
    const label = (value) => value === 0 ? "0" : this.isIdle ? "" : format(value);
    return [
      { ...axis, size: 28, grid: { show: false }, space: 60, values: time, incrs: [60, 120, 300] },
      {
        ...axis,
        size: 62,
        space: 36,
        values: (_, values) => values.map(label),
        ...(isDuration ? { incrs: DURATIONS } : {}),
      },
    ];
  }

  /** Shows the values at the crosshair, in the chart that is looked at. */
  #showTip(plot) {
    const { idx, left } = plot.cursor;
    const isLookedAt = this.#isOver || this.#chosen !== null;
    this.#tip.hidden = !isLookedAt || typeof idx !== "number" || left < 0;
    if (this.#tip.hidden) return;
    const { lines, format, time } = this.#options;
    const rows = lines.flatMap(({ name, colour }, i) => {
      const value = this.#values[i]?.[idx];
      if (value === undefined) return [];
      const mark = make("i");
      mark.style.setProperty("--tone", `var(${colour})`);
      return [make("span", "", mark, `${name} `, make("b", "", value === null ? "–" : format(value)))];
    });
    this.#tip.replaceChildren(make("span", "when", time(this.#times[idx] * 1000)), ...rows);
    const at = plot.over.offsetLeft + left;
    const isRight = at > this.#place.clientWidth / 2;
    this.#tip.style.setProperty("--at", `${Math.round(isRight ? this.#place.clientWidth - at : at)}px`);
    this.#tip.dataset.side = isRight ? "left" : "right";
  }

  #press(event) {
    const last = this.#times.length - 1;
    if (last < 0) return;
    const { keys = 1 } = this.#options;
    const now = this.#chosen === null ? last : this.#indexOf(this.#chosen);
    const to = {
      ArrowLeft: now - keys,
      ArrowDown: now - keys,
      ArrowRight: now + keys,
      ArrowUp: now + keys,
      PageDown: now - 6 * keys,
      PageUp: now + 6 * keys,
      Home: 0,
      End: last,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.#choose(this.#times[Math.min(last, Math.max(0, to))]);
    } else if (event.key === "Escape") {
      this.#choose(null);
    }
  }

  #choose(time) {
    this.#chosen = time;
    this.#point();
    this.#describe();
  }

  /** Puts the crosshair where the keyboard has chosen, which moves with the time. */
  #point() {
    const left = this.#chosen === null ? -10 : this.#plot?.valToPos(this.#times[this.#indexOf(this.#chosen)], "x");
    this.#plot?.setCursor({ left: left ?? -10, top: left < 0 ? -10 : 0 });
  }

  #indexOf(time) {
    const at = this.#times.findIndex((each) => each >= time);
    return at < 0 ? this.#times.length - 1 : at;
  }

  /** Tells screen readers the values at the crosshair, or the latest. */
  #describe() {
    const last = this.#times.length - 1;
    const at = this.#chosen === null ? last : this.#indexOf(this.#chosen);
    this.#place.ariaValueMin = "0";
    this.#place.ariaValueMax = String(Math.max(0, last));
    this.#place.ariaValueNow = String(Math.max(0, at));
    const { lines, format, time } = this.#options;
    const said = lines.flatMap(({ name }, i) => {
      const value = this.#values[i]?.[at];
      return value === undefined ? [] : [`${name} ${value === null ? "none" : format(value)}`];
    });
    this.#place.ariaValueText = last < 0 ? "no values yet" : `${time(this.#times[at] * 1000)}: ${said.join(", ")}`;
  }

  /** Shows a text in place of the lines; null shows none. */
  say(text) {
    const known = this.#place.querySelector(".idle");
    if (text === null) return known?.remove();
    if (known !== null) return show(known, text);
    this.#place.append(make("p", "idle", text));
  }
}

function again() {
  for (const chart of charts.values()) chart.again();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  again();
});
