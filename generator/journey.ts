/**
 * A visit to the shop, as a Markov chain over its pages.
 * @module
 */
import type { Catalog, Product } from "./catalog.ts";
import { CRAWLING, type Habit, HABITS } from "./shoppers.ts";
import { type Random, WeightedChoice } from "./random.ts";

/** State of the chain: a page or an action. */
type Place = "home" | "category" | "search" | "product" | "like" | "add" | "cart" | "remove" | "checkout" | "purchase";

type Move = Place | "leave";

/** A shopper's action at one moment. */
export interface Click {
  readonly eventType: string;
  readonly page: string;
  readonly product: Product | null;
  /** Quantity that the event states; null means 1 and is not sent. */
  readonly quantity: number | null;
}

/** Mean clicks of a visit: the first estimate for arrivals, before they are corrected to meet the rate. */
export const TYPICAL_CLICKS = 4.0;

/** Mean number of remaining clicks of a visit under way. */
export const FURTHER_CLICKS = 5.5;

/** Most clicks of a visit; more would be a robot's. */
const MAX_CLICKS = 80;

const MINUTE_MS = 60_000;

/** Median think times, in milliseconds. */
const THINK_MS: Readonly<Record<Place, number>> = {
  home: 7_000,
  category: 11_000,
  search: 9_000,
  product: 16_000,
  like: 5_000,
  add: 6_000,
  cart: 12_000,
  remove: 5_000,
  checkout: 40_000,
  purchase: 20_000,
};

const THINK_SPREAD = 0.9;

/** Share of think times that an interruption extends, and share of these that end within a minute of half an hour. */
const INTERRUPTED = 0.012;
const HALF_HOUR = 0.7;

const LANDINGS = new WeightedChoice<Place>([["home", 46], ["product", 30], ["category", 20], ["search", 4]]);

const LIKES = new WeightedChoice<string>([["wishlist_add", 8], ["share", 1], ["video_play", 2], [
  "newsletter_signup",
  1,
]]);

const QUANTITIES = new WeightedChoice<number | null>([[null, 84], [1, 4], [2, 8], [3, 3], [10, 1]]);

function chain({ carts, pays }: Habit): Readonly<Record<Place, WeightedChoice<Move>>> {
  return {
    home: new WeightedChoice<Move>([["category", 48], ["search", 28], ["product", 18], ["leave", 6]]),
    category: new WeightedChoice<Move>([["product", 56], ["category", 17], ["search", 7], ["home", 4], ["leave", 10]]),
    search: new WeightedChoice<Move>([["product", 60], ["search", 16], ["category", 8], ["leave", 12]]),
    product: new WeightedChoice<Move>([
      ["add", 100 * carts],
      ["like", 4],
      ["product", 34],
      ["category", 18],
      ["search", 9],
      ["home", 3],
      ["leave", 22 - 22 * carts],
    ]),
    like: new WeightedChoice<Move>([["product", 55], ["category", 20], ["leave", 25]]),
    add: new WeightedChoice<Move>([["cart", 50], ["product", 26], ["category", 14], ["leave", 10]]),
    cart: new WeightedChoice<Move>([["checkout", 90 * pays], ["remove", 9], ["product", 16], [
      "leave",
      70 - 70 * pays,
    ]]),
    remove: new WeightedChoice<Move>([["checkout", 30], ["product", 35], ["leave", 35]]),
    checkout: new WeightedChoice<Move>([["purchase", 40 + 60 * pays], ["cart", 8], ["leave", 60 - 50 * pays]]),
    purchase: new WeightedChoice<Move>([["home", 6], ["product", 3], ["leave", 91]]),
  };
}

const CHAINS = new Map([...HABITS, CRAWLING].map((habit) => [habit, chain(habit)]));

/** One visit, from its first click to its last. */
export class Journey {
  readonly #bounces: boolean;
  readonly #chain: Readonly<Record<Place, WeightedChoice<Move>>>;
  readonly #catalog: Catalog;
  readonly #random: Random;
  readonly #cart: { readonly product: Product; readonly quantity: number | null }[] = [];
  #place: Place;
  #product: Product;
  #clicks = 0;

  constructor(habit: Habit, catalog: Catalog, random: Random) {
    this.#chain = CHAINS.get(habit)!;
    this.#bounces = random.chance(habit.bounces);
    this.#catalog = catalog;
    this.#random = random;
    this.#place = LANDINGS.draw(random);
    this.#product = catalog.product(random);
  }

  /** True until the first click is over. */
  get atEntry(): boolean {
    return this.#clicks <= 1;
  }

  /** The click in the current state. Must be called once before each `move`. */
  click(): Click {
    this.#clicks++;
    const random = this.#random;
    const product = this.#product;
    switch (this.#place) {
      case "home":
        return view("/");
      case "category":
        return view(this.#catalog.category(random));
      case "search":
        return { eventType: "search", page: this.#catalog.search(random), product: null, quantity: null };
      case "product":
        return view(random.chance(0.06) ? `${product.page}#reviews` : product.page, product);
      case "like":
        return { eventType: LIKES.draw(random), page: product.page, product, quantity: null };
      case "add": {
        const quantity = QUANTITIES.draw(random);
        this.#cart.push({ product, quantity });
        return { eventType: "add_to_cart", page: product.page, product, quantity };
      }
      case "cart":
        return view("/cart");
      case "remove":
        return { eventType: "remove_from_cart", page: "/cart", ...this.#cart.pop()! };
      case "checkout":
        return { eventType: "checkout", page: "/checkout", product: null, quantity: null };
      case "purchase":
        return { eventType: "purchase", page: "/checkout/done", ...this.#cart.shift()! };
    }
  }

  /**
   * Moves to the next state. Returns the time until the next click in milliseconds, or null at the end of the visit.
   */
  move(): number | null {
    const random = this.#random;
    // The whole cart is bought at once, with one event for each product.
    if (this.#place === "purchase" && this.#cart.length > 0) return 1 + random.below(40);
    if (this.#clicks >= MAX_CLICKS || (this.#bounces && this.#clicks === 1)) return null;
    const place = this.#chain[this.#place].draw(random);
    if (place === "leave" || (this.#cart.length === 0 && NEEDS_CART.has(place))) return null;
    const thinkMs = random.chance(INTERRUPTED)
      ? interruption(random)
      : random.logNormal(THINK_MS[this.#place], THINK_SPREAD);
    if (place === "product") this.#product = this.#catalog.product(random);
    this.#place = place;
    return thinkMs;
  }
}

const NEEDS_CART: ReadonlySet<Place> = new Set<Place>(["cart", "remove", "checkout", "purchase"]);

function view(page: string, product: Product | null = null): Click {
  return { eventType: "page_view", page, product, quantity: null };
}

/** A pause near the half hour that ends a session, sometimes exact to the millisecond, or a much longer one. */
function interruption(random: Random): number {
  if (!random.chance(HALF_HOUR)) return random.logUniform(2, 150) * MINUTE_MS;
  return 30 * MINUTE_MS +
    (random.chance(0.2) ? random.below(3) - 1 : Math.round((random.next() - 0.5) * 2 * MINUTE_MS));
}
