import type { OracleEvent } from "./reference_decoder.ts";

/** A stored event: the record's values, and its position in the log. `eventId` is the id used for duplicates. */
export interface StoredEvent extends OracleEvent {
  readonly eventId: string;
  readonly partition: number;
  readonly offset: number;
  readonly kafkaTimeMs: number;
  /** With a currency of the shop: whether it is a purchase in another that has no rate. */
  readonly isUnconverted: boolean;
  /** Whether its user agent is on the list of bots. */
  readonly isListed: boolean;
}

// Rows have the same form in every table: times and days as ISO text (UTC, milliseconds), cents as decimal text (sums
// exceed 2^53), all other numbers as numbers.

/** A row of `progress`; `next_offset` is the lowest possible value once the whole log is consumed. */
export type ProgressRow = {
  readonly topic: string;
  readonly partition: number;
  readonly next_offset: number;
  readonly watermark: string | null;
  readonly consumed: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly refused: number;
};

/** A row of `events`. */
export type EventRow = {
  readonly event_id: string;
  readonly event_time: string;
  readonly user_id: string;
  readonly session_id: string | null;
  readonly event_type: string;
  readonly page: string;
  readonly device: string;
  readonly region: string;
  readonly referrer: string | null;
  readonly product_id: string | null;
  readonly campaign: string | null;
  readonly price_cents: string | null;
  readonly quantity: number;
  readonly currency: string | null;
  readonly revenue_cents: string;
  readonly kafka_partition: number;
  readonly kafka_offset: number;
  readonly kafka_time: string;
  readonly user_agent: string | null;
  readonly order_id: string | null;
  readonly is_bot: boolean;
};

/** A row of `traffic`: one minute, event type, device, region and mark of bots. */
export type TrafficRow = {
  readonly window_start: string;
  readonly event_type: string;
  readonly device: string;
  readonly region: string;
  readonly is_bot: boolean;
  readonly events: number;
  readonly users: number;
  readonly revenue_cents: string;
};

/** A row of `pages`: one minute, cut page and mark of bots. */
export type PageRow = {
  readonly window_start: string;
  readonly page: string;
  readonly is_bot: boolean;
  readonly views: number;
  readonly users: number;
};

/** A row of `active_users`: one hopping window and mark of bots. */
export type ActiveUsersRow = {
  readonly window_start: string;
  readonly window_end: string;
  readonly is_bot: boolean;
  readonly users: number;
};

/** A row of `sessions`, which also has the columns of declared goals and funnels. */
export type SessionRow = {
  readonly user_id: string;
  readonly session_id: string | null;
  readonly started_at: string;
  readonly ended_at: string;
  readonly events: number;
  readonly page_views: number;
  readonly entry_page: string | null;
  readonly exit_page: string | null;
  readonly device: string;
  readonly region: string;
  readonly carts: number;
  readonly purchases: number;
  readonly revenue_cents: string;
  readonly funnel_step: number;
  readonly bounced: boolean;
  readonly source: string | null;
  readonly medium: string | null;
  readonly campaign: string | null;
  readonly first_event_id: string;
  readonly bot_events: number;
  readonly is_bot: boolean;
};

/** A row of `user_days`: one user and day of the shop's time zone. */
export type UserDayRow = {
  readonly user_id: string;
  readonly day: string;
  readonly events: number;
  readonly purchases: number;
  readonly revenue_cents: string;
  readonly bot_sessions: number;
  readonly is_bot: boolean;
};

/** A row of `currencies`: one UTC day and currency that purchases were sent in. */
export type CurrencyRow = {
  readonly window_start: string;
  readonly currency: string;
  readonly purchases: number;
  readonly revenue_cents: string;
  readonly unconverted: string;
};

/** A row of `refusals`; `payload` is hexadecimal. */
export type RefusalRow = {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly reason: string;
  readonly field: string | null;
  readonly payload: string;
};

/** What a filter may name. */
export type DeclaredKey = "event" | "page" | "device" | "region" | "product" | "campaign";

/** What a value must be like. */
export type DeclaredMatcher = string | { readonly prefix: string } | { readonly pattern: string };

/** A filter as a shop writes it: a text, a prefix, a pattern, or a list of them for each key. */
export type DeclaredFilter = {
  readonly [key in DeclaredKey]?: DeclaredMatcher | readonly DeclaredMatcher[] | undefined;
};

/** The goals and funnels that a shop declares. */
export interface Declarations {
  readonly goals: readonly { readonly name: string; readonly filter: DeclaredFilter }[];
  readonly funnels: readonly {
    readonly name: string;
    readonly steps: readonly { readonly name: string; readonly filter: DeclaredFilter }[];
  }[];
}

/** The expected content of every table, each sorted by its key. */
export interface Expected {
  /** Name of the time zone of days (default: UTC). */
  readonly timeZone?: string;
  readonly progress: readonly ProgressRow[];
  readonly events: readonly EventRow[];
  readonly traffic: readonly TrafficRow[];
  readonly pages: readonly PageRow[];
  readonly active_users: readonly ActiveUsersRow[];
  readonly sessions: readonly SessionRow[];
  readonly user_days: readonly UserDayRow[];
  readonly currencies: readonly CurrencyRow[];
  readonly refusals: readonly RefusalRow[];
  /** The goals and funnels that are declared: none by default. */
  readonly declared?: Declarations;
  /** Whether reports count people only: then windows and sessions of bots are left out, and events and days are told by their marks. */
  readonly peopleOnly?: true;
}
