/**
 * Where an event came from: source, medium and campaign, by the page's query, the field `campaign` and the referrer.
 * @module
 */
import { categoryOf } from "./sources.ts";

/** Where a user came from. `campaign` is null if there is none. */
export interface Acquisition {
  readonly source: string;
  readonly medium: string;
  readonly campaign: string | null;
}

/** What nothing else explains: a bookmark or a typed address. */
export const DIRECT: Acquisition = { source: "(direct)", medium: "(none)", campaign: null };

/** What stands for a source or a medium that a tagged link lacks. */
export const NOT_SET = "(not set)";

/** Most characters of a source, medium or campaign, as in GA4; an index of PostgreSQL has room for all three. */
export const MOST_CHARACTERS = 100;

/** Parameters that advertisers add to links, and what they stand for. */
const CLICK_IDS: readonly (readonly [name: string, source: string, medium: string])[] = [
  ["gclid", "google", "cpc"],
  ["msclkid", "bing", "cpc"],
  ["fbclid", "facebook", "paid_social"],
];

/** The acquisition that a page's query names, by its `utm_` parameters, else by a click id; null if it names none. */
export function acquisitionOfPage(page: string): Acquisition | null {
  const begin = page.indexOf("?");
  if (begin < 0) return null;
  const values = new Map<string, string>();
  for (const pair of page.slice(begin + 1).split("#", 1)[0]!.split("&")) {
    const at = pair.indexOf("=");
    const name = pair.slice(0, at);
    // The first of each counts, even if it is empty.
    if (at > 0 && !values.has(name)) values.set(name, pair.slice(at + 1));
  }
  const value = (name: string) => cleaned(decoded(values.get(name) ?? ""));
  const [source, medium, campaign] = [value("utm_source"), value("utm_medium"), value("utm_campaign")];
  if (source !== "" || medium !== "" || campaign !== "") {
    return {
      source: lowered(source) || NOT_SET,
      medium: lowered(medium) || NOT_SET,
      campaign: campaign || null,
    };
  }
  const click = CLICK_IDS.find(([name]) => value(name) !== "");
  return click === undefined ? null : { source: click[1], medium: click[2], campaign: null };
}

/** The acquisition by the field `campaign`; null if it is blank. */
export function acquisitionOfCampaign(field: string): Acquisition | null {
  const campaign = cleaned(field);
  return campaign === "" ? null : { source: lowered(campaign), medium: "campaign", campaign };
}

/** The acquisition by a referrer; null if it has no host, or one of the site's own. A host covers its subdomains. */
export function acquisitionOfReferrer(referrer: string, siteHosts: readonly string[]): Acquisition | null {
  const host = hostOf(referrer);
  if (host === null || siteHosts.some((site) => host === site || host.endsWith(`.${site}`))) return null;
  const category = categoryOf(host);
  const medium = category === "search" ? "organic" : category === "social" ? "social" : "referral";
  return { source: cut(host), medium, campaign: null };
}

/** Compares acquisitions by their texts: negative, zero or positive. `compare` orders texts. */
export function compareAcquisitions(
  a: { readonly [part in keyof Acquisition]: string | null },
  b: { readonly [part in keyof Acquisition]: string | null },
  compare: (a: string, b: string) => number,
): number {
  return compare(a.source ?? "", b.source ?? "") || compare(a.medium ?? "", b.medium ?? "") ||
    compare(a.campaign ?? "", b.campaign ?? "");
}

/**
 * The host of a URL, or of a text that is a host itself, in lower case without `www.`; null if there is none. Without a
 * scheme, a host has a dot: `null` and `/cart` are none.
 */
export function hostOf(referrer: string): string | null {
  const text = referrer.trim();
  const [, scheme, authority = ""] = /^([a-z][a-z0-9+.-]*:\/\/|\/\/)?([^/?#\\]*)/i.exec(text) ?? [];
  const named = authority.slice(authority.lastIndexOf("@") + 1).replace(/:\d*$/, "").toLowerCase();
  const host = named.replace(/\.$/, "").replace(/^www\.(?=.)/, "");
  if (scheme === undefined && !host.includes(".")) return null;
  return HOST.test(host) ? host : null;
}

/** Labels of letters, digits, `-` and `_` between dots, or an IPv6 address. */
const HOST = /^(?:[\p{L}\p{M}\p{N}_-]+(?:\.[\p{L}\p{M}\p{N}_-]+)*|\[[0-9a-f:.]+\])$/u;

/** A value of a query string as plain text, as `clickstream.url_decoded` decodes it: what is no UTF-8 stays as it is. */
export function decoded(value: string): string {
  const spaced = value.replaceAll("+", " ");
  if (!spaced.includes("%")) return spaced;
  try {
    // A percent sign that begins nothing stands for itself.
    const plain = decodeURIComponent(spaced.replaceAll(/%(?![0-9A-Fa-f]{2})/g, "%25"));
    return plain.includes("\0") ? spaced : plain;
  } catch {
    return spaced;
  }
}

/** A text without control characters and without spaces around it, of at most `MOST_CHARACTERS`. */
function cleaned(text: string): string {
  return cut(text.replaceAll(/\p{Cc}+/gu, " ").trim());
}

/** Lower case may take more characters. */
function lowered(text: string): string {
  return cut(text.toLowerCase());
}

/** The first `MOST_CHARACTERS`, and no half of one. */
function cut(text: string): string {
  if (text.length <= MOST_CHARACTERS) return text;
  return Array.from(text.slice(0, 2 * MOST_CHARACTERS + 2)).slice(0, MOST_CHARACTERS).join("").trimEnd();
}
