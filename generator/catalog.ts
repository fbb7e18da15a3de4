/**
 * The products of the shop, and the campaigns and referrers of its visits.
 * @module
 */
import { Random, WeightedChoice } from "./random.ts";

/** A product. */
export interface Product {
  readonly id: string;
  readonly page: string;
  readonly priceCents: number;
  /** The price as a JSON number. */
  readonly price: string;
  /** The price with two decimals. Some clients send this text because they don't trust floating point. */
  readonly decimalPrice: string;
}

/** How many products there are. */
const PRODUCTS = 2_000;

/** Zipf exponent: the n-th best-selling product sells in proportion to n to the power of minus this. */
const ZIPF = 0.9;

const CATEGORIES = [
  ["shoes", 20],
  ["dresses", 16],
  ["jackets", 13],
  ["shirts", 12],
  ["trousers", 10],
  ["bags", 8],
  ["sports", 7],
  ["kids", 6],
  ["jewellery", 5],
  ["home", 3],
] as const;

const WISHES = ["red shoes", "winter jacket", "jeans", "grüne Tasche", "linen shirt", "gift card", "socks", "café set"];

/** Last digits of prices. */
const ENDINGS = [99, 95, 0, 49, 90];

/** A campaign and the parameters of its links; `gclid` in place of all, where the advertiser only tags by click. */
export interface Campaign {
  readonly name: string;
  readonly link: string;
}

const linked = (source: string, medium: string, name: string): Campaign => ({
  name,
  link: `utm_source=${source}&utm_medium=${medium}&utm_campaign=${name}`,
});

/** Running campaigns. */
export const CAMPAIGNS: readonly Campaign[] = [
  linked("instagram", "paid_social", "autumn-sale"),
  linked("Newsletter", "email", "newsletter-47"),
  { name: "free-shipping", link: "gclid=Cj0KCQ" },
  { name: "welcome-back", link: "utm_campaign=welcome-back" },
];

/** Referrers of visits; null for a bookmark or a typed address. */
export const REFERRERS: WeightedChoice<string | null> = new WeightedChoice<string | null>([
  [null, 38],
  ["https://www.google.com/", 34],
  ["https://www.bing.com/", 5],
  ["https://www.instagram.com/", 9],
  ["https://www.facebook.com/", 5],
  ["https://www.pinterest.com/", 3],
  ["https://mail.example.com/newsletter", 4],
  ["https://blog.example.org/ten-best-jackets?from=shop#comments", 2],
]);

/** The products of one seed. */
export class Catalog {
  readonly #products: WeightedChoice<Product>;
  readonly #categories: WeightedChoice<string> = new WeightedChoice(CATEGORIES);

  constructor(seed: number) {
    const random = new Random(seed, 101);
    const products = Array.from({ length: PRODUCTS }, (_, i) => product(i, random));
    this.#products = new WeightedChoice(products.map((each, i) => [each, (i + 1) ** -ZIPF] as const));
  }

  /** Draws a product by its popularity. */
  product(random: Random): Product {
    return this.#products.draw(random);
  }

  /** A page of a category: sometimes sorted, sometimes not the first page. */
  category(random: Random): string {
    const path = `/category/${this.#categories.draw(random)}`;
    const how = random.next();
    return how < 0.75 ? path : how < 0.88 ? `${path}?sort=price` : `${path}?page=${2 + random.below(4)}`;
  }

  /** A page of search results. */
  search(random: Random): string {
    return `/search?q=${encodeURIComponent(random.pick(WISHES)).replaceAll("%20", "+")}`;
  }
}

function product(i: number, random: Random): Product {
  const id = `P${String(i + 1).padStart(5, "0")}`;
  const priceCents = 100 * Math.ceil(random.logNormal(24, 0.8)) + random.pick(ENDINGS);
  return {
    id,
    page: `/product/${id}`,
    priceCents,
    price: String(priceCents / 100),
    decimalPrice: (priceCents / 100).toFixed(2),
  };
}
