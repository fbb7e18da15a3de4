/**
 * Typed arrays that grow.
 * @module
 */

/** An array of numbers that may grow. */
type Numbers = Float64Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Int8Array<ArrayBuffer>;

/** A copy of at least twice the length and at least `atLeast`; new elements are `fill`. */
export function grown<T extends Numbers>(values: T, atLeast = 0, fill = 0): T {
  const larger = new (values.constructor as new (length: number) => T)(Math.max(atLeast, values.length * 2));
  if (fill !== 0) larger.fill(fill, values.length);
  larger.set(values);
  return larger;
}
