import assert from "node:assert/strict";
import {
  Conversion,
  MINOR_DIGITS,
  minorDigits,
  moneyFault,
  moneyText,
  mostMinor,
  priceDigits,
  RATE,
  type Rate,
} from "../currency.ts";

// Where CLDR, which Intl follows, has other digits than ISO 4217.
const OF_ISO = { IQD: 3, UYI: 0 };
const HUNDREDTHS_IN_ISO = "AFN ALL COP HUF IDR IRR KPW LAK LBP MGA MMK PKR RSD SOS SYP YER".split(" ");

Deno.test("digits are those of ISO 4217, and those of Intl but for known exceptions", () => {
  assert.equal(MINOR_DIGITS.size, 168);
  const others: Record<string, number> = {};
  for (const [code, digits] of MINOR_DIGITS) {
    assert.match(code, /^[A-Z]{3}$/);
    const { maximumFractionDigits } = new Intl.NumberFormat("en", { style: "currency", currency: code })
      .resolvedOptions();
    if (maximumFractionDigits !== digits) others[code] = digits;
  }
  const known = { ...Object.fromEntries(HUNDREDTHS_IN_ISO.map((code) => [code, 2])), ...OF_ISO };
  for (const [code, digits] of Object.entries(others)) {
    assert.equal(digits, known[code as keyof typeof known], `Intl differs for ${code}`);
  }
  for (const [code, digits] of Object.entries(known)) assert.equal(minorDigits(code), digits, code);
  assert.deepEqual(["JPY", "EUR", "KWD", "CLF", "XXX"].map(minorDigits), [0, 2, 3, 4, 2]);
});

Deno.test("without a shop's currency, all prices are in hundredths", () => {
  assert.deepEqual([priceDigits("JPY", null), priceDigits(null, null)], [2, 2]);
  assert.deepEqual([priceDigits("JPY", "KWD"), priceDigits(null, "KWD"), priceDigits("XXX", "KWD")], [0, 3, 2]);
  assert.deepEqual([0, 2, 3, 4].map(mostMinor), [1e10, 1e12, 1e13, 1e13]);
});

const DAY = Date.UTC(2026, 10, 1);
const RATES: readonly Rate[] = [
  { currency: "USD", fromDay: "2026-11-01", rate: "0.92" },
  { currency: "USD", fromDay: "2026-11-02", rate: "0.5" },
  { currency: "JPY", fromDay: "2026-10-01", rate: "0.00615" },
  { currency: "KWD", fromDay: "2026-10-01", rate: "3" },
];

Deno.test("the rate is the latest whose day is not after the event's UTC day", () => {
  const { convert } = bound(new Conversion("EUR", [...RATES].reverse()));
  assert.equal(convert(1000, "USD", DAY - 1), null);
  assert.equal(convert(1000, "USD", DAY), 920);
  assert.equal(convert(1000, "USD", DAY + 86_400_000 - 1), 920);
  assert.equal(convert(1000, "USD", DAY + 86_400_000), 500);
  assert.equal(convert(1000, "USD", Date.UTC(2030, 0, 1)), 500);
  assert.equal(convert(1000, "GBP", DAY), null);
});

Deno.test("amounts are converted between minor units, half up and exactly", () => {
  const euro = bound(new Conversion("EUR", RATES));
  const cases: readonly (readonly [number, string, number])[] = [
    [1, "USD", 1],
    [2000, "JPY", 1230],
    [100, "JPY", 62],
    [1, "JPY", 1],
    [1234, "KWD", 370],
    [5, "KWD", 2],
    [4, "KWD", 1],
    [0, "JPY", 0],
  ];
  for (const [minor, from, cents] of cases) assert.equal(euro.convert(minor, from, DAY), cents, `${minor} ${from}`);
  const half = (rate: string) => bound(new Conversion("JPY", [{ currency: "USD", fromDay: "1970-01-01", rate }]));
  assert.equal(half("150.5").convert(100, "USD", DAY), 151);
  assert.equal(half("150.499999999999999").convert(100, "USD", DAY), 150);
  // In floating point, 1.005 × 100 is less than 100.5.
  const dinar = bound(new Conversion("KWD", [{ currency: "JPY", fromDay: "1970-01-01", rate: "1.0005" }]));
  assert.equal(dinar.convert(1, "JPY", DAY), 1001);
  assert.equal(
    bound(new Conversion("EUR", [{ currency: "USD", fromDay: "1970-01-01", rate: "1.005" }]))
      .convert(100, "USD", DAY),
    101,
  );
});

Deno.test("what is too large for an event is not converted", () => {
  const { convert } = bound(new Conversion("EUR", [{ currency: "USD", fromDay: "1970-01-01", rate: "1000" }]));
  assert.equal(convert(1e9, "USD", DAY), 1e12);
  assert.equal(convert(1e9 + 1, "USD", DAY), null);
});

Deno.test("new rates count from the next amount on", () => {
  const conversion = new Conversion("EUR");
  assert.equal(conversion.convert(100, "USD", DAY), null);
  conversion.use(RATES);
  assert.equal(conversion.convert(100, "USD", DAY), 92);
});

Deno.test("a rate is a decimal above 0", () => {
  for (const rate of ["1", "0.92", "000.5", "0.000000000000001", "999999999999999.5"]) assert.match(rate, RATE, rate);
  for (const rate of ["0", "0.0", "0.", "00", "", ".5", "1.", "-1", "+1", "1e3", "1,5", " 1", "1".repeat(16)]) {
    assert.doesNotMatch(rate, RATE, rate);
  }
});

Deno.test("an amount is written with the digits of its currency", () => {
  assert.equal(moneyText(123_456, null), "1,234.56");
  assert.equal(moneyText(123_456, "EUR"), "1,234.56 EUR");
  assert.equal(moneyText(123_456, "JPY"), "123,456 JPY");
  assert.equal(moneyText(123_456, "KWD"), "123.456 KWD");
});

Deno.test("a fault of revenue says since when, how many, and what to do", () => {
  const none = { currency: "EUR", currencies: ["EUR", "USD"], unconverted: [] };
  assert.equal(moneyFault(none), null);
  assert.equal(moneyFault({ ...none, currency: null, currencies: ["EUR"] }), null);
  assert.match(moneyFault({ ...none, currency: null })!.detail, /^Purchases in EUR, USD are added up/);
  const unconverted = [
    { currency: "USD", since: "2026-11-05", purchases: 3 },
    { currency: "JPY", since: "2026-11-02", purchases: 1 },
  ];
  const fault = moneyFault({ ...none, unconverted })!;
  assert.equal(fault.title, "4 purchases have no rate");
  assert.equal(fault.detail, "Revenue lacks 3 in USD since 2026-11-05, 1 in JPY since 2026-11-02.");
  assert.match(fault.advice, /clickstream rebuild --from 2026-11-02T00:00:00Z/);
});

/** Its method `convert`, to be called by itself. */
function bound(conversion: Conversion): Pick<Conversion, "convert"> {
  return { convert: (minor, from, timeMs) => conversion.convert(minor, from, timeMs) };
}
