/**
 * All concurrent visits to the shop.
 * @module
 */
import { CAMPAIGNS, Catalog, REFERRERS } from "./catalog.ts";
import type { EncodedVisit, EventEncoder, Origin } from "./event_encoder.ts";
import { EventQueue } from "./event_queue.ts";
import { FURTHER_CLICKS, Journey, TYPICAL_CLICKS } from "./journey.ts";
import type { CompleteOptions } from "./options.ts";
import { Random } from "./random.ts";
import { type Shopper, Shoppers } from "./shoppers.ts";

/** A click and its time. */
export interface Click {
  readonly shopper: Shopper;
  readonly value: Uint8Array;
  readonly eventType: string;
  /** 0 unless it is a purchase. */
  readonly revenueCents: number;
}

/** A visit under way. */
interface Visit {
  /** True while the next click is so far off that the visit is not counted as active. */
  away: boolean;
  readonly shopper: Shopper;
  readonly journey: Journey;
  /** Set with the first event; most visits that start before the span have none in it. */
  encoded: EncodedVisit | null;
}

/** Simulated time before the start, at human pace, so that visits are under way by then. */
const WARM_UP_MS = 5 * 60_000;

/** Time constant, at human pace, for correcting too many or too few clicks. */
const CORRECTION_MS = 3 * 60_000;

/** A shopper who thinks for longer than this, at human pace, is away. */
const AWAY_MS = 10 * 60_000;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Relative traffic at each full hour, UTC; linear in between. */
const HOURS = [
  [0.45, 0.3, 0.22, 0.18, 0.18, 0.25, 0.45, 0.75],
  [0.95, 1.1, 1.2, 1.25, 1.3, 1.25, 1.15, 1.1],
  [1.15, 1.3, 1.5, 1.75, 1.9, 1.8, 1.35, 0.85],
].flat();

/** Relative traffic on each day of the week, from Sunday on. */
const DAYS = [1.2, 0.95, 0.9, 0.9, 0.95, 1, 1.1];

/** Interval at which the mean over a span is sampled. */
const SAMPLE_MS = 10 * 60_000;

/** Simulates arrivals and their visits. */
export class Visits {
  readonly #under = new EventQueue<Visit>();
  /** Users with a visit under way. */
  readonly #shopping = new Set<number>();
  readonly #random: Random;
  readonly #catalog: Catalog;
  readonly #shoppers: Shoppers;
  readonly #rhythm: Rhythm;
  readonly #encoder: EventEncoder;
  readonly #identified: boolean;
  readonly #fromMs: number;
  readonly #pace: number;
  /** Expected clicks per millisecond, on average. */
  readonly #clicksPerMs: number;
  #arrivalMs: number;
  #lastArrivalMs: number;
  /** Number of active visits: under way and not away. */
  #busy = 0;
  /** Clicks expected so far minus clicks made. */
  #missing = 0;

  /**
   * @param rate clicks/s, on average over the span
   */
  constructor({ seed, users, fromMs, toMs, pace, identified }: CompleteOptions, encoder: EventEncoder, rate: number) {
    this.#random = new Random(seed, fromMs, 11);
    this.#catalog = new Catalog(seed);
    this.#shoppers = new Shoppers(seed, users, fromMs, toMs);
    this.#rhythm = new Rhythm(fromMs, toMs);
    this.#encoder = encoder;
    this.#identified = identified;
    this.#fromMs = fromMs;
    this.#pace = pace;
    this.#clicksPerMs = rate / 1000;
    this.#lastArrivalMs = fromMs - WARM_UP_MS / pace;
    this.#arrivalMs = rate > 0 ? this.#lastArrivalMs : Infinity;
  }

  /** Time of the next arrival or click, epoch milliseconds. */
  get nextMs(): number {
    return Math.min(this.#under.nextMs, this.#arrivalMs);
  }

  /** Processes the next arrival or click; returns null if no event results. */
  step(): Click | null {
    if (this.#arrivalMs <= this.#under.nextMs) {
      this.#arrive();
      return null;
    }
    return this.#click(this.#under.next, this.#under.nextMs);
  }

  /** Draws a shopper who may arrive at this time. */
  anybody(timeMs: number): Shopper {
    return this.#shoppers.shopper(this.#shoppers.arrival(timeMs, this.#shopping), this.#random);
  }

  #arrive(): void {
    const nowMs = this.#arrivalMs;
    const shopper = this.anybody(nowMs);
    this.#shopping.add(shopper.number);
    this.#busy++;
    const journey = new Journey(shopper.habit, this.#catalog, this.#random);
    this.#under.add(Math.ceil(nowMs), { away: false, shopper, journey, encoded: null });
    const wanted = this.#clicksPerMs * this.#rhythm.at(nowMs);
    this.#missing += wanted * (nowMs - this.#lastArrivalMs);
    const missing = this.#missing - FURTHER_CLICKS * this.#busy;
    const correction = 1 + missing * this.#pace / (this.#clicksPerMs * CORRECTION_MS);
    this.#lastArrivalMs = nowMs;
    this.#arrivalMs += this.#random.exponential(TYPICAL_CLICKS / (wanted * Math.min(2, Math.max(0.25, correction))));
  }

  #click(visit: Visit, nowMs: number): Click | null {
    const { journey, shopper } = visit;
    const click = journey.click();
    const { atEntry } = journey;
    const thinkMs = journey.move();
    this.#busy -= visit.away ? 0 : 1;
    if (thinkMs === null) {
      this.#under.take();
      this.#shopping.delete(shopper.number);
    } else {
      this.#under.postpone(nowMs + Math.max(1, Math.round(thinkMs / this.#pace)));
      visit.away = thinkMs > AWAY_MS;
      this.#busy += visit.away ? 0 : 1;
    }
    this.#missing--;
    if (nowMs < this.#fromMs) return null;
    const { eventType, product, quantity } = click;
    const encoded = visit.encoded ??= this.#encoder.visit(shopper, this.#origin(shopper));
    const identified = this.#identified || shopper.client.sendsEventId;
    return {
      shopper,
      value: this.#encoder.encode(encoded, click, nowMs, atEntry, identified),
      eventType,
      revenueCents: eventType === "purchase" ? product!.priceCents * (quantity ?? 1) : 0,
    };
  }

  #origin({ habit }: Shopper): Origin {
    const random = this.#random;
    const campaign = random.chance(habit.lured) ? random.pick(CAMPAIGNS) : null;
    return { campaign, referrer: REFERRERS.draw(random) };
  }
}

/** Traffic at a time, relative to the mean of a span. */
class Rhythm {
  readonly #meanLevel: number;
  readonly #fromMs: number;

  /** For the span [fromMs, toMs). An endless span has constant traffic, because it has no mean to normalise by. */
  constructor(fromMs: number, toMs: number) {
    this.#fromMs = fromMs;
    this.#meanLevel = toMs === Infinity ? NaN : mean(fromMs, toMs);
  }

  /** 1 on average over the span; before the span, the value at its start. */
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
