/**
 * What the page shows of the shop, read from PostgreSQL. Times are epoch milliseconds.
 * @module
 */

/** A partition's row of `progress`, whichever process reads it. */
export interface TablePartition {
  readonly partition: number;
  readonly next: number;
  readonly watermark: number | null;
  readonly owner: string;
  readonly committedAt: number;
}

/** A figure over the last hour, and over the same hour of the day before. */
export interface Trend {
  /** End of each step, and the figure. */
  readonly series: readonly (readonly [end: number, figure: number])[];
  /** The figures of the same steps a day earlier; null if all of them are 0. */
  readonly dayBefore: readonly number[] | null;
  /** Change against the day before, as a share of it; null if there is nothing to compare. */
  readonly change: number | null;
}

/** Users with at least one event in five minutes. The change compares the last window that is over. */
export interface ActiveUsers extends Trend {
  readonly now: number;
}

/** Sessions that started in the last hour. */
export interface Conversion {
  readonly sessions: number;
  /** Sessions with a purchase. */
  readonly conversions: number;
  /** Conversion rate, 0 to 1; null without a session. */
  readonly rate: number | null;
  readonly revenueCents: number;
  /** Sessions that reached each step of the funnel. */
  readonly views: number;
  readonly carts: number;
  readonly purchases: number;
}

/** A page, and its views in the last 15 minutes. */
export interface TopPage {
  readonly page: string;
  readonly views: number;
}

/** A window that is not final yet. */
export interface OpenWindow {
  readonly view: string;
  readonly start: number;
  readonly end: number;
  readonly count: number;
  readonly unit: string;
}

/** A refusal. */
export interface RefusalShown {
  readonly id: string;
  readonly reason: string;
  readonly field: string | null;
  readonly detail: string | null;
  readonly partition: number;
  readonly offset: number;
  /** The start of its payload, as text. */
  readonly payload: string;
  /** Size of the stored payload, in bytes. */
  readonly bytes: number;
  readonly refusedAt: number;
  readonly replayedAt: number | null;
}

/** The shop as of the latest event. */
export interface ShopReport {
  /** Time of the latest event; null before the first. */
  readonly asOf: number | null;
  /** Event-time watermark: windows that end at or before it are final; null if not known. */
  readonly watermark: number | null;
  /** The currency that revenue is in, null if purchases are not converted, and its digits after the point. */
  readonly currency: { readonly code: string | null; readonly digits: number };
  readonly activeUsers: ActiveUsers | null;
  readonly conversion: Conversion | null;
  /** Revenue of the sessions that started in each step, in minor units. */
  readonly revenue: Trend | null;
  readonly topPages: readonly TopPage[];
  readonly windows: readonly OpenWindow[];
  /** Newest first. */
  readonly refusals: readonly RefusalShown[];
}

/** Largest number of partitions that are shown. */
export const PARTITIONS = 200;

/** Source of the page's figures about the shop. Rejects if PostgreSQL cannot be queried. */
export interface ShopSource {
  /** Positions of the tables at `nowMs`, epoch milliseconds. */
  front(nowMs: number): Promise<Front>;
  /** The shop, as of these positions. */
  report(front: Front): Promise<ShopReport>;
  close(): Promise<void>;
}

/** Positions of the tables. */
export interface Front {
  readonly partitions: readonly TablePartition[];
  /** Records in unacknowledged gaps: Kafka deleted them before they were read. */
  readonly gaps: number;
  /** Event-time watermark, epoch milliseconds: windows that end at or before it are final; null if not known. */
  readonly watermark: number | null;
  /** Latest event time in the tables, but not after now, epoch milliseconds; null before the first event. */
  readonly latest: number | null;
  /** Where each partition ended when a user was last forgotten: records below may be that user's. */
  readonly forgotten: readonly (readonly [partition: number, below: number])[];
}
