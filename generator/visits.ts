/**
 * All visits to the shop at once.
 * @module
 */
import { Agenda } from "./agenda.ts";
import { CAMPAIGNS, Catalog, REFERRERS } from "./catalog.ts";
import type { Ids } from "./ids.ts";
import { FURTHER_CLICKS, Journey, TYPICAL_CLICKS } from "./journey.ts";
import type { CompleteOptions } from "./options.ts";
import { Press } from "./press.ts";
import { Random } from "./random.ts";
import { Rhythm } from "./rhythm.ts";
import { Sender } from "./sender.ts";
import { type Shopper, Shoppers } from "./shoppers.ts";

/** An event at the time when it happens. */
export interface Click {
  readonly shopper: Shopper;
  readonly value: Uint8Array;
  readonly eventType: string;
  /** 0 but for purchases. */
  readonly revenueCents: number;
}

/** A visit under way. */
interface Visit {
  /** True while the next click is so far off that it isn't reckoned with. */
  away: boolean;
  readonly shopper: Shopper;
  readonly journey: Journey;
  /** Made when the first event is written; most of who comes in before the span never gets that far. */
  sender: Sender | null;
}

/** How long the shop has been open at the start, at the pace of people, so that visits are under way by then. */
const WARM_UP_MS = 5 * 60_000;

/** In about this time, at the pace of people, it is made up for that there were too many or too few clicks. */
const CORRECTION_MS = 3 * 60_000;

/** Whoever thinks for longer than this, at the pace of people, is away. */
const AWAY_MS = 10 * 60_000;

/** Arrivals, and what comes of them. */
export class Visits {
  readonly #under = new Agenda<Visit>();
  /** Who is in the shop. */
  readonly #shopping = new Set<number>();
  readonly #random: Random;
  readonly #catalog: Catalog;
  readonly #shoppers: Shoppers;
  readonly #rhythm: Rhythm;
  readonly #ids: Ids;
  readonly #press: Press;
  readonly #identified: boolean;
  readonly #fromMs: number;
  readonly #pace: number;
  /** Clicks that are wanted in a millisecond, on average. */
  readonly #clicksPerMs: number;
  #arrivalMs: number;
  #lastArrivalMs: number;
  /** How many of the visits under way are not away. */
  #busy = 0;
  /** Clicks that should have been made so far, less those that were. */
  #missing = 0;

  /**
   * @param ids where events get their identities from
   * @param rate clicks a second, on average over the span
   */
  constructor({ seed, users, fromMs, toMs, pace, identified }: CompleteOptions, ids: Ids, rate: number) {
    this.#random = new Random(seed, fromMs, 11);
    this.#catalog = new Catalog(seed);
    this.#shoppers = new Shoppers(seed, users, fromMs, toMs);
    this.#rhythm = new Rhythm(fromMs, toMs);
    this.#ids = ids;
    this.#press = new Press(ids);
    this.#identified = identified;
    this.#fromMs = fromMs;
    this.#pace = pace;
    this.#clicksPerMs = rate / 1000;
    this.#lastArrivalMs = fromMs - WARM_UP_MS / pace;
    this.#arrivalMs = rate > 0 ? this.#lastArrivalMs : Infinity;
  }

  /** When something happens next, epoch milliseconds: somebody comes in, or clicks. */
  get nextMs(): number {
    return Math.min(this.#under.nextMs, this.#arrivalMs);
  }

  /** Lets it happen; null if it is nothing that anybody hears of. */
  step(): Click | null {
    if (this.#arrivalMs <= this.#under.nextMs) {
      this.#arrive();
      return null;
    }
    return this.#click(this.#under.next, this.#under.nextMs);
  }

  /** Anybody who might shop at the time. */
  anybody(timeMs: number): Shopper {
    return this.#shoppers.shopper(this.#shoppers.arrival(timeMs, this.#shopping), this.#random);
  }

  #arrive(): void {
    const nowMs = this.#arrivalMs;
    const shopper = this.anybody(nowMs);
    this.#shopping.add(shopper.number);
    this.#busy++;
    const journey = new Journey(shopper.habit, this.#catalog, this.#random);
    this.#under.add(Math.ceil(nowMs), { away: false, shopper, journey, sender: null });
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
    const sender = visit.sender ??= this.#sender(shopper);
    return {
      shopper,
      value: this.#press.print(sender.fields(click, nowMs, atEntry), this.#identified || shopper.client.sendsEventId),
      eventType,
      revenueCents: eventType === "purchase" ? product!.priceCents * (quantity ?? 1) : 0,
    };
  }

  #sender(shopper: Shopper): Sender {
    const random = this.#random;
    const campaign = random.chance(shopper.habit.lured) ? random.pick(CAMPAIGNS) : null;
    const sessionId = shopper.client.sendsSessionId ? this.#ids.session() : null;
    return new Sender(shopper, sessionId, { campaign, referrer: REFERRERS.draw(random) });
  }
}
