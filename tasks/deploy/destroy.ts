/**
 * `deno task destroy`: destroys a deployment. First prints what is deleted and what is kept; `--yes` continues without
 * asking.
 * @module
 */
import type { Settings } from "../../infra/settings.ts";
import { cdktf, main } from "./deploy.ts";

/** Describes what is deleted and what is kept. */
export function farewell(settings: Settings): string {
  const { DEPLOY_NAME: name, AWS_REGION: region, DEPLOY_SNAPSHOT: snapshot } = settings;
  return [
    `everything of deployment ${name} in ${region} goes, with all events and passwords`,
    snapshot
      ? "what stays: a last snapshot of the database and of each data volume"
      : "what stays: nothing (DEPLOY_SNAPSHOT is false)",
    "its key is disabled at once, and gone in 7 days",
  ].join("\n");
}

async function destroy(settings: Settings): Promise<void> {
  if (settings.DEPLOY_PROTECTED) {
    throw new Error(
      `deployment ${settings.DEPLOY_NAME} is protected: ./deno task deploy with DEPLOY_PROTECTED=false takes that off; then destroy it with the same`,
    );
  }
  await cdktf("destroy", "*", "--auto-approve");
}

if (import.meta.main) Deno.exit(await main(farewell, destroy));
