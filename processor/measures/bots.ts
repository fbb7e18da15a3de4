/**
 * The measure that tells bots: by the list, or by so many events in so little time as nobody makes.
 * @module
 */
import { grown, NO_DOUBLES } from "../columns/grown.ts";
import type { Measure } from "./measure.ts";

/** Events of a session from which on their rate tells a bot. */
export const BOT_EVENTS = 200;

/** A bot has more events than this per started minute. */
export const BOT_EVENTS_A_MINUTE = 60;

const MINUTE_MS = 60_000;

/** What tells a bot. Times are epoch milliseconds. */
export interface BotSigns {
  /** Number of events whose user agent is on the list. */
  readonly listed: number;
  readonly events: number;
  /** Times of the earliest and the latest event; infinite without any. */
  readonly from: number;
  readonly to: number;
  /** The mark. Of a row that another version has stored, it is what that version made of these signs. */
  readonly isBot: boolean;
}

/** Columns that the measure reads and writes besides its own, which is the mark. */
export interface BotColumns {
  readonly listed: string;
  readonly events: string;
  readonly from: string;
  readonly to: string;
}

/**
 * Whether these are the events of a bot: one is on the list, or there are at least `BOT_EVENTS`, and more than
 * `BOT_EVENTS_A_MINUTE` per started minute. Minutes start with the first event.
 */
function isOfBot(listed: number, events: number, from: number, to: number): boolean {
  if (listed > 0) return true;
  return events >= BOT_EVENTS && events > BOT_EVENTS_A_MINUTE * (Math.floor((to - from) / MINUTE_MS) + 1);
}

function marked(listed: number, events: number, from: number, to: number): BotSigns {
  return { listed, events, from, to, isBot: isOfBot(listed, events, from, to) };
}

/** Where the signs of a row lie, and how many there are. */
const [LISTED, EVENTS, FROM, TO, SIGNS] = [0, 1, 2, 3, 4] as const;

const NO_SIGNS: BotSigns = { listed: 0, events: 0, from: Infinity, to: -Infinity, isBot: false };

/** Marks the rows of bots. */
export function bots({ listed, events, from, to }: BotColumns): Measure<BotSigns> {
  return {
    kind: "bot",
    where: {},
    zero: NO_SIGNS,
    merge: (a, b) => marked(a.listed + b.listed, a.events + b.events, Math.min(a.from, b.from), Math.max(a.to, b.to)),
    columns: (name) => [
      { name, type: "boolean", nullable: false, default: "false" },
      { name: listed, type: "bigint", nullable: false, default: "0" },
      { name: events, type: "bigint", nullable: false },
      { name: from, type: "timestamptz", nullable: false },
      { name: to, type: "timestamptz", nullable: false },
    ],
    encode: ({ listed, events, from, to, isBot }) =>
      events === 0 ? [0, 0, 0, null, null] : [isBot ? 1 : 0, listed, events, from, to],
    decode: ([mark, listed, events, from, to]) =>
      events === 0 ? NO_SIGNS : {
        listed: listed as number,
        events: events as number,
        from: from as number,
        to: to as number,
        isBot: mark === 1,
      },
    accumulator() {
      // One after the other for each row: all of them lie in one line of the cache.
      let signs = NO_DOUBLES;
      return {
        add(batch, rows, rowCount) {
          if (rowCount * SIGNS > signs.length) signs = grown(signs, rowCount * SIGNS);
          const { time, codes: { bot } } = batch;
          for (let i = 0; i < batch.count; i++) {
            const row = rows[i]!;
            if (row < 0) continue;
            const at = row * SIGNS;
            const ms = time[i]!;
            if (signs[at + EVENTS]!++ === 0) {
              signs[at + FROM] = ms;
              signs[at + TO] = ms;
            } else if (ms < signs[at + FROM]!) signs[at + FROM] = ms;
            else if (ms > signs[at + TO]!) signs[at + TO] = ms;
            // A mark's code is its value.
            signs[at + LISTED]! += bot[i]!;
          }
        },
        merge(into, from) {
          const [to, gone] = [into * SIGNS, from * SIGNS];
          if (signs[gone + EVENTS]! === 0) return;
          const isFirst = signs[to + EVENTS] === 0;
          signs[to + FROM] = isFirst ? signs[gone + FROM]! : Math.min(signs[to + FROM]!, signs[gone + FROM]!);
          signs[to + TO] = isFirst ? signs[gone + TO]! : Math.max(signs[to + TO]!, signs[gone + TO]!);
          signs[to + EVENTS]! += signs[gone + EVENTS]!;
          signs[to + LISTED]! += signs[gone + LISTED]!;
        },
        value(row) {
          const at = row * SIGNS;
          if ((signs[at + EVENTS] ?? 0) === 0) return NO_SIGNS;
          return marked(signs[at + LISTED]!, signs[at + EVENTS]!, signs[at + FROM]!, signs[at + TO]!);
        },
        cells(rows) {
          const columns = [0, 1, 2, 3, 4].map(() => new Float64Array(rows.length));
          const [marks, listings, counts, froms, tos] = columns;
          for (let r = 0; r < rows.length; r++) {
            const at = rows[r]! * SIGNS;
            const events = signs[at + EVENTS] ?? 0;
            if (events === 0) {
              froms![r] = NaN;
              tos![r] = NaN;
              continue;
            }
            marks![r] = isOfBot(signs[at + LISTED]!, events, signs[at + FROM]!, signs[at + TO]!) ? 1 : 0;
            listings![r] = signs[at + LISTED]!;
            counts![r] = events;
            froms![r] = signs[at + FROM]!;
            tos![r] = signs[at + TO]!;
          }
          return columns;
        },
        clear: () => void signs.fill(0),
      };
    },
  };
}
