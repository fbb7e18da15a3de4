/**
 * What the page shows of the shop itself, out of PostgreSQL. Times are epoch milliseconds.
 * @module
 */

/** A partition as the tables know it, whichever process reads it. */
export interface TablePartition {
  readonly partition: number;
  readonly next: number;
  readonly watermark: number | null;
  readonly owner: string;
  readonly committedAt: number;
}

/** Users with any event in five minutes. */
export interface ActiveUsers {
  readonly now: number;
  /** The end of each window of the last hour, and its users. */
  readonly series: readonly (readonly [end: number, users: number])[];
}

/** Sessions that began in the last hour. */
export interface Conversion {
  readonly sessions: number;
  readonly conversions: number;
  readonly revenueCents: number;
  /** Sessions that reached each step of the funnel. */
  readonly views: number;
  readonly carts: number;
  readonly purchases: number;
}

/** A page, and its views in the last quarter of an hour. */
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

/** A refused message. */
export interface RefusalShown {
  readonly id: string;
  readonly reason: string;
  readonly field: string | null;
  readonly detail: string | null;
  readonly partition: number;
  readonly offset: number;
  /** Its beginning, as text. */
  readonly payload: string;
  /** Bytes that are kept of it. */
  readonly bytes: number;
  readonly refusedAt: number;
  readonly replayedAt: number | null;
}

/** The shop as of the latest event. */
export interface ShopReport {
  /** Time of the latest event; null before the first. */
  readonly asOf: number | null;
  /** Windows that end no later are final; null if that is not known. */
  readonly watermark: number | null;
  readonly activeUsers: ActiveUsers | null;
  readonly conversion: Conversion | null;
  readonly topPages: readonly TopPage[];
  readonly windows: readonly OpenWindow[];
  /** The latest first. */
  readonly refusals: readonly RefusalShown[];
}

/** Most partitions that are shown. */
export const PARTITIONS = 200;

/** Where the page's answers about the shop come from. Rejects where PostgreSQL cannot be asked. */
export interface ShopSource {
  /** How far the tables are, at `nowMs`, epoch milliseconds. */
  front(nowMs: number): Promise<Front>;
  /** The shop, as of that. */
  report(front: Front): Promise<ShopReport>;
  close(): Promise<void>;
}

/** How far the tables are. */
export interface Front {
  readonly partitions: readonly TablePartition[];
  /** Records that Kafka had deleted before they were read, and that nobody has acknowledged. */
  readonly gaps: number;
  /** Windows that end no later are final; epoch milliseconds, null if that is not known. */
  readonly watermark: number | null;
  /** The latest event time in the tables, but not after now, epoch milliseconds; null before the first. */
  readonly latest: number | null;
}
