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

/** Users with at least one event in five minutes. */
export interface ActiveUsers {
  readonly now: number;
  /** End of each window of the last hour, and its number of users. */
  readonly series: readonly (readonly [end: number, users: number])[];
}

/** Sessions that started in the last hour. */
export interface Conversion {
  readonly sessions: number;
  readonly conversions: number;
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
  readonly activeUsers: ActiveUsers | null;
  readonly conversion: Conversion | null;
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
}
