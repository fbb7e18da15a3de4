/**
 * The measure that takes source, medium and campaign from the earliest event of a row.
 * @module
 */
import type { Dictionaries } from "../columns/batch.ts";
import { Texts } from "../columns/cells.ts";
import { TextDictionary } from "../columns/dictionary.ts";
import { grown, NO_DOUBLES, NO_INTEGERS } from "../columns/grown.ts";
import { NONE } from "../columns/strings.ts";
import {
  type Acquisition,
  acquisitionOfCampaign,
  acquisitionOfPage,
  acquisitionOfReferrer,
  compareAcquisitions,
  DIRECT,
} from "./acquisition.ts";
import type { Measure } from "./measure.ts";
import { compareText, type PickColumns } from "./picks.ts";

/** Where the earliest event of a row came from, and which event it is. In rows of older versions the texts are null. */
export type Acquired = { readonly [part in keyof Acquisition]: string | null } & {
  readonly time: number;
  readonly id: string;
};

/** Columns besides the measure's own, which has the source. */
export interface AcquisitionColumns extends PickColumns {
  readonly medium: string;
  readonly campaign: string;
}

/**
 * Source, medium and campaign of the earliest event; at equal times, of the one with the smaller id. Referrers with one
 * of `siteHosts` are the site's own.
 */
export function firstAcquisition(
  { medium, campaign, at, by }: AcquisitionColumns,
  siteHosts: readonly string[] = [],
): Measure<Acquired | null> {
  return {
    kind: "acquisition",
    where: {},
    siteHosts,
    zero: null,
    merge: (a, b) => a === null ? b : b === null || compareAt(a, b) <= 0 ? a : b,
    columns: (name) => [
      ...[name, medium, campaign].map((text) => ({ name: text, type: "text" as const, nullable: true })),
      { name: at, type: "timestamptz", nullable: false },
      { name: by, type: "text", nullable: false },
    ],
    encode: (value) =>
      value === null
        ? [null, null, null, null, null]
        : [value.source, value.medium, value.campaign, value.time, value.id],
    decode: ([source, medium, campaign, time, id]) =>
      time === null ? null : {
        source: source as string | null,
        medium: medium as string | null,
        campaign: campaign as string | null,
        time: time as number,
        id: id as string,
      },
    accumulator(words) {
      const { ids } = words;
      const found = new Acquisitions(words, siteHosts);
      let times = NO_DOUBLES;
      /** Index in `ids` of the earliest event of each row, plus one; 0 if there is none. */
      let events = NO_INTEGERS;
      /** Codes of its fields. */
      let pages = NO_INTEGERS;
      let referrers = NO_INTEGERS;
      let campaigns = NO_INTEGERS;
      const acquisitionOf = (row: number) => found.of(pages[row]!, referrers[row]!, campaigns[row]!);
      /** Gives a row an event, by its index plus one, if it wins over the row's current event. */
      const take = (row: number, time: number, event: number, page: number, referrer: number, campaign: number) => {
        const known = events[row]!;
        if (known > 0) {
          if (time > times[row]!) return;
          if (time === times[row]!) {
            // One id may come with two values, and the order must not matter.
            const order = ids.compare(event - 1, known - 1) ||
              compareAcquisitions(found.of(page, referrer, campaign), acquisitionOf(row), compareText);
            if (order >= 0) return;
          }
        }
        times[row] = time;
        events[row] = event;
        pages[row] = page;
        referrers[row] = referrer;
        campaigns[row] = campaign;
      };
      return {
        add(batch, rows, rowCount) {
          if (rowCount > times.length) {
            times = grown(times, rowCount);
            events = grown(events, rowCount);
            pages = grown(pages, rowCount);
            referrers = grown(referrers, rowCount);
            campaigns = grown(campaigns, rowCount);
          }
          const { time, first, codes: { page, referrer, campaign } } = batch;
          for (let i = 0; i < batch.count; i++) {
            const row = rows[i]!;
            if (row >= 0) take(row, time[i]!, first + i + 1, page[i]!, referrer[i]!, campaign[i]!);
          }
        },
        merge(into, from) {
          if (events[from]! === 0) return;
          take(into, times[from]!, events[from]!, pages[from]!, referrers[from]!, campaigns[from]!);
        },
        value(row) {
          const event = events[row] ?? 0;
          return event === 0 ? null : { ...acquisitionOf(row), time: times[row]!, id: ids.text(event - 1) };
        },
        cells(rows) {
          const texts = [0, 1, 2].map(() => new Int32Array(rows.length).fill(NONE));
          const at = new Float64Array(rows.length).fill(NaN);
          const by = new Int32Array(rows.length).fill(NONE);
          for (let r = 0; r < rows.length; r++) {
            const row = rows[r]!;
            const event = events[row] ?? 0;
            if (event === 0) continue;
            const codes = found.codesOf(acquisitionOf(row));
            for (let t = 0; t < 3; t++) texts[t]![r] = codes[t]!;
            at[r] = times[row]!;
            by[r] = event - 1;
          }
          return [...texts.map((codes) => new Texts(found.texts, codes)), at, new Texts(ids, by)];
        },
        clear() {
          events.fill(0);
          found.clear();
        },
      };
    },
  };
}

/** Acquisitions by the codes of an event's fields. Each distinct text is parsed once in a commit, and only if needed. */
class Acquisitions {
  /** Sources, media and campaigns. */
  readonly texts: TextDictionary;
  readonly #pages: Memo;
  readonly #campaigns: Memo;
  readonly #referrers: Memo;
  readonly #codes = new Map<Acquisition, readonly number[]>();

  constructor(words: Dictionaries, siteHosts: readonly string[]) {
    this.texts = new TextDictionary(words.keyed);
    this.#pages = new Memo((code) => acquisitionOfPage(words.page.text(code)));
    this.#campaigns = new Memo((code) => acquisitionOfCampaign(words.campaign.text(code)));
    this.#referrers = new Memo((code) => acquisitionOfReferrer(words.referrer.text(code), siteHosts));
  }

  of(page: number, referrer: number, campaign: number): Acquisition {
    return this.#pages.at(page) ?? this.#campaigns.at(campaign) ?? this.#referrers.at(referrer) ?? DIRECT;
  }

  /** Codes in `texts` of source, medium and campaign. */
  codesOf(acquisition: Acquisition): readonly number[] {
    const known = this.#codes.get(acquisition);
    if (known !== undefined) return known;
    const { source, medium, campaign } = acquisition;
    const codes = [source, medium, campaign].map((text) => text === null ? NONE : this.texts.internText(text));
    this.#codes.set(acquisition, codes);
    return codes;
  }

  clear(): void {
    for (const memo of [this.#pages, this.#campaigns, this.#referrers]) memo.clear();
    this.#codes.clear();
    this.texts.clear();
  }
}

/** What a function returns for codes, computed once for each. */
class Memo {
  readonly #of: (code: number) => Acquisition | null;
  /** For each code, 0 if it is new, 1 if there is no acquisition, or the index of one, plus 2. */
  #known = NO_INTEGERS;
  #found: Acquisition[] = [];

  constructor(of: (code: number) => Acquisition | null) {
    this.#of = of;
  }

  at(code: number): Acquisition | null {
    if (code === NONE) return null;
    const known = code < this.#known.length ? this.#known[code]! : 0;
    return known === 0 ? this.#new(code) : known === 1 ? null : this.#found[known - 2]!;
  }

  clear(): void {
    this.#known.fill(0);
    this.#found = [];
  }

  #new(code: number): Acquisition | null {
    if (code >= this.#known.length) this.#known = grown(this.#known, code + 1);
    const found = this.#of(code);
    this.#known[code] = found === null ? 1 : this.#found.push(found) + 1;
    return found;
  }
}

function compareAt(a: Acquired, b: Acquired): number {
  return a.time - b.time || compareText(a.id, b.id) || compareAcquisitions(a, b, compareText);
}
