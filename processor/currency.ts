/**
 * Currencies by ISO 4217, and amounts of one in another. Amounts are whole minor units, such as cents; a rate is exact
 * decimal text.
 * @module
 */
import { MAX_CENTS } from "./event.ts";

/**
 * ISO 4217's list of active codes by their digits after the point, as of January 2026. Not taken from
 * `Intl.NumberFormat`, which has CLDR's digits for display: 0 for some twenty currencies with minor units.
 */
const CODES_BY_DIGITS: readonly (readonly [digits: number, codes: string])[] = [
  [0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"],
  [
    2,
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW " +
    "CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR " +
    "ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR " +
    "MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN " +
    "SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG",
  ],
  [3, "BHD IQD JOD KWD LYD OMR TND"],
  [4, "CLF UYW"],
];

/** Digits after the point of each currency of ISO 4217 that has minor units, or none. */
export const MINOR_DIGITS: ReadonlyMap<string, number> = new Map(
  CODES_BY_DIGITS.flatMap(([digits, codes]) => codes.split(" ").map((code) => [code, digits] as const)),
);

/** Digits of codes that are not on the list, and of all amounts without `CURRENCY`: amounts are in hundredths. */
export const HUNDREDTHS = 2;

/** Digits after the point of a currency. */
export function minorDigits(code: string): number {
  return MINOR_DIGITS.get(code) ?? HUNDREDTHS;
}

/** The number of digits of an event's price, by its currency (null if absent) and the shop's (null without `CURRENCY`). */
export function priceDigits(currency: string | null, shop: string | null): number {
  return shop === null ? HUNDREDTHS : minorDigits(currency ?? shop);
}

/**
 * Largest price, and largest revenue of one event, in minor units of so many digits: ten billion units of the currency,
 * but one billion where there are four digits.
 */
export function mostMinor(digits: number): number {
  return MAX_CENTS * 10 ** (Math.min(digits, 3) - HUNDREDTHS);
}

/** An amount in minor units as text, such as `12.34`, and with its currency where that is known, such as `12.34 EUR`. */
export function moneyText(minor: number, currency: string | null): string {
  const digits = currency === null ? HUNDREDTHS : minorDigits(currency);
  const units = (minor / 10 ** digits).toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return currency === null ? units : `${units} ${currency}`;
}

/** What one unit of a currency is worth in the shop's, from a UTC day on. */
export interface Rate {
  readonly currency: string;
  /** `YYYY-MM-DD`. */
  readonly fromDay: string;
  /** A decimal above 0, such as `0.00612`. */
  readonly rate: string;
}

/** The form of a rate. */
export const RATE = /^(?!0*(?:\.0*)?$)\d{1,15}(?:\.\d{1,15})?$/;

const DAY_MS = 86_400_000;

/** The rates of a currency, from its first day on. */
interface Rates {
  /** Days since 1970. */
  readonly days: number[];
  /** Minor units of the shop's currency for one of this currency, as fractions. */
  readonly factors: { readonly over: bigint; readonly under: bigint }[];
}

/** Converts amounts to one currency. */
export class Conversion {
  /** The currency that it converts to. */
  readonly currency: string;
  #rates: ReadonlyMap<string, Rates> = new Map();

  constructor(currency: string, rates: readonly Rate[] = []) {
    this.currency = currency;
    this.use(rates);
  }

  /** Replaces all rates; the next amount is converted by these. */
  use(rates: readonly Rate[]): void {
    const found = new Map<string, Rates>();
    for (const { currency, fromDay, rate } of [...rates].sort((a, b) => a.fromDay < b.fromDay ? -1 : 1)) {
      const known = found.get(currency) ?? { days: [], factors: [] };
      found.set(currency, known);
      known.days.push(Date.parse(fromDay) / DAY_MS);
      known.factors.push(this.#factor(currency, rate));
    }
    this.#rates = found;
  }

  /**
   * An amount of another currency, in minor units, at a time in epoch milliseconds: in minor units of `currency`, rounded
   * half up. Null without a rate, and where it is too large for an event.
   */
  convert(minor: number, from: string, timeMs: number): number | null {
    const rates = this.#rates.get(from);
    if (rates === undefined) return null;
    const day = Math.floor(timeMs / DAY_MS);
    let at = rates.days.length - 1;
    while (at >= 0 && rates.days[at]! > day) at--;
    if (at < 0) return null;
    const { over, under } = rates.factors[at]!;
    const converted = Number((2n * BigInt(minor) * over + under) / (2n * under));
    return converted > mostMinor(minorDigits(this.currency)) ? null : converted;
  }

  #factor(from: string, rate: string): Rates["factors"][number] {
    const [units, fraction = ""] = rate.split(".");
    const over = BigInt(units! + fraction) * 10n ** BigInt(minorDigits(this.currency));
    return { over, under: 10n ** BigInt(fraction.length + minorDigits(from)) };
  }
}

/** Purchases of a currency that had no rate. */
export interface Unconverted {
  readonly currency: string;
  /** First UTC day with one, `YYYY-MM-DD`. */
  readonly since: string;
  readonly purchases: number;
}

/** How revenue in the tables is counted. */
export interface MoneyState {
  /** The currency that it is in; null if purchases are not converted. */
  readonly currency: string | null;
  /** Currencies that purchases were sent in, in the order of their codes. */
  readonly currencies: readonly string[];
  /** The most purchases first. */
  readonly unconverted: readonly Unconverted[];
}

/** A sentence without a full stop that says what is wrong with revenue, the facts, and what to do. */
export interface MoneyFault {
  readonly title: string;
  readonly detail: string;
  readonly advice: string;
}

/** What is wrong with revenue; null if nothing is. */
export function moneyFault({ currency, currencies, unconverted }: MoneyState): MoneyFault | null {
  if (unconverted.length > 0) {
    const count = unconverted.reduce((sum, { purchases }) => sum + purchases, 0);
    const since = unconverted.map((each) => each.since).sort()[0]!;
    const shown = unconverted.slice(0, 5).map((each) => `${each.purchases} in ${each.currency} since ${each.since}`);
    const more = unconverted.length > 5 ? `, and ${unconverted.length - 5} more currencies` : "";
    return {
      title: count === 1 ? "1 purchase has no rate" : `${count} purchases have no rate`,
      detail: `Revenue lacks ${shown.join(", ")}${more}.`,
      advice: "Put the rates of these days into a file, and run `clickstream rates FILE` and " +
        `\`clickstream rebuild --from ${since}T00:00:00Z\`.`,
    };
  }
  if (currency !== null || currencies.length < 2) return null;
  return {
    title: `Revenue adds up ${currencies.length} currencies`,
    detail:
      `Purchases in ${currencies.slice(0, 5).join(", ")}${currencies.length > 5 ? ", …" : ""} are added up without ` +
      "conversion.",
    advice: "Set CURRENCY, fill the rates (`clickstream rates FILE`), and run `clickstream rebuild`.",
  };
}
