/**
 * The shoppers: any number of them, with memory only for the guests of one day.
 * @module
 */
import { hash, Random, scramble, unit, WeightedChoice } from "./random.ts";

/** Habits of one kind of shopper. Shares and probabilities are from 0 to 1. */
export interface Habit {
  readonly name: string;
  /** Share of all shoppers. */
  readonly share: number;
  /** Probability to come back the day after the first visit; it falls with time. */
  readonly returns: number;
  /** Probability to leave at once. */
  readonly bounces: number;
  /** Probability to add a viewed product to the cart. */
  readonly carts: number;
  /** Probability to go from the cart to the checkout, and to pay there. */
  readonly pays: number;
  /** Probability to arrive through a campaign. */
  readonly lured: number;
}

/** All kinds of shoppers; their shares add up to 1. */
export const HABITS: readonly Habit[] = [
  { name: "regular", share: 0.22, returns: 0.45, bounces: 0.2, carts: 0.13, pays: 0.75, lured: 0.05 },
  { name: "bargain hunter", share: 0.18, returns: 0.25, bounces: 0.3, carts: 0.2, pays: 0.45, lured: 0.5 },
  { name: "window shopper", share: 0.35, returns: 0.2, bounces: 0.28, carts: 0.03, pays: 0.35, lured: 0.08 },
  { name: "passer-by", share: 0.25, returns: 0.05, bounces: 0.65, carts: 0.04, pays: 0.5, lured: 0.12 },
];

/** The habit of robots. */
export const CRAWLING: Habit = {
  name: "crawler",
  share: 0,
  returns: 0.9,
  bounces: 0.02,
  carts: 0,
  pays: 0,
  lured: 0,
};

/** A client application and how it writes events. */
export interface Client {
  readonly name: string;
  readonly timestamp: "iso" | "iso with offset" | "epoch";
  readonly sendsEventId: boolean;
  readonly sendsSessionId: boolean;
  /** Omits device, region and currency. */
  readonly terse: boolean;
  /** Writes prices as text. */
  readonly decimalPrices: boolean;
  /** What it may call itself; without any, it does not send `userAgent`. */
  readonly userAgents: readonly string[];
  /** Unknown fields, as JSON, after a comma. */
  readonly extra: string;
}

/** A shopper. */
export interface Shopper {
  /** In [0, number of users). */
  readonly number: number;
  readonly userId: string;
  readonly habit: Habit;
  readonly client: Client;
  readonly device: string | null;
  readonly region: string | null;
  readonly currency: string;
  readonly userAgent: string | null;
}

const DAY_MS = 86_400_000;

/** Share of shoppers that are new during the simulation, if it covers days. */
const NEWCOMERS = 0.6;

/** Days over which new shoppers arrive if the simulation has no end. */
const ENDLESS_DAYS = 30;

const WEB: Client = {
  name: "web",
  timestamp: "iso",
  sendsEventId: true,
  sendsSessionId: true,
  terse: false,
  decimalPrices: false,
  userAgents: [],
  extra: "",
};

const MOZILLA = "Mozilla/5.0";

const BROWSERS = [
  `${MOZILLA} (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36`,
  `${MOZILLA} (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/604.1`,
  `${MOZILLA} (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36`,
  `${MOZILLA} (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0`,
];

const CRAWLER: Client = {
  ...WEB,
  name: "crawler",
  sendsSessionId: false,
  userAgents: [
    `${MOZILLA} (compatible; Googlebot/2.1; +http://www.google.com/bot.html)`,
    `${MOZILLA} (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)`,
    "price-watch/1.4 (+https://watch.example.org/bot)",
    "python-requests/2.32.5",
  ],
};

const CLIENTS = new WeightedChoice<Client>([
  [WEB, 61],
  [{ ...WEB, name: "app", timestamp: "epoch", decimalPrices: true, extra: ',"appVersion":"4.2.1"' }, 20],
  [{ ...WEB, name: "without cookies", sendsSessionId: false }, 12],
  [{ ...WEB, name: "partner", timestamp: "iso with offset", userAgents: BROWSERS }, 5.5],
  [CRAWLER, 1],
  [{ ...WEB, name: "beacon", timestamp: "epoch", sendsEventId: false, sendsSessionId: false, terse: true }, 0.5],
]);

const KINDS = new WeightedChoice(HABITS.map((habit) => [habit, habit.share] as const));

const DEVICES = new WeightedChoice<string | null>([["mobile", 48], ["desktop", 40], ["tablet", 9], ["smart-tv", 2], [
  null,
  1,
]]);

/** Regions with their currencies. */
const REGIONS = new WeightedChoice<readonly [string | null, string]>([
  [["DE", "EUR"], 24],
  [["FR", "EUR"], 13],
  [["GB", "GBP"], 12],
  [["US", "USD"], 11],
  [["NL", "EUR"], 9],
  [["ES", "EUR"], 8],
  [["IT", "EUR"], 7],
  [["PL", "PLN"], 6],
  [["SE", "SEK"], 5],
  [["AT", "EUR"], 3],
  [["Île-de-France", "EUR"], 1],
  [[null, "EUR"], 1],
]);

/** The shoppers of a seed. */
export class Shoppers {
  readonly #seed: number;
  readonly #users: number;
  readonly #fromMs: number;
  readonly #firstDay: number;
  readonly #days: number;
  #day = NaN;
  #guests: Uint32Array = new Uint32Array(0);
  #next = 0;

  constructor(seed: number, users: number, fromMs: number, toMs: number) {
    this.#seed = seed;
    this.#users = users;
    this.#fromMs = fromMs;
    this.#firstDay = Math.floor(fromMs / DAY_MS);
    this.#days = toMs === Infinity ? ENDLESS_DAYS : (toMs - fromMs) / DAY_MS;
  }

  /**
   * Returns the next shopper to arrive. A day's guests take turns, so that a shopper's visits are far apart unless
   * there are few users. Shoppers who are `busy` are skipped, unless nearly all are.
   */
  arrival(timeMs: number, busy: ReadonlySet<number>): number {
    const day = Math.max(this.#firstDay, Math.floor(timeMs / DAY_MS));
    if (day !== this.#day) this.#invite(day);
    let guest = 0;
    for (let tries = 0; tries < 32; tries++) {
      guest = this.#guests[this.#next]!;
      this.#next = (this.#next + 1) % this.#guests.length;
      if (!busy.has(guest)) break;
    }
    return guest;
  }

  /** Returns the shopper with this number. Only the device may differ between calls. */
  shopper(number: number, random: Random): Shopper {
    const chance = (salt: number) => unit(hash(this.#seed, number, salt));
    const client = this.#client(number);
    const { userAgents } = client;
    const [region, currency] = REGIONS.at(chance(3));
    return {
      number,
      userId: `u-${scramble(number ^ hash(this.#seed)).toString(16).padStart(8, "0")}`,
      habit: this.#habit(number),
      client,
      device: client.terse ? null : DEVICES.at(random.chance(0.1) ? random.next() : chance(2)),
      region: client.terse ? null : region,
      currency,
      userAgent: userAgents[Math.floor(chance(8) * userAgents.length)] ?? null,
    };
  }

  #client(number: number): Client {
    return CLIENTS.at(unit(hash(this.#seed, number, 1)));
  }

  #habit(number: number): Habit {
    return this.#client(number) === CRAWLER ? CRAWLING : KINDS.at(unit(hash(this.#seed, number, 4)));
  }

  /** Lists a day's guests in random order. */
  #invite(day: number): void {
    const guests: number[] = [];
    for (let number = 0; number < this.#users; number++) {
      if (this.#comes(number, day)) guests.push(number);
    }
    if (guests.length === 0) guests.push(hash(this.#seed, day) % this.#users);
    const random = new Random(this.#seed, day, 5);
    for (let i = guests.length - 1; i > 0; i--) {
      const j = random.below(i + 1);
      [guests[i], guests[j]] = [guests[j]!, guests[i]!];
    }
    this.#day = day;
    this.#guests = Uint32Array.from(guests);
    this.#next = hash(this.#seed, this.#fromMs) % guests.length;
  }

  #comes(number: number, day: number): boolean {
    // In less than two days nobody can return, so everybody may come.
    if (this.#days < 2) return true;
    const age = day - this.#firstDay - this.#joins(number);
    if (age <= 0) return age === 0;
    const interest = 0.3 + 0.7 * age ** -0.7;
    return unit(hash(this.#seed, number, 6, day)) < this.#habit(number).returns * interest;
  }

  /** Day of the first visit, counted from the first simulated day; below 0 for known shoppers. */
  #joins(number: number): number {
    const when = unit(hash(this.#seed, number, 7));
    return when < NEWCOMERS ? Math.floor(when / NEWCOMERS * Math.ceil(this.#days)) : -1 - Math.floor(when * 60);
  }
}
