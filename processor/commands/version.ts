/**
 * The command `version`: what this binary is.
 * @module
 */
import { VERSION } from "../version.ts";

/** The version as text, or as a line of JSON with the runtime and the platform. */
export function versionText(json: boolean): string {
  const { deno, v8 } = Deno.version;
  return json ? JSON.stringify({ version: VERSION, deno, v8, target: Deno.build.target }) : VERSION;
}
