/**
 * Pages and how reports group them.
 * @module
 */

/** Pages as sent, and their cut with and without hash routes. */
export const PAGES: readonly (readonly [sent: string, routed: string, cut: string])[] = [
  ["/a", "/a", "/a"],
  ["/a?b", "/a", "/a"],
  ["/a#b", "/a", "/a"],
  ["/a#b?c", "/a", "/a"],
  ["/a?b#c", "/a", "/a"],
  ["/é?😀", "/é", "/é"],
  ["?", "/", "/"],
  ["?x", "/", "/"],
  ["#", "/", "/"],
  ["#top", "/", "/"],
  ["#/cart", "#/cart", "/"],
  ["/#/cart", "/#/cart", "/"],
  ["/shop#/cart?x=1", "/shop#/cart", "/shop"],
  ["/app?x=1#!/p/1?y=2", "/app#!/p/1", "/app"],
  ["?x=1#/é", "#/é", "/"],
  ["/a#/b#c", "/a#/b", "/a"],
  ["/a?b?c#/d", "/a#/d", "/a"],
  ["/a#/", "/a#/", "/a"],
  ["/a#!/", "/a#!/", "/a"],
  ["/a#!", "/a", "/a"],
  ["/a#!b/", "/a", "/a"],
  ["/a##/b", "/a", "/a"],
  ["/a#b#/c", "/a", "/a"],
  ["/a#?/b", "/a", "/a"],
];
