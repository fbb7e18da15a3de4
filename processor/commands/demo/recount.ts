/**
 * Sessions, devices and days as the log has them, counted once more by the oracle: by the definitions, and by nothing
 * that decodes, folds or reports in the processor.
 * @module
 */
import { expectedOf, type OracleRecord } from "../../oracle/oracle.ts";
import { conversion, devices, funnel, type Range, retention } from "../../oracle/reports.ts";

/** What was counted. */
export interface Recounted {
  readonly devices: Readonly<Record<string, number>>;
  readonly sessions: number;
  readonly conversions: number;
  /** Sessions that reached each step of the funnel. */
  readonly funnel: readonly number[];
  /** Users who came on a day that is over, summed over those days. */
  readonly retained: number;
}

/** All times and days, whose ISO texts are compared. */
const EVER: Range = { from: "0000", to: "9999~" };

/** Counts a whole log, of which events older than `keepDays` are refused; days that ended by `nowMs` are over. */
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
    conversions: count(conversions),
    funnel: funnel(expected, EVER).map((step) => count(step["sessions"])),
    retained: retention(expected, EVER, nowMs).reduce((sum, { users }) => sum + count(users), 0),
  };
}
