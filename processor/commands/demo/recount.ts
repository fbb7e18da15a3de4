/**
 * Counts sessions, devices and days of the log with the oracle, which shares no code with the processor.
 * @module
 */
import { expectedOf, type OracleRecord } from "../../oracle/oracle.ts";
import { conversion, devices, funnel, type Range, retention } from "../../oracle/reports.ts";

/** The oracle's numbers. */
export interface Recounted {
  readonly devices: Readonly<Record<string, number>>;
  readonly sessions: number;
  /** Sessions of bots. */
  readonly bots: number;
  readonly conversions: number;
  /** Sessions that reached each step of the funnel. */
  readonly funnel: readonly number[];
  /** Sum of the daily users of all days that are over. */
  readonly retained: number;
}

/** All times and days, as bounds for ISO texts. */
const EVER: Range = { from: "0000", to: "9999~" };

/** Counts a whole log; events older than `keepDays` are refused, and days that ended by `nowMs` are over. */
export function recounted(
  records: Iterable<OracleRecord & { readonly partition: number }>,
  keepDays: number,
  nowMs: number,
): Recounted {
  const partitions = [...Map.groupBy(records, ({ partition }) => partition).values()];
  const expected = expectedOf({ topic: "", partitions }, { keepDays });
  const count = (cell: unknown) => Number(cell);
  const { sessions, conversions } = conversion(expected, EVER)[0]!;
  return {
    devices: Object.fromEntries(devices(expected, EVER).map(({ device, events }) => [String(device), count(events)])),
    sessions: count(sessions),
    bots: expected.sessions.filter(({ is_bot }) => is_bot).length,
    conversions: count(conversions),
    funnel: funnel(expected, EVER).map((step) => count(step["sessions"])),
    retained: retention(expected, EVER, nowMs).reduce((sum, { users }) => sum + count(users), 0),
  };
}
