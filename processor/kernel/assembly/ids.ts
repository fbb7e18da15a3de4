/** Identities of the events of a commit, in the order of the log; the host reads them, see processor/kernel/ids.ts. */
import { alloc, copy, free, SLACK } from "./memory";
import { withRoom } from "./dictionary";

@unmanaged
export class Ids {
  /** By event: where its identity begins in `bytes`; it ends where the next begins. */
  starts: usize = 0;
  bytes: usize = 0;
}

export function newIds(): Ids {
  const ids = changetype<Ids>(alloc(offsetof<Ids>()));
  ids.starts = alloc(256);
  ids.bytes = alloc(1024);
  return ids;
}

export function freeIds(ids: Ids): void {
  free(ids.starts);
  free(ids.bytes);
  free(changetype<usize>(ids));
}

/** Writes identity `n`; it takes the place of one that was written as `n` before. */
export function setId(ids: Ids, n: i32, at: usize, length: i32): void {
  const start = load<i32>(ids.starts + (n << 2));
  ids.bytes = withRoom(ids.bytes, start, length + SLACK);
  ids.starts = withRoom(ids.starts, (n + 1) << 2, 4);
  copy(ids.bytes + start, at, length);
  store<i32>(ids.starts + (n << 2), start + length, 4);
}
