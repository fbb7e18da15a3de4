/**
 * Checks that revenue is in one currency.
 * @module
 */
import { moneyFault } from "../../currency.ts";
import { CurrencyMismatch, readMoney, verifyCurrency } from "../../postgres/currency.ts";
import type { Database } from "../../postgres/database.ts";
import { advice, bad, type Finding, good } from "./finding.ts";

/** Checks that the tables have this currency, null for none, and that each purchase has a rate to it. */
export async function checkMoney(db: Database, wanted: string | null): Promise<Finding> {
  const check = "currency";
  try {
    await verifyCurrency(db, wanted);
  } catch (error) {
    if (!(error instanceof CurrencyMismatch)) throw error;
    return bad(check, error.message, "the service does not start before");
  }
  const fault = moneyFault(await readMoney(db));
  if (fault !== null) return advice(check, `${fault.title}. ${fault.detail}`, fault.advice);
  return good(check, wanted === null ? "all purchases are in one currency" : `revenue is in ${wanted}`);
}
