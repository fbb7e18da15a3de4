/**
 * A hash with a key that all tests know.
 * @module
 */
import { KEY_BYTES, KeyedHash } from "../../columns/keyed_hash.ts";

/** The key of everything in memory. */
export const TEST_KEY: Uint8Array = Uint8Array.from({ length: KEY_BYTES }, (_, i) => i * 17);

/** A hash with `TEST_KEY`. */
export function testKeyed(): KeyedHash {
  return new KeyedHash(TEST_KEY);
}
