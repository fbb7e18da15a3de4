/**
 * The record of what is deployed: every setting, in a parameter of SSM and so in Terraform's state. A deployment keeps
 * the settings that it was made with; another value is refused unless the setting is named.
 * @module
 */
import { DataAwsSsmParametersByPath, SsmParameter, type TerraformStack } from "./aws.ts";
import { deploySettings, PASSED_ON, type SettingName, SETTINGS, type Settings } from "./settings.ts";
import { CHOICES } from "./sizes.ts";

/** Settings as recorded. */
export interface DeploymentRecord {
  /** As text, by name; empty where an optional one is not set. Those of the binary only if they are set. */
  readonly settings: Readonly<Record<string, string>>;
  /** Names of those that were set; the others followed from the size or were defaults. */
  readonly chosen: readonly string[];
}

/** A setting with another value than the deployment has. */
export interface Difference {
  readonly name: string;
  readonly deployed: string;
  readonly wanted: string;
}

/** What a deployment goes on with. */
export interface Resumed {
  readonly settings: Settings;
  /** Settings that change, because they are named or follow from one that is. */
  readonly changes: readonly Difference[];
  /** Settings that are set to another value than the deployment has, without being named. */
  readonly refused: readonly Difference[];
}

/** Settings that say which deployment is meant and what may happen to it. */
const NOT_RECORDED: ReadonlySet<string> = new Set<SettingName>([
  "DEPLOY_NAME",
  "AWS_REGION",
  "DEPLOY_CHANGE",
  "DEPLOY_DESTROY",
]);

/** Settings of which others follow, if they are not set themselves. */
const LEADING = ["DEPLOY_SIZE", "DEPLOY_ARCHITECTURE"];

/** Path of the record; the only parameter below it is the record. */
const pathOf = (deployment: string) => `/${deployment}/deployment`;

/** Name of the record. */
export const recordName = (deployment: string) => `${pathOf(deployment)}/settings`;

/** What is recorded of these settings. */
export function recordOf({ texts, passedOn, chosen }: Settings): DeploymentRecord {
  const all = { ...texts, ...passedOn };
  return {
    settings: Object.fromEntries(
      Object.entries(all).filter(([name, text]) => !NOT_RECORDED.has(name) && (text !== "" || isOwn(name))),
    ),
    chosen: chosen.filter((name) => !NOT_RECORDED.has(name)),
  };
}

/**
 * Returns the settings of a deployment from its record, and from the environment those that are named. A named setting
 * that is not set returns to its default.
 *
 * @throws {WrongSettings} naming every invalid setting
 */
export function resume(record: DeploymentRecord, env: (name: string) => string | undefined): Resumed {
  const set = (name: string) => env(name) || undefined;
  const { DEPLOY_CHANGE: named } = deploySettings((name) => name === "DEPLOY_CHANGE" ? env(name) : undefined);
  const following = followers(named, record.chosen);
  const isKept = (name: string) => !NOT_RECORDED.has(name) && !named.includes(name) && isComparable(record, name);
  const settings = deploySettings((name) => {
    if (!isKept(name)) return set(name);
    return following.has(name) ? undefined : record.settings[name];
  });
  const names = [...Object.keys(SETTINGS), ...PASSED_ON];
  const now = { ...settings.texts, ...settings.passedOn } as Readonly<Record<string, string>>;
  const differences = (wanted: (name: string) => string | undefined) =>
    names.filter((name) => !NOT_RECORDED.has(name) && isComparable(record, name)).flatMap((name) => {
      const difference = { name, deployed: record.settings[name] ?? "", wanted: wanted(name) ?? "" };
      return difference.deployed === difference.wanted ? [] : [difference];
    });
  return {
    settings: {
      ...settings,
      chosen: names.filter((name) => isKept(name) ? record.chosen.includes(name) : set(name) !== undefined),
    },
    changes: differences((name) => now[name]),
    refused: differences((name) => isKept(name) ? set(name) ?? record.settings[name] : record.settings[name]),
  };
}

/** A setting that the version before did not have is no difference. */
function isComparable(record: DeploymentRecord, name: string): boolean {
  return name in record.settings || !isOwn(name);
}

/** Whether it is a setting of the deployment, and not one of the binary. */
function isOwn(name: string): boolean {
  return name.startsWith("DEPLOY_");
}

/** Settings that change with a named one. */
function followers(named: readonly string[], chosen: readonly string[]): ReadonlySet<string> {
  if (!LEADING.some((name) => named.includes(name))) return new Set();
  return new Set(Object.keys(CHOICES.dev).filter((name) => !chosen.includes(name)));
}

const DIFFERING =
  '${[for name in setunion(keys(local.deployed), keys(local.settings)) : name if lookup(local.deployed, name, "") != ' +
  'lookup(local.settings, name, "") && (contains(keys(local.deployed), name) && contains(keys(local.settings), name) ' +
  '|| !startswith(name, "DEPLOY_")) && length(local.deployed) > 0]}';

/**
 * Adds the record to a stack. Terraform itself refuses a difference that is not named, so that plain `cdktf deploy`
 * does, too.
 */
export function addRecord(stack: TerraformStack, settings: Settings): void {
  const record = recordOf(settings);
  const path = pathOf(settings.DEPLOY_NAME);
  const found = new DataAwsSsmParametersByPath(stack, "deployed", { path });
  const none = JSON.stringify(JSON.stringify({ settings: {} }));
  const named = settings.DEPLOY_CHANGE;
  stack.addOverride("locals", {
    deployed: `\${jsondecode(concat(nonsensitive(${found.fqn}.values), [${none}])[0]).settings}`,
    settings: Object.fromEntries(Object.entries(record.settings).map(([name, value]) => [name, literal(value)])),
    may_change: [...named, ...followers(named, settings.chosen)],
    differing: DIFFERING,
  });
  new SsmParameter(stack, "record", {
    name: recordName(settings.DEPLOY_NAME),
    description: "settings of the deployment; each stays until a change names it",
    type: "String",
    value: literal(JSON.stringify(record)),
    lifecycle: {
      precondition: [{
        condition: "${length(setsubtract(local.differing, local.may_change)) == 0}",
        errorMessage: 'Deployed with other settings: ${join(", ", [for name in setsubtract(local.differing, ' +
          'local.may_change) : "${name} (deployed: ${lookup(local.deployed, name, "")}, now: ' +
          '${lookup(local.settings, name, "")})"])}. Set them as they are deployed, or name them in DEPLOY_CHANGE.',
      }],
    },
  });
}

/** Text in which Terraform interpolates nothing. */
function literal(text: string): string {
  return text.replaceAll("${", "$${").replaceAll("%{", "%%{");
}
