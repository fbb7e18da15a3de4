/**
 * Memory of the kernel, which never grows: blocks of powers of two, and freed blocks are used again. A header of guard
 * words lies before each block and behind the last one; `checkGuards` fails if somebody wrote past the end of a block.
 */

/** Ends the kernel with an error of the host: it is dead after that. */
@external("host", "fail")
export declare function fail(what: i32): void;

/** What `fail` is told. */
export const OUT_OF_MEMORY: i32 = 1;
export const OVERRUN: i32 = 2;
export const UNKNOWN_FIELD: i32 = 3;
export const LONG_TOPIC: i32 = 4;
export const MANY_COLUMNS: i32 = 5;

/** Bytes of a header; a cache line, so that blocks begin one. */
const HEADER: usize = 64;
const GUARD: u64 = 0x9bd16e5fc3a72d85;
/** Place of a block's size in its header, as a power of two. */
const SIZE: usize = 56;
const SMALLEST: i32 = 6;

/** By power of two: the first free block; each names the next. */
const FREE: usize = memory.data(32 * 4, 16);

let bottom: usize = 0;
let top: usize = 0;

/** A block of so many zeros at least. */
export function alloc(bytes: usize): usize {
  if (top === 0) {
    bottom = top = (__heap_base + 63) & ~63;
    writeGuard(top);
  }
  const power = max<i32>(SMALLEST, 32 - clz<u32>(<u32>bytes - 1));
  const head = FREE + (power << 2);
  let at = <usize>load<u32>(head);
  if (at !== 0) {
    store<u32>(head, load<u32>(at));
    memory.fill(at, 0, 1 << power);
    return at;
  }
  at = top + HEADER;
  const end = at + (<usize>1 << power);
  if (end + HEADER > <usize>memory.size() << 16) fail(OUT_OF_MEMORY);
  store<u32>(top, power, SIZE);
  top = end;
  writeGuard(top);
  return at;
}

/** Memory that is kept for what must not be short of it: the texts and columns of commits. At most half of all. */
const RESERVE: usize = 512 * 1024 * 1024;

/** Whether a block of so many bytes would take memory that is kept for other things. */
export function isShort(bytes: usize): bool {
  const power = max<i32>(SMALLEST, 32 - clz<u32>(<u32>bytes - 1));
  if (load<u32>(FREE + (power << 2)) !== 0) return false;
  const size = <u64>memory.size() << 16;
  return <u64>top + 2 * HEADER + (<usize>1 << power) > size - min<u64>(size / 2, RESERVE);
}

/** Bytes that were ever in use; freed blocks are used again, but never given back to the system. */
export function takenBytes(): usize {
  return top - bottom;
}

/** Gives a block back. */
export function free(at: usize): void {
  const head = FREE + (<usize>load<u32>(at - HEADER, SIZE) << 2);
  store<u32>(at, load<u32>(head));
  store<u32>(head, <u32>at);
}

/** Size of a block. */
export function sizeOf(at: usize): usize {
  return <usize>1 << <usize>load<u32>(at - HEADER, SIZE);
}

function writeGuard(at: usize): void {
  for (let n: usize = 0; n < SIZE; n += 8) store<u64>(at + n, GUARD);
}

/** Fails if a guard word has changed. */
export function checkGuards(): void {
  let at = bottom;
  while (true) {
    for (let n: usize = 0; n < SIZE; n += 8) if (load<u64>(at + n) !== GUARD) fail(OVERRUN);
    if (at === top) return;
    at += HEADER + (<usize>1 << <usize>load<u32>(at, SIZE));
    if (at > top) fail(OVERRUN);
  }
}

/** At `16 * n`, a vector whose first `n` bytes are all ones. */
export const MASKS: usize = memory.data(17 * 16, 16);

export function initMasks(): void {
  for (let n = 0; n <= 16; n++) memory.fill(MASKS + (n << 4), 0xff, n);
}

/** The first `n` bytes of the 16 at `at`, and zeros; `n` is at most 16. */
@inline
export function upTo16(at: usize, n: i32): v128 {
  return v128.and(v128.load(at), v128.load(MASKS + (n << 4)));
}

@inline
export function same(a: v128, b: v128): bool {
  return !v128.any_true(v128.xor(a, b));
}

/** Copies 16 bytes at a time, so up to 16 bytes behind `length` are overwritten too. */
@inline
export function copy(to: usize, from: usize, length: i32): void {
  v128.store(to, v128.load(from));
  for (let n = 16; n < length; n += 16) v128.store(to + n, v128.load(from + n));
}

/** Bytes that `copy` may write behind what it copies, and that vectors may read behind a text. */
export const SLACK: i32 = 16;
