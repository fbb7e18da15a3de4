import assert from "node:assert/strict";
import fc from "fast-check";
import { runs } from "../../testing/effort.ts";
import {
  acquisitionOfCampaign,
  acquisitionOfPage,
  acquisitionOfReferrer,
  DIRECT,
  hostOf,
  MOST_CHARACTERS,
} from "./acquisition.ts";
import { categoryOf, SOURCES } from "./sources.ts";

/** Page, referrer, and what GA4's documentation makes of them: source, medium, campaign and channel. */
type Case = readonly [string, string | null, string, string, string | null, string];

const CASES = JSON.parse(
  await Deno.readTextFile(new URL("testdata/acquisitions.json", import.meta.url)),
) as readonly Case[];

function acquired(page: string, referrer: string | null, campaign: string | null = null, sites = ["shop.example"]) {
  return acquisitionOfPage(page) ?? (campaign === null ? null : acquisitionOfCampaign(campaign)) ??
    (referrer === null ? null : acquisitionOfReferrer(referrer, sites)) ?? DIRECT;
}

Deno.test("pages and referrers have the source, medium and campaign that GA4's documentation gives", () => {
  assert.ok(CASES.length >= 200);
  for (const [page, referrer, source, medium, campaign] of CASES) {
    assert.deepEqual(acquired(page, referrer), { source, medium, campaign }, JSON.stringify([page, referrer]));
  }
});

Deno.test("the field campaign comes after links and before the referrer", () => {
  const google = "https://www.google.com/";
  assert.deepEqual(acquired("/", google, "Spring "), { source: "spring", medium: "campaign", campaign: "Spring" });
  assert.deepEqual(acquired("/?gclid=1", google, "Spring"), { source: "google", medium: "cpc", campaign: null });
  assert.equal(acquired("/", google, " \t").source, "google.com");
});

Deno.test("texts are cut to whole characters, and lower case does not make them longer", () => {
  const many = "😀".repeat(MOST_CHARACTERS + 1);
  const { source, campaign } = acquired(`/?utm_source=${many}&utm_campaign=x${many}`, null);
  assert.deepEqual([source, campaign], [many.slice(2), `x${many.slice(4)}`]);
  assert.equal([...acquired(`/?utm_source=${"İ".repeat(300)}`, null).source].length, MOST_CHARACTERS);
  assert.equal(acquired("/", `https://${"a".repeat(400)}.example`).source, "a".repeat(MOST_CHARACTERS));
});

Deno.test("for any page, field and referrer, texts are such that PostgreSQL can hold them", () => {
  const part = fc.constantFrom("?", "&", "=", "#", "%", "%00", "%0a", "%ff", "utm_source=", "utm_campaign=", "\u0001");
  const text = fc.string({ unit: fc.oneof(part, fc.string({ unit: "grapheme", maxLength: 2 })), maxLength: 20 });
  const property = fc.property(text, text, text, (page, campaign, referrer) => {
    const found = acquired(`/?utm_source=${page}`, `https://${referrer}`, campaign);
    for (const value of [found.source, found.medium, found.campaign ?? "-", hostOf(referrer) ?? "-"]) {
      assert.ok(value !== "" && value.isWellFormed() && !/\p{Cc}/u.test(value), JSON.stringify(value));
      assert.ok([...value].length <= MOST_CHARACTERS || value === hostOf(referrer));
    }
    assert.ok(found.source === found.source.toLowerCase() || found.source.length === MOST_CHARACTERS);
  });
  fc.assert(property, { seed: 41, numRuns: runs(3000) });
});

Deno.test("a source is in one category, and a host goes before its parent", () => {
  const all = Object.values(SOURCES).flat();
  assert.equal(new Set(all).size, all.length);
  for (const source of all) assert.match(source, /^[a-z0-9_-]+(\.[a-z0-9_-]+)*(\.\*)?$/);
  const cases: readonly (readonly [string, string | null])[] = [
    ["google", "search"],
    ["google.co.uk", "search"],
    ["mail.google.com", null],
    ["groups.google.com", "social"],
    ["a.groups.google.com", "social"],
    ["m.facebook.com", "social"],
    ["facebook.com.evil.example", null],
    ["youtube", "video"],
    ["com", null],
    ["", null],
    [".", null],
  ];
  for (const [source, category] of cases) assert.equal(categoryOf(source), category, source);
});
