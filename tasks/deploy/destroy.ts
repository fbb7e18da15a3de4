/**
 * `deno task destroy`: destroys a deployment, as it is recorded. First prints what is deleted and what is kept, and asks
 * for the deployment's name; `--confirm NAME` gives it in advance.
 * @module
 */
import { unbuiltFiles } from "../../infra/built.ts";
import { type DeploymentRecord, resume } from "../../infra/record.ts";
import { deploySettings, type Settings } from "../../infra/settings.ts";
import { Aws } from "./aws.ts";
import {
  assertSameDeployment,
  type Env,
  exitCodeOf,
  identity,
  openStacks,
  readOptions,
  readRecord,
  synthesize,
} from "./deployment.ts";
import { accountOf, faultsOfPrograms, FOR_DESTROY } from "./preflight.ts";
import { tearDown } from "./rollout.ts";

/** Describes what is deleted and what is kept. */
export function farewell(settings: Settings): string {
  const { DEPLOY_NAME: name, AWS_REGION: region, DEPLOY_SNAPSHOT: snapshot, DEPLOY_BROKERS: brokers } = settings;
  return [
    `everything of deployment ${name} in ${region} goes, with all events and passwords`,
    snapshot
      ? `what stays: a last snapshot of the database, ${name}-last-…, and of ${
        brokers + 1
      } data volumes; they cost until you delete them`
      : "what stays: nothing (it was deployed with DEPLOY_SNAPSHOT=false)",
    "its key is disabled at once, and gone in 7 days",
  ].join("\n");
}

/**
 * Returns the settings with which a deployment is destroyed: as it is recorded, whatever the environment says. Without a
 * record, as after a first deployment that failed, those of the environment.
 *
 * @throws {Error} if the deployment is protected
 */
export function settingsToDestroy(record: DeploymentRecord | null, env: Env): Settings {
  const { DEPLOY_NAME: name } = identity(env);
  const own: Env = (setting) => setting === "DEPLOY_DESTROY" ? name : env(setting);
  const kept: Env = (setting) => setting === "DEPLOY_CHANGE" ? undefined : own(setting);
  const settings = record === null ? deploySettings(own) : resume(record, kept).settings;
  if (settings.DEPLOY_PROTECTED) {
    throw new Error(
      `deployment ${name} is protected. To destroy it, take that off first: ` +
        "DEPLOY_PROTECTED=false ./deno task deploy --change DEPLOY_PROTECTED",
    );
  }
  return settings;
}

/** Destroys; returns false if it was declined. */
async function destroy(args: readonly string[]): Promise<boolean> {
  const { env, text } = readOptions(args, ["confirm"]);
  const { DEPLOY_NAME: name, AWS_REGION: region } = identity(env);
  const missing = await faultsOfPrograms(FOR_DESTROY);
  if (missing.length > 0) throw new Error(missing.join("\n"));
  const aws = new Aws(region);
  console.log(`account ${await accountOf(aws)}`);
  const record = await readRecord(aws, name);
  const settings = settingsToDestroy(record, env);
  console.log(farewell(settings));
  synthesize(settings, await unbuiltFiles());
  const stacks = await openStacks();
  await assertSameDeployment(stacks, record, settings);
  return await tearDown(stacks, {
    say: console.log,
    ask: (question) => (text("confirm") ?? prompt(question)) === name,
  }, `Type the deployment's name, ${name}, to destroy it:`);
}

if (import.meta.main) Deno.exit(await exitCodeOf(() => destroy(Deno.args)));
