/**
 * Chooses a record's partition as Kafka's own producers do, so that all producers send a user's events to the same
 * partition.
 * @module
 */
import type { Buffer } from "node:buffer";

const SEED = 0x9747b28c | 0;
const M = 0x5bd1e995;

/** Chooses partitions of one topic: by key, or round robin without a key. */
export class Partitioner {
  readonly #count: number;
  readonly #available: readonly number[];
  #turn = Math.floor(Math.random() * 2 ** 31);

  /**
   * @param count number of the topic's partitions
   * @param available partitions that have a leader, for records without a key
   */
  constructor(count: number, available: readonly number[]) {
    this.#count = count;
    this.#available = available.length > 0 ? available : Array.from({ length: count }, (_, partition) => partition);
  }

  /** The partition of a record with this key. */
  partitionOf(key: Buffer | null): number {
    if (key !== null) return (murmur2(key) & 0x7fffffff) % this.#count;
    this.#turn = (this.#turn + 1) & 0x7fffffff;
    return this.#available[this.#turn % this.#available.length]!;
  }
}

/** MurmurHash2 with the seed of Kafka's producers, as a signed 32-bit number. */
export function murmur2(bytes: Buffer): number {
  const { length } = bytes;
  let hash = SEED ^ length;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    let word = Math.imul(bytes.readInt32LE(at), M);
    word = Math.imul(word ^ (word >>> 24), M);
    hash = Math.imul(hash, M) ^ word;
  }
  const rest = length - at;
  if (rest === 3) hash ^= bytes[at + 2]! << 16;
  if (rest >= 2) hash ^= bytes[at + 1]! << 8;
  if (rest >= 1) hash = Math.imul(hash ^ bytes[at]!, M);
  hash = Math.imul(hash ^ (hash >>> 13), M);
  return hash ^ (hash >>> 15);
}
