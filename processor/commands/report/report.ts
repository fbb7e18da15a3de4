/**
 * Prints what happened in a day or a week.
 * @module
 */
import { ready } from "../../postgres/operations/ready.ts";
import { dayOf } from "../../postgres/time_zone.ts";
import { connected, type DatabaseSettings } from "../cli/connection.ts";
import { EXIT } from "../cli/exit.ts";
import { type Form, render } from "./render.ts";
import { lastPeriod, type Period, periodAt, summaryOf } from "./summary.ts";

/** Which report, and how. */
export interface ReportOptions {
  readonly name: Period["name"];
  /** An instant of the day or week, in epoch milliseconds; without it, the last that is over. */
  readonly at?: number;
  readonly form: Form;
}

/** Prints a report; returns the exit code. */
export async function reportCommand(
  { name, at, form }: ReportOptions,
  settings: DatabaseSettings,
  output: { write(text: string): void; writeError(text: string): void },
): Promise<number> {
  return await connected(settings, "report", async (db) => {
    if (!await ready(db, output.writeError)) return EXIT.schema;
    const day = await dayOf(db, at ?? Date.now());
    const period = at === undefined ? lastPeriod(name, day) : periodAt(name, day);
    output.write(render(await summaryOf(db, period), form));
    return EXIT.done;
  });
}
