/** Identities of the events of a commit, in the order of the log; the host reads them, see processor/kernel/ids.ts. */
import { alloc, copy, free, SLACK } from "./memory";
import { withRoom } from "./dictionary";

@unmanaged
export class Ids {
  /** By event: where its identity ends in `bytes`; the first begins at 0. */
  ends: usize = 0;
  bytes: usize = 0;
}

export function newIds(): Ids {
  const ids = changetype<Ids>(alloc(offsetof<Ids>()));
  ids.ends = alloc(256);
  ids.bytes = alloc(1024);
  return ids;
}

export function freeIds(ids: Ids): void {
  free(ids.ends);
  free(ids.bytes);
  free(changetype<usize>(ids));
}

/** Writes identity `n`; it takes the place of one that was written as `n` before. */
export function setId(ids: Ids, n: i32, at: usize, length: i32): void {
  const start = n === 0 ? 0 : load<i32>(ids.ends + (n << 2) - 4);
  ids.bytes = withRoom(ids.bytes, start, length + SLACK);
  ids.ends = withRoom(ids.ends, n << 2, 4);
  copy(ids.bytes + start, at, length);
  store<i32>(ids.ends + (n << 2), start + length);
}
