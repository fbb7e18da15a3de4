/**
 * A shop's day and week.
 * @module
 */

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** How busy the shop is at each full hour, UTC; in between, in a straight line. */
const HOURS = [
  [0.45, 0.3, 0.22, 0.18, 0.18, 0.25, 0.45, 0.75],
  [0.95, 1.1, 1.2, 1.25, 1.3, 1.25, 1.15, 1.1],
  [1.15, 1.3, 1.5, 1.75, 1.9, 1.8, 1.35, 0.85],
].flat();

/** How busy it is on each day of the week, from Sunday on. */
const DAYS = [1.2, 0.95, 0.9, 0.9, 0.95, 1, 1.1];

/** How often the mean over a span is measured. */
const SAMPLE_MS = 10 * 60_000;

/** How busy a shop is at a time, in proportion to the mean of a span. */
export class Rhythm {
  readonly #meanLevel: number;
  readonly #fromMs: number;

  /** Of the span [fromMs, toMs); one without an end has no rhythm, for it has no mean to be held to. */
  constructor(fromMs: number, toMs: number) {
    this.#fromMs = fromMs;
    this.#meanLevel = toMs === Infinity ? NaN : mean(fromMs, toMs);
  }

  /** 1 on average over the span, and before it what it is at its start. */
  at(timeMs: number): number {
    return Number.isNaN(this.#meanLevel) ? 1 : level(Math.max(timeMs, this.#fromMs)) / this.#meanLevel;
  }
}

function level(timeMs: number): number {
  const day = Math.floor(timeMs / DAY_MS);
  const hours = (timeMs - day * DAY_MS) / HOUR_MS;
  const hour = Math.floor(hours);
  const before = HOURS[hour]!;
  const after = HOURS[(hour + 1) % 24]!;
  // 1 January 1970 was a Thursday.
  return (before + (after - before) * (hours - hour)) * DAYS[(day + 4) % 7]!;
}

function mean(fromMs: number, toMs: number): number {
  const samples = Math.ceil((toMs - fromMs) / SAMPLE_MS);
  const stepMs = (toMs - fromMs) / samples;
  let sum = 0;
  for (let i = 0; i < samples; i++) sum += level(fromMs + (i + 0.5) * stepMs);
  return sum / samples;
}
