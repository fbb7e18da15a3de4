/**
 * The cases of an overload: what is in the topic before the service starts, and what comes while it drains.
 * @module
 */
import { fileURLToPath } from "node:url";
import type { Batching } from "../servers/load.ts";
import type { Shape } from "./clicks.ts";

/** A case. */
export interface Case {
  readonly about: string;
  readonly partitions: number;
  /** What the topic holds before the start, at a scale of 1. */
  backlog(scale: number): Shape;
  /** Partitions that get a trickle while the others are drained; their users are in no other. */
  readonly trickle: readonly number[];
  readonly batching?: Batching;
  /** The share of the time in which the service runs while records come at ten times what it then takes. */
  readonly throttle?: number;
  /** Views that the shop declares. */
  readonly viewsFile?: string;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const PRODUCTS = 1000;

const product: Shape["pageOf"] = (_n, random) => `/products/${Math.floor(random.next() ** 2 * PRODUCTS)}`;

/** A text of as many characters, different for each `n` and never the start of another. */
function textOf(n: number, length: number): string {
  const head = `${n.toString(36)}-`;
  return head + "x".repeat(length - head.length);
}

/** Largest value that can be an event, and what the other fields of one need of it. */
const EVENT_BYTES = 65_536;
const OTHERS_BYTES = 400;

const backlogOf = (scale: number, records: number, of: Partial<Shape> = {}): Shape => ({
  records: Math.ceil(records * scale),
  fromMs: Date.now() - 60 * MINUTE_MS,
  spanMs: 59 * MINUTE_MS,
  users: 100_000,
  prefix: "u",
  pageOf: product,
  seed: 1,
  ...of,
});

/** Distinct pages, 200,000 a minute. */
const landings = (scale: number): Shape =>
  backlogOf(scale, 3_000_000, {
    spanMs: Math.ceil(15 * scale) * MINUTE_MS,
    pageOf: (n) => `/landing/${textOf(n, 60)}`,
  });

/** The cases by name. A scale of 1 is the long form. */
export const CASES: Readonly<Record<string, Case>> = {
  "ten times": {
    about: "records come at ten times what the service takes",
    partitions: 6,
    backlog: (scale) => backlogOf(scale, 100_000),
    trickle: [],
    throttle: 0.2,
  },
  "week": {
    about: "a backlog of a week",
    partitions: 6,
    backlog: (scale) => backlogOf(scale, 5_000_000, { fromMs: Date.now() - 7 * DAY_MS, spanMs: 7 * DAY_MS }),
    trickle: [],
  },
  "one partition": {
    about: "one of six partitions has all the traffic, an hour behind",
    partitions: 6,
    backlog: (scale) => backlogOf(scale, 5_000_000, { partitionOf: () => 0 }),
    trickle: [1, 2, 3, 4, 5],
  },
  "64 partitions": {
    about: "a backlog in 63 of 64 partitions",
    partitions: 64,
    backlog: (scale) => backlogOf(scale, 5_000_000, { partitionOf: (user) => user % 63 }),
    trickle: [63],
  },
  "pages": {
    about: "200,000 distinct pages a minute",
    partitions: 6,
    backlog: landings,
    trickle: [],
  },
  "declared views": {
    about: "200,000 distinct pages a minute, and twenty declared views, three of them by page",
    partitions: 6,
    backlog: landings,
    trickle: [],
    viewsFile: fileURLToPath(new URL("../servers/twenty_views.yaml", import.meta.url)),
  },
  "users": {
    about: "10 million users, most of them once",
    partitions: 6,
    backlog: (scale) => backlogOf(scale, 10_000_000, { users: 10_000_000 }),
    trickle: [],
  },
  "robots": {
    about: "a thousand users view five thousand products each, in one session",
    partitions: 6,
    backlog: (scale) => backlogOf(scale, 5_000_000, { users: 1000 }),
    trickle: [],
  },
  "64 KiB": {
    about: "events of 64 KiB, each with a text that no other has, and a tenth refused",
    partitions: 6,
    backlog: (scale) =>
      backlogOf(scale, 30_000, {
        more: (n) => `,"referrer":"${textOf(n, EVENT_BYTES - OTHERS_BYTES)}"`,
        isRefused: (n) => n % 10 === 0,
      }),
    trickle: [],
  },
  "64 KiB refused": {
    about: "records of 64 KiB that are refused",
    partitions: 6,
    backlog: (scale) =>
      backlogOf(scale, 30_000, {
        more: (n) => `,"referrer":"${textOf(n, EVENT_BYTES - OTHERS_BYTES)}"`,
        isRefused: () => true,
      }),
    trickle: [],
  },
  "64 KiB gzipped": {
    about: "events of 64 KiB with the same text, in batches of 1 MiB that unpack to 60 MiB",
    partitions: 6,
    backlog: (scale) =>
      backlogOf(scale, 30_000, { more: () => `,"referrer":"${textOf(0, EVENT_BYTES - OTHERS_BYTES)}"` }),
    batching: { bytes: 60 * 2 ** 20, isGzipped: true },
    trickle: [],
  },
};
