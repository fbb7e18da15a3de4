/**
 * All visits to the shop at once.
 * @module
 */
import { Agenda, type Due } from "./agenda.ts";
import { CAMPAIGNS, Catalog, REFERRERS } from "./catalog.ts";
import { Ids } from "./ids.ts";
import { Journey, TYPICAL_CLICKS } from "./journey.ts";
import type { CompleteOptions } from "./options.ts";
import { Random } from "./random.ts";
import { Rhythm } from "./rhythm.ts";
import { Sender } from "./sender.ts";
import { type Shopper, Shoppers } from "./shoppers.ts";

/** An event at the time when it happens. */
export interface Happening {
  readonly userId: string;
  readonly json: string;
  /** True if the client gave the event an identity, so that a copy can be told. */
  readonly identified: boolean;
  readonly eventType: string;
  /** 0 but for purchases. */
  readonly revenueCents: number;
}

/** A visit under way, due for its next click. */
interface Visit extends Due {
  readonly shopper: Shopper;
  readonly journey: Journey;
  readonly sender: Sender;
}

/** How long the shop has been open at the start, at the pace of people, so that visits are under way by then. */
const WARM_UP_MS = 15 * 60_000;

/** In about this time, at the pace of people, it is made up for that there were too many or too few clicks. */
const CORRECTION_MS = 5 * 60_000;

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
  readonly #fromMs: number;
  readonly #pace: number;
  /** Clicks that are wanted in a millisecond, on average. */
  readonly #clicksPerMs: number;
  #arrivalMs: number;
  #lastArrivalMs: number;
  /** Clicks that should have been made so far, less those that were. */
  #missing = 0;

  /**
   * @param ids where events get their identities from
   * @param rate clicks a second, on average over the span
   */
  constructor({ seed, users, fromMs, toMs, pace }: CompleteOptions, ids: Ids, rate: number) {
    this.#random = new Random(seed, fromMs, 11);
    this.#catalog = new Catalog(seed);
    this.#shoppers = new Shoppers(seed, users, fromMs, toMs);
    this.#rhythm = new Rhythm(fromMs, toMs);
    this.#ids = ids;
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
  step(): Happening | null {
    if (this.#arrivalMs <= this.#under.nextMs) {
      this.#arrive();
      return null;
    }
    return this.#click(this.#under.next);
  }

  /** Anybody who might shop at the time. */
  anybody(timeMs: number): Shopper {
    return this.#shoppers.shopper(this.#shoppers.arrival(timeMs, this.#shopping), this.#random);
  }

  #arrive(): void {
    const nowMs = this.#arrivalMs;
    const random = this.#random;
    const shopper = this.anybody(nowMs);
    const { habit, client } = shopper;
    const campaign = random.chance(habit.lured) ? random.pick(CAMPAIGNS) : null;
    const origin = { campaign, referrer: REFERRERS.draw(random.unit()) };
    this.#shopping.add(shopper.number);
    this.#under.add({
      dueMs: Math.ceil(nowMs),
      shopper,
      journey: new Journey(habit, this.#catalog, random),
      sender: new Sender(shopper, client.sendsSessionId ? this.#ids.session() : null, origin),
    });
    const wanted = this.#clicksPerMs * this.#rhythm.at(nowMs);
    this.#missing += wanted * (nowMs - this.#lastArrivalMs);
    const correction = 1 + this.#missing * this.#pace / (this.#clicksPerMs * CORRECTION_MS);
    this.#lastArrivalMs = nowMs;
    this.#arrivalMs += random.exponential(TYPICAL_CLICKS / (wanted * Math.min(2, Math.max(0.25, correction))));
  }

  #click(visit: Visit): Happening | null {
    const { journey, sender, shopper, dueMs } = visit;
    const click = journey.click();
    const { atEntry } = journey;
    const thinkMs = journey.move();
    if (thinkMs === null) {
      this.#under.take();
      this.#shopping.delete(shopper.number);
    } else {
      visit.dueMs += Math.max(1, Math.round(thinkMs / this.#pace));
      this.#under.settle();
    }
    this.#missing--;
    if (dueMs < this.#fromMs) return null;
    const { eventType, product, quantity } = click;
    return {
      userId: shopper.userId,
      json: sender.json(click, this.#ids.event(), dueMs, atEntry),
      identified: shopper.client.sendsEventId,
      eventType,
      revenueCents: eventType === "purchase" ? product!.priceCents * (quantity ?? 1) : 0,
    };
  }
}
