/**
 * Fills the table of rates from a file, or shows it.
 * @module
 */
import type { Settings } from "../config/config.ts";
import { jsonLine } from "../config/visible.ts";
import { MINOR_DIGITS, RATE, type Rate } from "../currency.ts";
import { readRates } from "../postgres/currency.ts";
import type { Database } from "../postgres/database.ts";
import { ready } from "../postgres/operations/ready.ts";
import { table, withCommas } from "../status/text.ts";
import { connected } from "./cli/connection.ts";
import { EXIT, WrongUse } from "./cli/exit.ts";
import type { Output } from "./cli/progress.ts";
import type { READS } from "./cli/reads.ts";

type RateSettings = Settings<typeof READS.rates[number]>;

/** The first line of a file. */
const HEADER = "currency,from_day,rate";

/** Lists the rates; returns the exit code. */
export async function listRates(
  { json }: { readonly json: boolean },
  settings: RateSettings,
  { print, writeError }: Output,
): Promise<number> {
  return await connected(settings, "rates", async (db) => {
    if (!await ready(db, writeError)) return EXIT.schema;
    const rates = await readRates(db);
    if (json) {
      for (const { currency, fromDay, rate } of rates) print(jsonLine({ currency, from_day: fromDay, rate }));
      return EXIT.done;
    }
    const cells = rates.map(({ currency, fromDay, rate }) => [currency, fromDay, rate]);
    if (cells.length > 0) table(["currency", "from day", "rate"], cells).forEach((line) => print(line));
    print(`${withCommas(rates.length)} rates; CURRENCY is ${settings.CURRENCY ?? "not set"}`);
    return EXIT.done;
  });
}

/**
 * Puts the rates of a CSV file into the table, all or none; `-` is standard input. Rates that are there with another value
 * change, others stay. Returns the exit code.
 *
 * @throws {WrongUse} naming the line, the value and what is allowed
 */
export async function fillRates(
  { file }: { readonly file: string },
  settings: RateSettings,
  { print, writeError }: Output,
): Promise<number> {
  const rates = ratesIn(await textOf(file), file, settings.CURRENCY);
  return await connected(settings, "rates", async (db) => {
    if (!await ready(db, writeError)) return EXIT.schema;
    const changed = await storeRates(db, rates);
    print(`${withCommas(rates.length)} rates in the file: ${withCommas(changed)} new or changed`);
    if (changed > 0) {
      print(
        "A running service uses them for new purchases within a minute. For purchases that are in the tables, run: " +
          "clickstream rebuild --from DAY",
      );
    }
    return EXIT.done;
  });
}

async function textOf(file: string): Promise<string> {
  try {
    return file === "-" ? await new Response(Deno.stdin.readable).text() : await Deno.readTextFile(file);
  } catch (error) {
    throw new WrongUse(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/**
 * The rates of a CSV text.
 *
 * @param shop the shop's currency, which needs no rate
 * @throws {WrongUse} naming the line, the value and what is allowed
 */
export function ratesIn(text: string, file: string, shop: string | null): Rate[] {
  const known = new Map<string, number>();
  const [head = "", ...lines] = text.replace(/^\ufeff/, "").split(/\r?\n/);
  if (fieldsOf(head).join(",").toLowerCase() !== HEADER) {
    throw new WrongUse(`${file}, line 1: ${JSON.stringify(head.slice(0, 100))}; the first line must be ${HEADER}`);
  }
  return lines.flatMap((line, n): Rate[] => {
    if (line.trim() === "") return [];
    const wrong = (value: string, allowed: string) =>
      new WrongUse(`${file}, line ${n + 2}: ${JSON.stringify(value.slice(0, 100))}; ${allowed}. Nothing was changed`);
    const fields = fieldsOf(line);
    const [currency = "", fromDay = "", rate = ""] = fields;
    if (fields.length !== 3) throw wrong(line, `a line must have 3 values: ${HEADER}`);
    if (!MINOR_DIGITS.has(currency)) throw wrong(currency, "a currency must be a code of ISO 4217, such as USD");
    if (!isDay(fromDay)) {
      throw wrong(fromDay, "from_day must be a day from 1970-01-01 to 9999-12-31, such as 2026-11-01");
    }
    if (!RATE.test(rate)) {
      throw wrong(
        rate,
        "a rate must be a decimal above 0, with at most 15 digits before and after the point, such as 0.92",
      );
    }
    if (currency === shop && Number(rate) !== 1) {
      throw wrong(rate, `the rate of ${shop} must be 1, because it is the shop's currency`);
    }
    const place = `${currency} from ${fromDay}`;
    const before = known.get(place);
    if (before !== undefined) throw wrong(line, `line ${before} has a rate of ${place} already`);
    known.set(place, n + 2);
    return [{ currency, fromDay, rate }];
  });
}

/** The values of a line, without blanks and quotes around them. */
function fieldsOf(line: string): string[] {
  return line.split(",").map((field) => field.trim().replace(/^"(.*)"$/, "$1"));
}

function isDay(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || text < "1970") return false;
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}

/** Stores rates in one transaction, as the owner; returns how many are new or changed. */
async function storeRates(db: Database, rates: readonly Rate[]): Promise<number> {
  return await db.transaction(async (tx) => {
    await tx.exec("set local role clickstream_owner");
    const { rowCount } = await tx.query(
      `insert into clickstream.rates as r (currency, from_day, rate)
       select v.currency, v."fromDay", v.rate
         from jsonb_to_recordset($1::jsonb) as v(currency text, "fromDay" date, rate numeric)
           on conflict (currency, from_day) do update set rate = excluded.rate where r.rate <> excluded.rate`,
      [JSON.stringify(rates)],
    );
    return rowCount;
  });
}
