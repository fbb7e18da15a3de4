/**
 * Helpers for the document. Text from outside always becomes text, never markup.
 * @module
 */

/** Characters that are invisible or change how a text looks: controls, direction marks, line separators. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

const ESCAPES = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** The text with invisible characters escaped. */
export function plain(text) {
  return text.replaceAll(UNSEEN, (c) => ESCAPES[c] ?? `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`);
}

/** The text with numbers and their units kept on one line. */
export function joined(text) {
  return text.replaceAll(/(?<=\d) (?=(?:%|[mµ]?s|min|h|days|records?)(?![\p{L}\d]))/gu, "\u00a0");
}

/** The element with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Shows a text in an element; writes only changes, so that a selection stays. */
export function show(element, value) {
  const text = plain(String(value));
  if (element.textContent !== text) element.textContent = text;
}

/** A new element of a class, with a text or with children. */
export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className !== "") element.className = className;
  for (const child of children) element.append(typeof child === "object" ? child : plain(String(child)));
  return element;
}

/** A new bar for `fill`. Screen readers skip it: the text beside it says the same. */
export function meter() {
  const bar = make("span", "meter", make("span"));
  bar.ariaHidden = "true";
  return bar;
}

/** Fills a bar, or another element that draws `--share`, to a share from 0 to 1. */
export function fill(element, share) {
  element.style.setProperty("--share", Math.min(1, Math.max(0, share)).toFixed(4));
}

/**
 * Updates a list's children to match the items. An item with the same key keeps its element, so that focus, selection
 * and open details stay.
 */
export function keyed(list, items, keyOf, create, update) {
  const before = new Map([...list.children].map((child) => [child.dataset.key, child]));
  let at = list.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    const known = before.get(key);
    const child = known ?? create(item);
    before.delete(key);
    if (known === undefined) child.dataset.key = key;
    update(child, item);
    if (child === at) at = at.nextElementSibling;
    else list.insertBefore(child, at);
  }
  for (const child of before.values()) child.remove();
}

/** A rounded number with thousands separators. */
export function whole(number) {
  return Math.round(number).toLocaleString("en");
}

/** A rate per second. */
export function rate(number) {
  return number > 0 && number < 9.95 ? number.toFixed(1) : whole(number);
}

/** A share as a percentage. */
export function percent(share) {
  return `${(share * 100).toFixed(share > 0 && share < 0.0995 ? 1 : 0)}\u00a0%`;
}

/** A duration in milliseconds, rounded, with its unit. */
export function duration(ms) {
  if (ms < 1) return `${Math.round(ms * 1000)}\u00a0µs`;
  if (ms < 100) return `${ms.toFixed(ms < 10 ? 1 : 0)}\u00a0ms`;
  if (ms < 1000) return `${Math.round(ms)}\u00a0ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)}\u00a0s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)}\u00a0min`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)}\u00a0h` : `${Math.round(ms / 86_400_000)}\u00a0days`;
}

/** How long ago a time was. */
export function ago(then, now) {
  const ms = now - then;
  return ms < 1500 ? "just now" : `${duration(ms)} ago`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

/** A time of day, with the date unless it is today. */
export function clock(time) {
  const date = new Date(time);
  const today = date.toDateString() === new Date().toDateString();
  return today ? CLOCK.format(date) : `${DAY.format(date)}, ${CLOCK.format(date)}`;
}

/** Hour and minute. */
export function minute(time) {
  return MINUTE.format(new Date(time));
}
