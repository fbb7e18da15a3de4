/**
 * The page's own few words for the document. Whatever came from outside becomes text, never markup.
 * @module
 */

/** Characters that can't be seen, or make a text look like another: controls, marks of direction, separators of lines. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

const ESCAPES = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** The text with what can't be seen made visible. */
export function plain(text) {
  return text.replaceAll(UNSEEN, (c) => ESCAPES[c] ?? `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`);
}

/** A text in which a number and its unit stay on one line. */
export function joined(text) {
  return text.replaceAll(/(?<=\d) (?=(?:%|[mµ]?s|min|h|days|events?)(?![\p{L}\d]))/gu, "\u00a0");
}

/** The element with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Shows a text in an element; writes only what is new, so that a selection stays. */
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

/** A new bar that `fill` fills. It says nothing that is not beside it in words. */
export function meter() {
  const bar = make("span", "meter", make("span"));
  bar.ariaHidden = "true";
  return bar;
}

/** Fills a bar, or whatever draws one from `--share`, to a share of 0 to 1. */
export function fill(element, share) {
  element.style.setProperty("--share", Math.min(1, Math.max(0, share)).toFixed(4));
}

/**
 * Keeps a list's children in step with items: the same key keeps its element, so that focus, selection and what is open
 * stay where they are.
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

/** A whole number as people read it. */
export function whole(number) {
  return Math.round(number).toLocaleString("en");
}

/** How many a second. */
export function rate(number) {
  return number > 0 && number < 9.95 ? number.toFixed(1) : whole(number);
}

/** A share as people read it. */
export function percent(share) {
  return `${(share * 100).toFixed(share > 0 && share < 0.0995 ? 1 : 0)}\u00a0%`;
}

/** A time in milliseconds as people say it. */
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

/** A time of day, with the day where it isn't today. */
export function clock(time) {
  const date = new Date(time);
  const today = date.toDateString() === new Date().toDateString();
  return today ? CLOCK.format(date) : `${DAY.format(date)}, ${CLOCK.format(date)}`;
}

/** Hour and minute. */
export function minute(time) {
  return MINUTE.format(new Date(time));
}
