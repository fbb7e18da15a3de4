/**
 * Where events and sessions come from, and the report `campaigns`, by the contract alone.
 * @module
 */
import { centsIn, isIn, type Range, share } from "./reports.ts";
import type { Expected, SessionRow, StoredEvent } from "./rows.ts";
import type { Row } from "./table_shapes.ts";
import { compareText } from "./values.ts";
import { byText, groupBy } from "./windows.ts";

const NOT_SET = "(not set)";
const MOST_CHARACTERS = 100;
const LOOK_BACK_MS = 30 * 24 * 60 * 60_000;

/** Search engines and social sites that logs of tests have. */
const SEARCH = ["google.com", "google.co.uk", "bing.com", "duckduckgo.com"];
const SOCIAL = ["facebook.com", "instagram.com", "pinterest.com", "t.co"];

/** Media that are paid for. */
const PAID = /cp|^ppc$|^retargeting$|^paid/;

/** Source, medium and campaign. */
export type Acquisition = Pick<SessionRow, "source" | "medium" | "campaign">;

/** Where an event came from, for a site with these hosts. */
export function acquisitionOf({ page, campaign, referrer }: StoredEvent, siteHosts: readonly string[]): Acquisition {
  const [utmSource, utmMedium, utmCampaign] = ["utm_source", "utm_medium", "utm_campaign"].map((name) =>
    parameter(page, name)
  );
  if (utmSource || utmMedium || utmCampaign) {
    return {
      source: small(utmSource!) || NOT_SET,
      medium: small(utmMedium!) || NOT_SET,
      campaign: utmCampaign || null,
    };
  }
  if (parameter(page, "gclid")) return { source: "google", medium: "cpc", campaign: null };
  if (parameter(page, "msclkid")) return { source: "bing", medium: "cpc", campaign: null };
  if (parameter(page, "fbclid")) return { source: "facebook", medium: "paid_social", campaign: null };
  const named = plain(campaign ?? "");
  if (named) return { source: small(named), medium: "campaign", campaign: named };
  const host = hostIn(referrer ?? "");
  if (host && !siteHosts.some((site) => `.${host}`.endsWith(`.${site}`))) {
    const isSocial = SOCIAL.some((site) => `.${host}`.endsWith(`.${site}`));
    const medium = SEARCH.includes(host) ? "organic" : isSocial ? "social" : "referral";
    return { source: plain(host), medium, campaign: null };
  }
  return { source: "(direct)", medium: "(none)", campaign: null };
}

/** The first value of a parameter in a page's query, decoded; empty if there is none. */
function parameter(page: string, name: string): string {
  const query = /\?([^#]*)/.exec(page)?.[1] ?? "";
  const pair = query.split("&").find((pair) => pair.startsWith(`${name}=`)) ?? "";
  return plain(decoded(pair.slice(name.length + 1).replaceAll("+", " ")));
}

/** Percent-decoded text; unchanged if that gives no text that PostgreSQL can hold. */
export function decoded(text: string): string {
  // A percent sign that begins nothing stands for itself.
  const strict = text.replaceAll(/%(?![0-9A-Fa-f]{2})/g, "%25");
  try {
    const plain = decodeURIComponent(strict);
    return plain.includes("\0") ? text : plain;
  } catch {
    return text;
  }
}

function plain(text: string): string {
  // deno-lint-ignore no-control-regex
  const printable = text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ").trim();
  return [...printable].slice(0, MOST_CHARACTERS).join("").trim();
}

function small(text: string): string {
  return plain(text.toLowerCase());
}

/** The host of a URL or of a bare host with a dot, without `www.`; empty if there is none. */
function hostIn(referrer: string): string {
  const text = referrer.trim();
  const [scheme = ""] = text.split("://");
  const isUrl = scheme !== text && /^[a-z][a-z0-9.+-]*$/i.test(scheme);
  const isRelative = text.startsWith("//");
  const rest = isUrl ? text.slice(scheme.length + 3) : isRelative ? text.slice(2) : text;
  const authority = rest.split(/[/?#\\]/)[0]!.split("@").at(-1)!.replace(/:[0-9]*$/, "").toLowerCase();
  if (/^\[[0-9a-f:.]+\]$/.test(authority)) return isUrl || isRelative || authority.includes(".") ? authority : "";
  const labels = authority.split(".");
  if (labels.length > 1 && labels.at(-1) === "") labels.pop();
  if (labels.length > 1 && labels[0] === "www") labels.shift();
  const isHost = labels.every((label) => /^[-_\p{L}\p{M}\p{N}]+$/u.test(label));
  return isHost && (isUrl || isRelative || labels.length > 1) ? labels.join(".") : "";
}

/** The channel of what logs of tests contain, by GA4's rules. */
function channelOf({ source, medium, campaign }: Acquisition): string {
  const [from, how, name] = [source ?? "", medium ?? "", campaign ?? ""];
  const isPaid = PAID.test(how);
  const isOf = (hosts: readonly string[]) =>
    hosts.some((host) => from === host || from.endsWith(`.${host}`) || `${from}.com` === host);
  const isSearch = SEARCH.includes(from) || SEARCH.includes(`${from}.com`);
  const isShopping = /(^|[^a-df-z])shop|shopping/i.test(name);
  if (from === "(direct)" && (how === "(none)" || how === NOT_SET)) return "Direct";
  if (/cross-network/i.test(name)) return "Cross-network";
  if (isPaid && isShopping) return "Paid Shopping";
  if (isPaid && isSearch) return "Paid Search";
  if (isPaid && isOf(SOCIAL)) return "Paid Social";
  if (["display", "banner", "cpm"].includes(how)) return "Display";
  if (isPaid) return "Paid Other";
  if (isShopping) return "Organic Shopping";
  if (isOf(SOCIAL) || how === "social") return "Organic Social";
  if (/video/.test(how)) return "Organic Video";
  if (isSearch || how === "organic") return "Organic Search";
  if (how === "referral") return "Referral";
  if (from === "email" || how === "email") return "Email";
  return "Unassigned";
}

/** The rows of `campaigns(from, to, touch)`. */
export function campaignsBy(touch: "last" | "last_non_direct" | "first") {
  return ({ sessions }: Expected, range: Range): Row[] => {
    const ofUsers = groupBy(sessions, ({ user_id }) => user_id);
    const inRange = sessions.filter(({ started_at }) => isIn(started_at, range));
    const attributed = inRange.map((session) => ({ ...session, ...touched(session, ofUsers.get(session.user_id)!) }));
    const groups = groupBy(attributed, (session) => JSON.stringify(shown(session)));
    return byText(groups).map(([, all]) => {
      const conversions = all.filter(({ purchases }) => purchases > 0).length;
      return {
        channel: channelOf(all[0]!),
        ...shown(all[0]!),
        ...{ sessions: all.length, conversions, revenue_cents: centsIn(all) },
        average_order_cents: share(Number(centsIn(all)), conversions),
      };
    });
  };

  function touched(session: SessionRow, all: readonly SessionRow[]): Acquisition {
    const sorted = all.toSorted(byStart);
    const unknown = { source: null, medium: null, campaign: null };
    if (touch === "first") return taken(sorted.find(({ source }) => source !== null) ?? { ...session, ...unknown });
    if (touch === "last" || session.source !== "(direct)") return taken(session);
    const startMs = Date.parse(session.started_at);
    const before = sorted.filter(({ source, started_at }) => {
      const aheadMs = startMs - Date.parse(started_at);
      return source !== null && source !== "(direct)" && aheadMs > 0 && aheadMs <= LOOK_BACK_MS;
    });
    return taken(before.at(-1) ?? session);
  }
}

/** As the report shows it: what is not known is not set. */
function shown({ source, medium, campaign }: Acquisition): Acquisition {
  return { source: source ?? NOT_SET, medium: medium ?? NOT_SET, campaign: campaign ?? NOT_SET };
}

function taken({ source, medium, campaign }: SessionRow): Acquisition {
  return { source, medium, campaign };
}

/** By start; where two start at the same time, by their texts. */
function byStart(a: SessionRow, b: SessionRow): number {
  return compareText(a.started_at, b.started_at) || compareText(a.source ?? "", b.source ?? "") ||
    compareText(a.medium ?? "", b.medium ?? "") || compareText(a.campaign ?? "", b.campaign ?? "");
}
