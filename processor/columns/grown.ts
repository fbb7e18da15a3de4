/**
 * Typed arrays that grow.
 * @module
 */

/** An array of numbers that may grow. */
type Numbers = Float64Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Int8Array<ArrayBuffer>;

/** No numbers: what arrays grow from that take no memory before they hold anything. */
export const NO_INTEGERS: Int32Array<ArrayBuffer> = new Int32Array(0);
export const NO_DOUBLES: Float64Array<ArrayBuffer> = new Float64Array(0);

/** A copy of at least twice the length and at least `atLeast`; new elements are `fill`. */
export function grown<T extends Numbers>(values: T, atLeast = 0, fill = 0): T {
  const larger = new (values.constructor as new (length: number) => T)(Math.max(atLeast, values.length * 2));
  if (fill !== 0) larger.fill(fill, values.length);
  larger.set(values);
  return larger;
}
