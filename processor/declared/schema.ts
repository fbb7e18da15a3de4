/**
 * The form of a file of declared views, goals and funnels: what it may contain, and what each part means. JSON Schema is
 * made from it.
 * @module
 */
import { z } from "zod";
import { DEVICES } from "../event.ts";
import { FUNNEL_STEPS } from "../measures/funnel.ts";
import { RESERVED } from "./reserved.ts";

/** Most views, goals and funnels in a file: each costs the service time for every event. */
export const MOST_VIEWS = 50;
export const MOST_GOALS = 20;
export const MOST_FUNNELS = 10;

const NAME = /^[a-z][a-z0-9_]{0,49}$/;

function name(what: string) {
  return z.string({ error: `must be ${what}` })
    .regex(NAME, { error: `must be ${what}: 1 to 50 small letters, digits and _, beginning with a letter` });
}

/** A name that SQL must take without quotes. */
function nameInSql(what: string) {
  return name(what).refine((text) => !RESERVED.has(text), { error: "is a keyword of SQL; choose another name" });
}

function about(what: string) {
  return z.string({ error: "must be a text" }).min(1, { error: "must not be empty" }).max(300, {
    error: "must have at most 300 characters",
  }).describe(what);
}

const TEXT = z.string({ error: "must be a text" }).min(1, { error: "must not be empty" }).max(2048, {
  error: "must have at most 2,048 characters",
});

const MATCHER = z.union([
  TEXT.describe("The text itself"),
  z.strictObject({ prefix: TEXT.describe("How the text begins") }),
  z.strictObject({
    pattern: TEXT.regex(/\*/, { error: "must contain a *" }).describe("The text, where * stands for any text"),
  }),
], { error: "must be a text, {prefix: TEXT} or {pattern: TEXT}, or a list of them" });

/** What a dimension must match: one of these. */
const MATCHERS = z.union([MATCHER, z.array(MATCHER).min(1, { error: "must not be an empty list" }).max(100)], {
  error: "must be a text, {prefix: TEXT} or {pattern: TEXT}, or a list of them",
}).transform((given) => Array.isArray(given) ? given : [given]);

/** The names of dimensions in a file. */
export const KEYS = ["event", "page", "device", "region", "product", "campaign"] as const;

const FILTER = z.strictObject({
  event: MATCHERS.describe("Type of the event, such as add_to_cart").optional(),
  page: MATCHERS.describe("Page without query string and fragment").optional(),
  device: MATCHERS.describe(`${[...DEVICES].join(", ")}, other or unknown`).optional(),
  region: MATCHERS.optional(),
  product: MATCHERS.describe("The event's productId").optional(),
  campaign: MATCHERS.describe("The event's campaign").optional(),
}, { error: (issue) => issue.code === "invalid_type" ? "must be a map of dimensions" : undefined });

/** A filter, with a list for each dimension. */
export type DeclaredFilter = z.output<typeof FILTER>;

/** What a measure computes, in one text. */
const COMPUTES = z.string({ error: "must be a text" }).regex(
  /^(?:count|users|(?:sum|min|max) (?:revenue|price)|(?:first|last) (?:event|page|device|region|product|campaign))$/,
  {
    error: "must be count, users, sum, min or max with revenue or price, or first or last with event, page, device, " +
      'region, product or campaign, such as "sum revenue" or "last page"',
  },
);

const MEASURE = z.union([
  COMPUTES,
  z.strictObject({ measure: COMPUTES, filter: FILTER.describe("Which of the view's events it counts").optional() }),
], { error: "must be what it computes, such as count, or {measure: count, filter: …}" })
  .transform((given) => typeof given === "string" ? { measure: given } : given);

const LENGTH = /^([1-9]\d{0,3}) (minute|hour)s?$/;
const UNIT_MS = { minute: 60_000, hour: 3_600_000 } as const;
const DAY_MS = 24 * UNIT_MS.hour;

/** The length that a window's text says, in milliseconds. */
export function lengthOf(text: string): number {
  const [, count, unit] = LENGTH.exec(text)!;
  return Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS];
}

/** Number of windows that an event is in; null if the texts are no lengths. */
function windowsOf({ size, every }: { size: string; every: string }): number | null {
  return LENGTH.test(size) && LENGTH.test(every) ? lengthOf(size) / lengthOf(every) : null;
}

/** Most windows that an event may be in: it is counted in the row of each. */
const MOST_WINDOWS = 60;

const LENGTH_TEXT = z.string({ error: "must be a length of time" })
  .regex(LENGTH, { error: 'must be a number of minutes or hours, such as "5 minutes"' })
  .refine((text) => !LENGTH.test(text) || lengthOf(text) <= DAY_MS, { error: "must be at most 24 hours" });

/** The window of a day. */
export const DAY = "1 day";

const WINDOW = z.union([
  z.string({ error: "must be a length of time" })
    .refine((text) => text === DAY || LENGTH_TEXT.safeParse(text).success, {
      error: `must be a number of minutes or hours up to 24 hours, such as "5 minutes", or "${DAY}"`,
    }).describe(`Length of windows that follow each other, such as 5 minutes; or ${DAY}`),
  z.strictObject({ size: LENGTH_TEXT, every: LENGTH_TEXT })
    .refine((window) => Number.isInteger(windowsOf(window) ?? 1), {
      error: 'must have a size that is a multiple of its "every"',
    })
    .refine((window) => (windowsOf(window) ?? 1) <= MOST_WINDOWS, {
      error: `must not count an event in more than ${MOST_WINDOWS} windows; choose a longer "every"`,
    })
    .describe("Windows that overlap"),
], { error: 'must be a length such as "5 minutes", "1 day", or {size: 15 minutes, every: 5 minutes}' });

const VIEW = z.strictObject({
  name: nameInSql("a name").describe("Name of the view and of its table"),
  description: about("What the view answers, in a sentence"),
  filter: FILTER.describe("Which events it counts (default: all)").optional(),
  window: WINDOW,
  keys: z.array(
    z.enum(KEYS, { error: `must be one of ${KEYS.join(", ")}` }),
    { error: `must be a list of ${KEYS.join(", ")}` },
  ).describe("What it groups by (default: nothing). By product or campaign, it counts the events that have one")
    .refine((keys) => new Set(keys).size === keys.length, { error: "must not name a key twice" }).default([]),
  measures: z.record(nameInSql("the name of a column"), MEASURE, { error: "must be a map of names to measures" })
    .refine((measures) => Object.keys(measures).length > 0, { error: "must not be empty" }),
}, { error: (issue) => issue.code === "invalid_type" ? "must be a map with name, window and measures" : undefined });

/** A view, as the schema reads it. */
export type DeclaredView = z.output<typeof VIEW>;

const GOAL = z.strictObject({
  name: name("a name").describe("Name of the goal; goal_NAME is its column of sessions"),
  description: about("What is reached, in a sentence"),
  filter: FILTER.describe("Which events reach it"),
}, { error: (issue) => issue.code === "invalid_type" ? "must be a map with name, description and filter" : undefined });

const STEP = z.strictObject({
  name: name("a name").describe("Name of the step in reports"),
  filter: FILTER.describe("Which events are this step"),
}, { error: (issue) => issue.code === "invalid_type" ? "must be a map with name and filter" : undefined });

const STEPS = `must be a list of ${FUNNEL_STEPS.least} to ${FUNNEL_STEPS.most} steps`;

const FUNNEL = z.strictObject({
  name: name("a name").describe("Name of the funnel; funnel_NAME is its column of sessions"),
  description: about("Where the funnel leads, in a sentence"),
  steps: z.array(STEP, { error: STEPS }).min(FUNNEL_STEPS.least, { error: STEPS }).max(FUNNEL_STEPS.most, {
    error: STEPS,
  }).refine((steps) => new Set(steps.map((step) => step.name)).size === steps.length, {
    error: "must not have two steps of one name",
  }).describe("Each at the same time as the one before, or later"),
}, { error: (issue) => issue.code === "invalid_type" ? "must be a map with name, description and steps" : undefined });

function listOf<T extends z.ZodType>(of: T, most: number, what: string) {
  return z.array(of, { error: "must be a list" }).max(most, { error: `must have at most ${most} ${what}` });
}

/** A file of declared views, goals and funnels. */
export const FILE = z.strictObject({
  views: listOf(VIEW, MOST_VIEWS, "views").default([]),
  goals: listOf(GOAL, MOST_GOALS, "goals").describe("Events to count in each session").default([]),
  funnels: listOf(FUNNEL, MOST_FUNNELS, "funnels").describe("Steps to follow in each session").default([]),
}, { error: (issue) => issue.code === "invalid_type" ? "must be a map with views, goals or funnels" : undefined });

/** The kinds of what a file declares, in its order. */
export const KINDS = ["view", "goal", "funnel"] as const;

/** One of `KINDS`. */
export type Kind = typeof KINDS[number];

/** The content of a file. Reading it again by the schema changes nothing. */
export type Declared = z.output<typeof FILE>;

/** The JSON Schema of a file, for editors. */
export function jsonSchema(): Readonly<Record<string, unknown>> {
  return z.toJSONSchema(FILE, { io: "input", reused: "ref" });
}
