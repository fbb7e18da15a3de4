/**
 * Checks everything that the service needs, and prints what to do about each fault.
 * @module
 */
import type { Settings } from "../../config/config.ts";
import { withoutPasswords } from "../../config/secret.ts";
import { jsonLine, visible } from "../../config/visible.ts";
import { checkKafka } from "./kafka.ts";
import { checkMachine } from "./machine.ts";
import { checkPostgres } from "./postgres.ts";
import { checkTelemetry } from "./telemetry.ts";
import { EXIT } from "../cli/exit.ts";
import { type Finding, good } from "./finding.ts";
import type { Output } from "../cli/progress.ts";
import type { READS } from "../cli/reads.ts";

const SIGN = { good: "✓", advice: "!", bad: "✗" } as const;

/** Prints a line for each check; returns the exit code: 1 if a check failed. */
export async function doctor(
  { json }: { readonly json: boolean },
  settings: Settings<typeof READS.doctor[number]>,
  { print }: Output,
): Promise<number> {
  const all: Finding[] = [];
  const say = (findings: readonly Finding[]) => {
    all.push(...findings);
    if (!json) { for (const finding of findings) print(lineOf(finding)); }
  };
  say([good("settings", "all settings are valid")]);
  say(await checkMachine(settings));
  const { findings, followed } = await checkPostgres(settings);
  say(findings);
  say(await checkKafka(settings, followed));
  say(await checkTelemetry(settings));
  const failed = all.filter(({ verdict }) => verdict === "bad").length;
  if (json) print(withoutPasswords(jsonLine(all)));
  else print(failed === 0 ? "all checks passed" : `${failed} of ${all.length} checks failed`);
  return failed === 0 ? EXIT.done : EXIT.failed;
}

function lineOf({ check, verdict, found, todo }: Finding): string {
  return visible(withoutPasswords(`${SIGN[verdict]} ${check}: ${found}${todo === null ? "" : ` → ${todo}`}`));
}
