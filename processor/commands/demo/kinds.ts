/**
 * Codes under which the demo's log stores the kind of each record, so that the next run can count them.
 * @module
 */
import type { SimulatedRecord } from "../../../generator/records.ts";

/** Kind of a simulated record. */
export type Kind = SimulatedRecord["kind"];

/** Code of each kind in the log. Kept folders contain these codes: never change or reuse one. */
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
 * The kind of a code.
 *
 * @throws {RangeError} if no version of this program has written it
 */
export function kindOfCode(code: number): Kind {
  const kind = KIND_OF.get(code);
  if (kind === undefined) throw new RangeError(`the demo's log has a record of the unknown kind ${code}`);
  return kind;
}
