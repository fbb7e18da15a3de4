/**
 * The time zone of the shop's days: which day a time belongs to.
 * @module
 */

/** A time zone. */
export interface TimeZone {
  /** Its name in the IANA database. */
  readonly name: string;
  /** True if its clock shows UTC at every time, so that it need not be asked. */
  readonly isUtc: boolean;
  /** The time that a clock in the zone shows, as if it were UTC: epoch milliseconds. */
  localMs(timeMs: number): number;
}

/** Universal time, whose clock is never changed. */
export const UTC: TimeZone = { name: "UTC", isUtc: true, localMs: (timeMs) => timeMs };

/** From a time on, what a clock in a zone is ahead of UTC, until the next such time. */
export interface Offset {
  readonly fromMs: number;
  readonly aheadMs: number;
}

/**
 * The offsets of a zone are given until this time. Exceptions, such as the months of Ramadan, are known until 2087; since
 * 2100 the rules repeat every 400 years, as the calendar does.
 */
export const RULES_UNTIL_MS = Date.UTC(2500);

/** 400 years of the calendar, in milliseconds. */
const CYCLE_MS = 146_097 * 86_400_000;

/**
 * A zone by its offsets. Events come nearly in order, so it remembers the offset of the last one, and until when it holds.
 */
export class OffsetZone implements TimeZone {
  readonly name: string;
  readonly isUtc = false;
  readonly #offsets: readonly Offset[];
  #fromMs = 0;
  #untilMs = 0;
  #aheadMs = 0;

  /** @param offsets in the order of their times; the first begins at 1970 or before, the last before `RULES_UNTIL_MS` */
  constructor(name: string, offsets: readonly Offset[]) {
    this.name = name;
    this.#offsets = offsets;
  }

  localMs(timeMs: number): number {
    if (timeMs < this.#fromMs || timeMs >= this.#untilMs) this.#find(timeMs);
    return timeMs + this.#aheadMs;
  }

  #find(timeMs: number): void {
    const offsets = this.#offsets;
    const laterMs = Math.max(0, Math.ceil((timeMs + 1 - RULES_UNTIL_MS) / CYCLE_MS)) * CYCLE_MS;
    let low = 0;
    for (let high = offsets.length - 1; low < high;) {
      const middle = (low + high + 1) >> 1;
      if (offsets[middle]!.fromMs <= timeMs - laterMs) low = middle;
      else high = middle - 1;
    }
    const { fromMs, aheadMs } = offsets[low]!;
    // Of the first offset of a later cycle, it is not known here since when it holds: not since before the cycle.
    this.#fromMs = laterMs === 0 ? fromMs : laterMs + Math.max(fromMs, RULES_UNTIL_MS - CYCLE_MS);
    this.#untilMs = laterMs + (offsets[low + 1]?.fromMs ?? RULES_UNTIL_MS);
    this.#aheadMs = aheadMs;
  }
}

/** A zone that is known later, when the database has been asked for it. Until then it is UTC. */
export class LoadedZone implements TimeZone {
  #zone: TimeZone = UTC;

  get name(): string {
    return this.#zone.name;
  }

  get isUtc(): boolean {
    return this.#zone.isUtc;
  }

  localMs(timeMs: number): number {
    return this.#zone.localMs(timeMs);
  }

  load(zone: TimeZone): void {
    this.#zone = zone;
  }
}

/** Day of the times that a `ZoneSince` leaves out, before any day of an event; days since 1970. */
const LEFT_OUT_DAY = -1000;

/** A zone from a time on. All earlier times are on one day, long before the first day of an event. */
export class ZoneSince implements TimeZone {
  readonly name: string;
  readonly isUtc = false;
  readonly #sinceMs: number;
  readonly #zone: TimeZone;

  constructor(sinceMs: number, zone: TimeZone) {
    this.name = zone.name;
    this.#sinceMs = sinceMs;
    this.#zone = zone;
  }

  localMs(timeMs: number): number {
    return timeMs < this.#sinceMs ? LEFT_OUT_DAY * 86_400_000 : this.#zone.localMs(timeMs);
  }
}
