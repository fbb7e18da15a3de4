/**
 * Converts the revenue of events to the shop's currency before they are counted.
 * @module
 */
import type { Batch, Dictionaries } from "../columns/batch.ts";
import { NONE } from "../columns/strings.ts";
import type { Conversion } from "../currency.ts";
import { PURCHASE } from "../event.ts";
import { CodeTable } from "../measures/measure.ts";

/** Converts the purchases of batches that share dictionaries. */
export class BatchConversion {
  readonly #conversion: Conversion;
  readonly #words: Dictionaries;
  readonly #isPurchase: CodeTable;
  readonly #isForeign: CodeTable;

  constructor(conversion: Conversion, words: Dictionaries) {
    this.#conversion = conversion;
    this.#words = words;
    this.#isPurchase = new CodeTable(words.type, (text) => text === PURCHASE ? 1 : 0);
    this.#isForeign = new CodeTable(words.currency, (text) => text === conversion.currency ? 0 : 1);
  }

  /** Converts the revenue of events `[from, to)`; without a rate it is 0, and the event is `unconverted`. */
  convert(batch: Batch, from: number, to: number): void {
    batch.beginConversion();
    const { revenue, unconverted, time, codes: { type, currency } } = batch;
    const isPurchase = this.#isPurchase.values();
    const isForeign = this.#isForeign.values();
    for (let i = from; i < to; i++) {
      unconverted[i] = 0;
      if (isPurchase[type[i]!] !== 1) continue;
      const code = currency[i]!;
      // A purchase without a currency is in the shop's.
      if (code === NONE || isForeign[code] === 0) continue;
      const converted = this.#conversion.convert(revenue[i]!, this.#words.currency.text(code), time[i]!);
      revenue[i] = converted ?? 0;
      if (converted === null) unconverted[i] = 1;
    }
  }
}
