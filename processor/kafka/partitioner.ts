/**
 * Which partition a record goes to: as Kafka's own producers settle it, so that a user's events stay in one partition
 * whoever sends them.
 * @module
 */
import type { Buffer } from "node:buffer";

const SEED = 0x9747b28c | 0;
const M = 0x5bd1e995;

/** Settles partitions of one topic: by the key, or in turn where there is none. */
export class Partitioner {
  readonly #count: number;
  readonly #available: readonly number[];
  #turn = Math.floor(Math.random() * 2 ** 31);

  /**
   * @param count how many partitions the topic has
   * @param available those that have a leader, to which records without a key go
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

/** MurmurHash2 with the seed that Kafka's producers use, as a signed number of 32 bits. */
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
