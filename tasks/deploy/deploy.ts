/**
 * `deno task deploy`: deploys these sources to AWS, for the first time or as a new version. A deployment keeps its
 * settings; `--change DEPLOY_SIZE,DEPLOY_BROKERS` names those that may change. Prints cost and plan, and asks; `--yes`
 * continues without asking. `--destroy stream/kafka-3/data` names what holds data and may be lost.
 * @module
 */
import { builtFiles, viewsFile, withViews } from "../../infra/built.ts";
import { type Difference, resume } from "../../infra/record.ts";
import { deploySettings, type Settings } from "../../infra/settings.ts";
import { table } from "../../processor/status/text.ts";
import { makeArtifacts } from "./artifacts.ts";
import { Aws } from "./aws.ts";
import { costOf, type Item, PRICES_OF, total } from "./cost.ts";
import {
  assertSameDeployment,
  type Env,
  exitCodeOf,
  identity,
  openStacks,
  readOptions,
  readRecord,
  ROOT,
  synthesize,
} from "./deployment.ts";
import { type Outputs, waitUntilSeen, waysIn } from "./hosts.ts";
import { accountOf, chooseZones, faultsOfAccount, faultsOfPrograms, zonesOf } from "./preflight.ts";
import { LostData, rollOut } from "./rollout.ts";
import type { Stack } from "./terraform.ts";
import { told } from "./told.ts";

/** Describes what a deployment consists of, and its cost. */
export function describeDeployment(settings: Settings, items: readonly Item[]): string {
  const hosts =
    `${settings.DEPLOY_BROKERS} of Kafka, ${settings.DEPLOY_PROCESSORS} of the processor, 1 of Prometheus and Grafana`;
  return [
    `deployment ${settings.DEPLOY_NAME}, ${settings.DEPLOY_SIZE}, in ${settings.AWS_REGION}`,
    `hosts: ${hosts}; PostgreSQL on ${settings.DEPLOY_DATABASE_CLASS}; a function that sends ${settings.DEPLOY_RATE} events a second`,
    `about ${total(items)} dollars a month, at list prices of us-east-1 ${PRICES_OF}, before tax:`,
    ...table(null, items.map(({ what, dollars }) => [dollars.toFixed(0), what]), [7]),
  ].join("\n");
}

/** Describes settings that change. */
export function describeChanges(changes: readonly Difference[]): string {
  const shown = (value: string) => value === "" ? "not set" : value;
  if (changes.length === 0) return "settings: as deployed";
  return [
    "settings that change:",
    ...changes.map(({ name, deployed, wanted }) => `  ${name}: ${shown(deployed)} → ${shown(wanted)}`),
  ].join("\n");
}

/**
 * Returns the settings to deploy: those of the environment for a first deployment, else those recorded, with the named
 * ones from the environment.
 *
 * @throws {Error} naming the settings that differ and are not named
 */
export async function settingsToDeploy(
  aws: Aws,
  env: Env,
): Promise<{ settings: Settings; record: Awaited<ReturnType<typeof readRecord>>; changes: readonly Difference[] }> {
  const record = await readRecord(aws, identity(env).DEPLOY_NAME);
  if (record === null) {
    const settings = deploySettings(env);
    if (env("DEPLOY_ZONES")) return { settings, record, changes: [] };
    const zones = chooseZones(await zonesOf(aws, settings), settings);
    return { settings: deploySettings((name) => name === "DEPLOY_ZONES" ? zones : env(name)), record, changes: [] };
  }
  const { settings, changes, refused } = resume(record, env);
  if (refused.length > 0) {
    throw new Error(
      [
        `${settings.DEPLOY_NAME} is deployed in ${settings.AWS_REGION} with other settings:`,
        ...refused.map(({ name, deployed, wanted }) => `  ${name} is ${deployed || "not set"}, and ${wanted} here`),
        `Unset them to keep what is deployed, or name what shall change: --change ${
          refused.map(({ name }) => name).join(",")
        }`,
      ].join("\n"),
    );
  }
  const lost = dataElsewhere(changes, settings).filter((name) => !settings.DEPLOY_DESTROY.includes(name));
  if (lost.length > 0) throw new LostData(lost);
  return { settings, record, changes };
}

/**
 * Names the volumes of hosts that other zones would move: a volume can't follow. Terraform can't always tell before the
 * network has changed.
 */
export function dataElsewhere(changes: readonly Difference[], settings: Settings): string[] {
  const zones = changes.find(({ name }) => name === "DEPLOY_ZONES")?.deployed.split(",");
  if (zones === undefined) return [];
  const before = Number(changes.find(({ name }) => name === "DEPLOY_BROKERS")?.deployed ?? settings.DEPLOY_BROKERS);
  const isMoved = (number: number) => {
    const [from, to] = [zones, settings.DEPLOY_ZONES].map((all) => all[(number - 1) % all.length]);
    return from !== to;
  };
  const brokers = Array.from({ length: Math.min(before, settings.DEPLOY_BROKERS) }, (_, node) => node + 1);
  return [
    ...brokers.filter(isMoved).map((node) => `stream/kafka-${node}/data`),
    ...isMoved(1) ? ["monitoring/monitoring-1/data"] : [],
  ];
}

async function outputsOf(stacks: readonly Stack[]): Promise<Outputs> {
  const entries = await Promise.all(stacks.map(async (stack) => [stack.name, await stack.outputs()] as const));
  return Object.fromEntries(entries) as unknown as Outputs;
}

async function check(): Promise<void> {
  const args = ["run", "--allow-all", "tasks/ok.ts", "--quick"];
  const { code } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).spawn().status;
  if (code !== 0) throw new Error(`these sources are not in order: deno task ok --quick ended with ${code}`);
}

/** Deploys; returns false if it was declined. */
async function deploy(args: readonly string[]): Promise<boolean> {
  const { yes, env: given } = readOptions(args, ["change", "destroy"]);
  const { AWS_REGION: region } = identity(given);
  const env = withViews(given);
  const missing = await faultsOfPrograms();
  if (missing.length > 0) throw new Error(missing.join("\n"));
  const aws = new Aws(region);
  console.log(`account ${await accountOf(aws)}`);
  const { settings, record, changes } = await settingsToDeploy(aws, env);
  const views = viewsFile(settings);
  const faults = await faultsOfAccount(aws, settings, console.error);
  if (faults.length > 0) throw new Error(faults.join("\n"));
  console.log(describeDeployment(settings, await costOf(settings)));
  console.log(
    record === null ? "a first deployment: nothing of this name is in this region" : describeChanges(changes),
  );
  await check();
  await makeArtifacts(settings.DEPLOY_ARCHITECTURE);
  const files = { ...await builtFiles(settings.DEPLOY_ARCHITECTURE), ...views };
  synthesize(settings, files);
  const stacks = await openStacks();
  await assertSameDeployment(stacks, record, settings);
  const outcome = await rollOut(stacks, settings.DEPLOY_DESTROY, {
    say: console.log,
    ask: (question) => yes || confirm(question),
  });
  if (outcome === "declined") return false;
  const outputs = await outputsOf(stacks);
  await waitUntilSeen(aws, outputs, files);
  console.log(waysIn(outputs, region));
  const { DEPLOY_ALARM_EMAIL: email, DEPLOY_NAME: name, DEPLOY_SIZE: size } = settings;
  // Production must not run without anybody who is told; elsewhere it is only said.
  const times = size === "production" ? 40 : 1;
  const isTold = email === null || await told(aws, name, email, { times, say: console.log });
  if (!isTold && size === "production") throw new Error("everything is deployed, but nobody is told of alarms yet");
  return true;
}

if (import.meta.main) Deno.exit(await exitCodeOf(() => deploy(Deno.args)));
