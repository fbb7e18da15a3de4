/** An object decoded by `JSON.parse`: if a field is sent twice, the last one counts. */
export type Fields = { readonly [name: string]: unknown };

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const DATE_AND_TIME = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?(Z|[+-]\d{2}(?::?\d{2})?)$/;
/** The basic form of ISO 8601, without separators between the digits. */
const BASIC = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(?:(\d\d)([.,]\d+)?)?(?=Z|[+-])/;

/** Compares two texts by their UTF-8 bytes: negative, zero or positive. */
export function compareText(left: string, right: string): number {
  if (left === right) return 0;
  const shared = Math.min(left.length, right.length);
  for (let at = 0; at < shared; at++) {
    if (left.charCodeAt(at) === right.charCodeAt(at)) continue;
    // UTF-8 sorts by code point; UTF-16 does not, because its surrogates sort below U+E000.
    return left.codePointAt(at)! - right.codePointAt(at)!;
  }
  return left.length - right.length;
}

/** True if PostgreSQL and UTF-8 can hold the text: no NUL and no lone surrogate. */
export function isStorable(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed();
}

/** The path without query string and fragment, but with a hash route, cut in the same way. */
export function cutPage(page: string): string {
  const [beforeFragment = "", fragment = ""] = page.split("#");
  const [path, route] = [beforeFragment, fragment].map((part) => part.split("?")[0]!);
  return (path + (/^!?\//.test(fragment) ? `#${route}` : "")) || "/";
}

/** Epoch milliseconds of an ISO 8601 date and time with zone; undefined if invalid or outside 1970 to 9999. */
export function millisecondsOfText(sent: string): number | undefined {
  // RFC 3339 allows lower case, and a space instead of the T.
  const upper = /^[^ ]{8,10} /.test(sent) ? sent.replace(" ", "T") : sent;
  const text = upper.replaceAll("t", "T").replace("z", "Z").replace(
    BASIC,
    (_, year, month, day, hour, minute, second = "00", fraction = "") =>
      `${year}-${month}-${day}T${hour}:${minute}:${second}${fraction}`,
  );
  const match = DATE_AND_TIME.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute] = match.slice(1, 6).map(Number) as [number, number, number, number, number];
  const second = Number(match[6] ?? "0");
  const millisecond = Number((match[7] ?? "").slice(0, 3).padEnd(3, "0"));
  // Date.UTC reads the years 0 to 99 as 1900 to 1999. A zone can move the last hours of 1969 into 1970.
  if (year < 1969 || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined;
  // A leap second; Date.UTC counts it into the next minute.
  if (hour > 24 || minute > 59 || second > 60) return undefined;
  // In ISO 8601 a day may end at exactly 24:00.
  if (hour === 24 && (minute > 0 || second > 0 || /[1-9]/.test(match[7] ?? ""))) return undefined;
  const zoneMs = zoneOf(match[8]!);
  if (zoneMs === undefined) return undefined;
  return millisecondsOfNumber(Date.UTC(year, month - 1, day, hour, minute, second, millisecond) - zoneMs);
}

/** Whole epoch milliseconds of a number; undefined outside 1970 to 9999. */
export function millisecondsOfNumber(time: number): number | undefined {
  const whole = Math.floor(time);
  return whole >= 0 && whole <= LAST_MS ? whole : undefined;
}

/** The price in units of its last decimal, rounded half up by its decimal digits; undefined if invalid. */
export function smallestUnitsOf(price: number | string, decimals: number): bigint | undefined {
  const isDecimal = typeof price === "number" ? price >= 0 && Number.isFinite(price) : /^\d+(\.\d+)?$/.test(price);
  if (!isDecimal) return undefined;
  const match = /^(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(price))!;
  const fraction = match[2] ?? "";
  const digits = BigInt(match[1]! + fraction);
  // price = digits × 10^power, so units = digits × 10^(power + decimals)
  const power = Number(match[3] ?? "0") - fraction.length + decimals;
  return power >= 0 ? digits * 10n ** BigInt(power) : roundHalfUp(digits, 10n ** BigInt(-power));
}

/** The time as ISO 8601 in UTC with milliseconds. A window may end in the year 10000. */
export function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/^\+0/, "");
}

/** What a clock in a time zone shows at a time, as `YYYY-MM-DDTHH:MM:SS.mmm`. */
export function localTime(timeMs: number, zone = "UTC"): string {
  if (zone === "UTC") return isoTime(timeMs).slice(0, -1);
  let clock = CLOCKS.get(zone);
  if (clock === undefined) CLOCKS.set(zone, clock = new Intl.DateTimeFormat("en", { ...SHOWN, timeZone: zone }));
  const { year, month, day, hour, minute, second, fractionalSecond } = Object.fromEntries(
    clock.formatToParts(timeMs).map(({ type, value }) => [type, value]),
  ) as Record<string, string>;
  return `${year!.padStart(4, "0")}-${month}-${day}T${hour}:${minute}:${second}.${fractionalSecond}`;
}

const SHOWN: Intl.DateTimeFormatOptions = {
  ...{ hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" },
  ...{ second: "2-digit", fractionalSecondDigits: 3 },
};
const CLOCKS = new Map<string, Intl.DateTimeFormat>();

/** The day of a time in a time zone as `YYYY-MM-DD`. */
export function localDay(timeMs: number, zone?: string): string {
  return localTime(timeMs, zone).slice(0, 10);
}

/** Where a day begins in a time zone, epoch milliseconds: the first minute of its date. */
export function startOfDay(day: string, zone?: string): number {
  const known = STARTS.get(`${day} ${zone}`);
  if (known !== undefined) return known;
  // No zone is more than a day from UTC.
  let timeMs = Date.parse(day) - 24 * HOUR_MS;
  while (localDay(timeMs, zone) < day) timeMs += MINUTE_MS;
  STARTS.set(`${day} ${zone}`, timeMs);
  return timeMs;
}

const STARTS = new Map<string, number>();

/** The start of a time's minute, in epoch milliseconds. */
export function minuteOf(timeMs: number): number {
  return Math.floor(timeMs / MINUTE_MS) * MINUTE_MS;
}

function roundHalfUp(numerator: bigint, denominator: bigint): bigint {
  return (2n * numerator + denominator) / (2n * denominator);
}

function daysInMonth(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  if (month === 2) return isLeap ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

function zoneOf(zone: string): number | undefined {
  if (zone === "Z") return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(":", ""));
  if (hours > 23 || minutes > 59) return undefined;
  return (zone[0] === "-" ? -1 : 1) * (hours * HOUR_MS + minutes * MINUTE_MS);
}
