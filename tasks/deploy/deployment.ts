/**
 * Which deployment a command is about, and what is recorded of it: what `deno task deploy` and `deno task destroy`
 * share.
 * @module
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { BuiltFiles } from "../../infra/artifacts.ts";
import { addStacks } from "../../infra/main.ts";
import { type DeploymentRecord, recordName } from "../../infra/record.ts";
import { deploySettings, type Settings, WrongSettings } from "../../infra/settings.ts";
import { newApp } from "../../infra/stack.ts";
import { type Aws, AwsError } from "./aws.ts";
import { Stack } from "./terraform.ts";

/** Root of the repository, with a slash at its end. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Where stacks are synthesized; local state is beside this folder. */
const OUT = `${ROOT}cdktf.out`;

/** Reads a setting. */
export type Env = (name: string) => string | undefined;

/** Settings that say which deployment is meant. */
const IDENTITY: readonly string[] = ["AWS_REGION", "DEPLOY_NAME"];

/** Returns name and region of the deployment that is meant; a region that nobody named is an error. */
export function identity(env: Env): Pick<Settings, "AWS_REGION" | "DEPLOY_NAME"> {
  if (!env("AWS_REGION")) throw new WrongSettings("AWS_REGION is not set: it says which deployment is meant");
  return deploySettings((name) => IDENTITY.includes(name) ? env(name) : undefined);
}

/**
 * Returns the options of the command line, and the environment with them.
 *
 * @throws {WrongSettings} for an unknown option
 */
export function readOptions<const O extends readonly string[]>(
  args: readonly string[],
  texts: O,
  env: Env = (name) => Deno.env.get(name),
): { yes: boolean; text: (name: O[number]) => string | undefined; env: Env } {
  const ofText = Object.fromEntries(texts.map((name) => [name, { type: "string" }])) as Record<string, {
    type: "string";
  }>;
  try {
    const { values } = parseArgs({ args: [...args], options: { ...ofText, yes: { type: "boolean" } } });
    const given: Readonly<Record<string, string | boolean | undefined>> = values;
    const text = (name: string) => given[name] as string | undefined;
    const joined = (name: string, option: string) =>
      [env(name), text(option)].filter((part) => part !== undefined && part !== "").join(",") || undefined;
    return {
      yes: given["yes"] === true,
      text,
      env: (name) => {
        if (name === "DEPLOY_CHANGE") return joined(name, "change");
        return name === "DEPLOY_DESTROY" ? joined(name, "destroy") : env(name);
      },
    };
  } catch (error) {
    throw new WrongSettings(error instanceof Error ? error.message : String(error));
  }
}

/** Returns the record of a deployment; null if nothing is deployed under this name in this region and account. */
export async function readRecord(aws: Aws, deployment: string): Promise<DeploymentRecord | null> {
  const name = ["--name", recordName(deployment)];
  const value = ["--query", "Parameter.Value", "--output", "text"];
  const text = await aws.run("ssm", "get-parameter", ...name, ...value).catch((error) => {
    if (error instanceof AwsError && error.code === "ParameterNotFound") return null;
    throw error;
  });
  return text === null ? null : JSON.parse(text) as DeploymentRecord;
}

/** Synthesizes the stacks into a folder. */
export function synthesize(
  settings: Settings,
  files: BuiltFiles,
  out = OUT,
): void {
  Deno.mkdirSync(out, { recursive: true });
  const app = newApp(out);
  addStacks(app, settings, files);
  app.synth();
}

/** Opens the synthesized stacks, each after those that it needs. */
export async function openStacks(out = OUT): Promise<Stack[]> {
  const stacks = await Stack.all(out);
  for (const stack of stacks) await stack.init();
  return stacks;
}

/** The record in Terraform's state. */
const RECORD = "aws_ssm_parameter.record";

/**
 * Checks that state and record are of the same deployment.
 *
 * @throws {Error} if one of them is elsewhere
 */
export async function assertSameDeployment(
  [network]: readonly Stack[],
  record: DeploymentRecord | null,
  { DEPLOY_NAME: name, AWS_REGION: region, DEPLOY_STATE_BUCKET: bucket }: Settings,
): Promise<void> {
  const place = bucket === null ? `${ROOT}${name}.${region}.*.tfstate` : `s3://${bucket}/clickstream/`;
  const known = await network!.resources();
  if (record !== null && known.length === 0) {
    throw new Error(
      `${name} is deployed in ${region}, but Terraform's state is not in ${place}. Run this where the state is, or ` +
        "copy it from there; with DEPLOY_STATE_BUCKET, everybody finds it.",
    );
  }
  if (record === null && known.includes(RECORD)) {
    throw new Error(
      `${place} says that ${name} is deployed, but this account has no record of it in ${region}: ` +
        "check whether these are the logins of another account.",
    );
  }
}

/** Runs a command to its exit code: 2 for wrong settings, 1 for other errors. */
export async function exitCodeOf(command: () => Promise<boolean>): Promise<number> {
  try {
    return await command() ? 0 : 1;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return error instanceof WrongSettings ? 2 : 1;
  }
}
