/**
 * How the demo's log stores what kind of record the simulator made, so that it can be counted again next time.
 * @module
 */
import type { SimulatedRecord } from "../../../generator/records.ts";

/** Kind of a record that the simulator made. */
export type Kind = SimulatedRecord["kind"];

/** The code of each kind in the log. Folders that were kept have these codes: no code is changed or used again. */
export const CODE_OF: { readonly [kind in Kind]: number } = {
  event: 0,
  late: 1,
  duplicate: 2,
  empty: 3,
  too_large: 4,
  not_utf8: 5,
  not_json: 6,
  not_an_object: 7,
  missing_field: 8,
  wrong_type: 9,
  bad_value: 10,
  bad_timestamp: 11,
  from_the_future: 12,
  expired: 13,
};

const KIND_OF = new Map(Object.entries(CODE_OF).map(([kind, code]) => [code, kind as Kind]));

/**
 * The kind that a code stands for.
 *
 * @throws {RangeError} if no version of this program has written it
 */
export function kindOfCode(code: number): Kind {
  const kind = KIND_OF.get(code);
  if (kind === undefined) throw new RangeError(`the demo's log has a record of kind ${code}, which is not known`);
  return kind;
}
