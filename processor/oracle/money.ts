import { localDay } from "./values.ts";

/** The shop's currency, and what others are worth in it. */
export interface ShopMoney {
  readonly currency: string;
  /** A currency, the UTC day from which its rate holds, and the rate as decimal text. */
  readonly rates: readonly (readonly [currency: string, fromDay: string, rate: string])[];
}

/** What is known of a purchase: its revenue in the smallest unit of its own currency. */
interface Purchase {
  readonly revenueCents: bigint;
  readonly currency: string | null;
  readonly timeMs: number;
}

// Currencies with other than two decimals, among those that tests use; copied from ISO 4217.
const DECIMALS: Readonly<Record<string, number>> = { JPY: 0, KRW: 0, ISK: 0, KWD: 3, BHD: 3, CLF: 4 };

/** How many decimals a price has, by its currency. Without a shop's currency, all have two. */
export function decimalsOf(currency: string | null, shop: string | undefined): number {
  return shop === undefined ? 2 : DECIMALS[currency ?? shop] ?? 2;
}

/** The most of a price, and of the revenue of an event, in the smallest unit: 10^10 whole units, or 10^9 with 4 decimals. */
export function limitOf(decimals: number): bigint {
  return 10n ** BigInt(decimals === 4 ? 13 : 10 + decimals);
}

/** The revenue of a purchase in the smallest unit of the shop's currency; null if there is no rate, or it is too much. */
export function worth({ revenueCents, currency, timeMs }: Purchase, shop: ShopMoney): bigint | null {
  if (currency === null || currency === shop.currency) return revenueCents;
  const day = localDay(timeMs);
  const valid = shop.rates.filter(([of, from]) => of === currency && from <= day);
  const latest = valid.toSorted(([, a], [, b]) => a.localeCompare(b)).at(-1);
  if (latest === undefined) return null;
  const [, , rate] = latest;
  const places = rate.includes(".") ? rate.length - rate.indexOf(".") - 1 : 0;
  // Written with many decimals, then cut and rounded by the first digit that is cut off.
  const product = revenueCents * BigInt(rate.replace(".", "")) * 10n ** 20n;
  const shift = places + 20 + decimalsOf(currency, shop.currency) - decimalsOf(shop.currency, shop.currency);
  const digits = product.toString().padStart(shift + 1, "0");
  const whole = BigInt(digits.slice(0, -shift)) + (digits.at(-shift)! >= "5" ? 1n : 0n);
  return whole > limitOf(decimalsOf(shop.currency, shop.currency)) ? null : whole;
}
