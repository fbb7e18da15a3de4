/**
 * The command `version`: what this binary is.
 * @module
 */
import { BOT_LIST_VERSION } from "../measures/bot_list.ts";
import { VERSION } from "../version.ts";

/** The version as text, or as a line of JSON with the runtime, the platform and the version of the list of bots. */
export function versionText(json: boolean): string {
  const { deno, v8 } = Deno.version;
  return json
    ? JSON.stringify({ version: VERSION, deno, v8, target: Deno.build.target, isbot: BOT_LIST_VERSION })
    : VERSION;
}
