/**
 * The measure of distinct users: one set per row.
 * @module
 */
import { Distinct, MemberSet } from "./distinct.ts";
import { type Filter, type Measure, selector } from "./measure.ts";

/** Number of distinct users: exact up to 4,096 in a row, beyond with a standard error of at most 1 %. */
export function distinctUsers(where: Filter = {}): Measure<Distinct> {
  return {
    kind: "distinct",
    where,
    zero: Distinct.EMPTY,
    merge: (a, b) => a.union(b),
    columns: (name) => [
      { name, type: "bigint", nullable: false },
      { name: `${name}_state`, type: "bytea", nullable: false },
    ],
    encode: (value) => [value.count, value.bytes],
    decode: ([, bytes]) => Distinct.of(bytes as Uint8Array),
    accumulator(words) {
      const select = selector(where, words);
      const members = new MemberSet((code) => words.user.hash(code), (code) => words.user.unkeyedHash(code));
      return {
        add(batch, allRows) {
          members.add(select(batch, allRows), batch.codes.user, batch.count);
        },
        merge: (into, from) => members.merge(into, from),
        value: (row) => members.set(row),
        clear: () => members.clear(),
      };
    },
  };
}
