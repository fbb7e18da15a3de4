/**
 * Cuts pages in bytes, with the same result as `cutPage`.
 * @module
 */
import { EXCLAMATION, FOURFOLD, HASH, HIGH_BITS, SLASH } from "./ascii.ts";
import type { Dictionary } from "../columns/dictionary.ts";
import { Hasher } from "../columns/hash.ts";
import { MARGIN } from "./separators.ts";

const HASHES = HASH * FOURFOLD;
const ONES = FOURFOLD;
const TOPS = HIGH_BITS;

/** Cuts pages without copying them, and looks them up. */
export class PageCutter {
  readonly #hashRoutes: boolean;
  readonly #hasher = new Hasher();

  /** @param hashRoutes whether a fragment that is a route belongs to the page */
  constructor(hashRoutes: boolean) {
    this.#hashRoutes = hashRoutes;
  }

  /** The code in `pages` of the cut page, for the page `[start, end)` of `view` with this hash. */
  code(view: DataView, start: number, end: number, high: number, low: number, pages: Dictionary): number {
    const cut = cutAt(view, start, end);
    if (cut === end) return pages.intern(view, start, end, high, low);
    const route = this.#hashRoutes ? routeAt(view, cut, end) : end;
    if (route < end) return this.#routed(view, start, cut, route, cutAt(view, route + 1, end), pages);
    if (cut === start) return pages.internText("/");
    this.#hasher.hash(view, start, cut);
    return pages.intern(view, start, cut, this.#hasher.high, this.#hasher.low);
  }

  /** The code of the page that joins the path `[start, cut)` and the route `[route, end)`. */
  #routed(view: DataView, start: number, cut: number, route: number, end: number, pages: Dictionary): number {
    let [whole, from, until] = [view, start, end];
    if (cut < route) {
      // A query string is between them.
      until = cut - start + end - route;
      const joined = new Uint8Array(until + MARGIN);
      for (let i = start; i < cut; i++) joined[i - start] = view.getUint8(i);
      for (let i = route; i < end; i++) joined[cut - start + i - route] = view.getUint8(i);
      [whole, from] = [new DataView(joined.buffer), 0];
    }
    this.#hasher.hash(whole, from, until);
    return pages.intern(whole, from, until, this.#hasher.high, this.#hasher.low);
  }
}

/** Where a page's query string or fragment begins; without either, the page's end. */
function cutAt(view: DataView, start: number, end: number): number {
  for (let i = start; i < end; i++) {
    const c = view.getUint8(i);
    if (c === 0x3f || c === HASH) return i;
  }
  return end;
}

/** Where the fragment begins, from `at`, if it is a hash route; otherwise the page's end. */
function routeAt(view: DataView, at: number, end: number): number {
  // Four bytes at a time: query strings may be long, and few pages have a fragment.
  for (; at < end; at += 4) {
    const word = view.getInt32(at, true) ^ HASHES;
    if (((word - ONES) & ~word & TOPS) !== 0) break;
  }
  while (at < end && view.getUint8(at) !== HASH) at++;
  const slash = at + 1 < end && view.getUint8(at + 1) === EXCLAMATION ? at + 2 : at + 1;
  return slash < end && view.getUint8(slash) === SLASH ? at : end;
}
