/**
 * The settings of a deployment: name, default, bounds and meaning of each, checked before anything is synthesized. They
 * are environment variables, like the binary's settings; the binary's settings are passed on to the hosts under their
 * own names.
 */
import { z } from "zod";
import { readSettings, type SettingName as OfBinary, WrongSettings } from "../processor/config/config.ts";
import { AWS_SETTINGS, KAFKA_LOGIN_SETTINGS } from "../processor/config/login_settings.ts";
import { SETTING_NAMES } from "../processor/config/settings_shown.ts";
import { TELEMETRY } from "../processor/config/telemetry.ts";
import { type Cidr, cidrOf, isPrivate } from "./addresses.ts";
import { type Architecture, DATABASE_CLASSES, MACHINES } from "./instances.ts";
import { CHOICES, type Size, SIZES } from "./sizes.ts";

export { WrongSettings };

interface Setting {
  readonly schema: z.ZodType<unknown, string>;
  /** Default where it is not set and the size does not define it; null if it is optional. */
  readonly default?: string | null;
  readonly allowed: string;
  readonly about: string;
}

const oneOf = <const T extends readonly string[]>(...values: T) => z.enum(values);

const wholeNumber = (least: number, most: number) =>
  z.string().regex(/^\d{1,9}$/).transform(Number).pipe(z.number().min(least).max(most));

const yesOrNo = oneOf("true", "false").transform((value) => value === "true");

/** Parses the text; the message of a `RangeError` is shown. */
const parsed = <T>(parse: (value: string) => T) =>
  z.string().transform((value, context): T => {
    try {
      return parse(value);
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof RangeError ? error.message : "" });
      return z.NEVER;
    }
  });

const machine = { schema: oneOf(...Object.keys(MACHINES)), allowed: `one of ${Object.keys(MACHINES).join(", ")}` };

const region = z.string().regex(
  /^(af|ap|ca|eu|il|me|mx|sa|us)-(north|south|east|west|central|northeast|northwest|southeast|southwest)-[1-9]$/,
);
const A_REGION = "a region of AWS's own partition, like eu-central-1";

/** Regions whose databases the hosts can verify: the package with RDS's certificates has an authority for each. */
export const REGIONS: readonly string[] = [
  ...["af-south-1", "ap-east-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2"],
  ...["ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ca-central-1", "eu-central-1"],
  ...["eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "me-central-1"],
  ...["me-south-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"],
];

/** Days for which CloudWatch can keep logs, limited to useful values. */
const LOG_DAYS = ["1", "3", "5", "7", "14", "30", "60", "90", "180", "365", "731"] as const;

/** All settings, in the order in which they are shown. */
export const SETTINGS = {
  DEPLOY_SIZE: {
    schema: oneOf(...SIZES),
    default: "dev",
    allowed: SIZES.join(", "),
    about: "what everything below is where it isn't set",
  },
  DEPLOY_NAME: {
    schema: z.string().regex(/^[a-z](?:-?[a-z0-9]){0,19}$/),
    default: "clickstream",
    allowed: "1 to 20 small letters, digits and '-' between them, a letter first",
    about: "what all that is created is named after; two deployments in an account have two names",
  },
  AWS_REGION: {
    schema: oneOf(...REGIONS),
    default: "us-east-1",
    allowed: `one of ${REGIONS.join(", ")}: the hosts have RDS's certificates for these`,
    about: "where everything is created",
  },
  DEPLOY_ZONES: {
    schema: parsed(zones),
    allowed: "2 or 3 of the letters a to f, separated by commas",
    about: "the region's zones to stand in",
  },
  DEPLOY_NETWORK: {
    schema: parsed(network),
    default: "10.40.0.0/16",
    allowed: "a private network of /16 to /22, like 10.40.0.0/16",
    about: "addresses of the private network",
  },
  DEPLOY_EGRESS: {
    schema: oneOf("endpoints", "nat"),
    default: "endpoints",
    allowed: "endpoints or nat",
    about: "how hosts reach AWS: by endpoints in the private network, or over one NAT, which reaches the Internet too",
  },
  DEPLOY_ARCHITECTURE: {
    schema: oneOf("arm64", "x86_64"),
    default: "arm64",
    allowed: "arm64 or x86_64",
    about: "what the hosts' processors run",
  },
  DEPLOY_BROKERS: { schema: oneOf("1", "3").transform(Number), allowed: "1 or 3", about: "hosts of Kafka" },
  DEPLOY_PROCESSORS: {
    schema: wholeNumber(1, 9),
    allowed: "a whole number from 1 to 9",
    about: "hosts of the processor",
  },
  DEPLOY_BROKER_MACHINE: { ...machine, about: "machine of a broker" },
  DEPLOY_PROCESSOR_MACHINE: { ...machine, about: "machine of a processor" },
  DEPLOY_MONITORING_MACHINE: { ...machine, about: "machine of Prometheus and Grafana" },
  DEPLOY_BROKER_DISK_GIB: {
    schema: wholeNumber(10, 16_384),
    allowed: "a whole number from 10 to 16384",
    about: "a broker's data volume",
  },
  DEPLOY_MONITORING_DISK_GIB: {
    schema: wholeNumber(10, 1024),
    allowed: "a whole number from 10 to 1024",
    about: "data volume of Prometheus and Grafana",
  },
  DEPLOY_RETENTION_HOURS: {
    schema: wholeNumber(1, 8760),
    default: "168",
    allowed: "a whole number from 1 to 8760",
    about: "how long the topic keeps events",
  },
  DEPLOY_DATABASE_CLASS: {
    schema: oneOf(...Object.keys(DATABASE_CLASSES)),
    allowed: `one of ${Object.keys(DATABASE_CLASSES).join(", ")}`,
    about: "machine of the database",
  },
  DEPLOY_DATABASE_DISK_GIB: {
    schema: wholeNumber(20, 32_768),
    allowed: "a whole number from 20 to 32768",
    about: "the database's disk to begin with; it grows to five times that by itself",
  },
  DEPLOY_DATABASE_STANDBY: {
    schema: yesOrNo,
    allowed: "true or false",
    about: "whether a second database stands by in another zone",
  },
  DEPLOY_BACKUP_DAYS: {
    schema: wholeNumber(1, 35),
    allowed: "a whole number from 1 to 35",
    about: "days that the database can be set back to",
  },
  DEPLOY_PROTECTED: {
    schema: yesOrNo,
    allowed: "true or false",
    about: "whether the database refuses to be destroyed",
  },
  DEPLOY_SNAPSHOT: {
    schema: yesOrNo,
    allowed: "true or false",
    about: "whether a last snapshot of the database, and of the brokers' volumes, stays when all is destroyed",
  },
  DEPLOY_LOG_DAYS: {
    schema: oneOf(...LOG_DAYS).transform(Number),
    allowed: LOG_DAYS.join(", "),
    about: "days that logs are kept",
  },
  DEPLOY_RATE: {
    schema: wholeNumber(1, 1000),
    allowed: "a whole number from 1 to 1000",
    about: "events a second that the simulated shop sends",
  },
  DEPLOY_RESERVED: {
    schema: yesOrNo,
    default: "true",
    allowed: "true or false",
    about: "whether the function has a place reserved, which an account that may run only 10 functions at once refuses",
  },
  DEPLOY_ALARM_EMAIL: {
    schema: z.email().max(254),
    default: null,
    allowed: "an e-mail address",
    about: "who is told of alarms; AWS asks that address first whether it wants to be",
  },
  DEPLOY_STATE_BUCKET: {
    schema: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
    default: null,
    allowed: "the name of a bucket of S3 that exists",
    about: "where Terraform's state is kept; without it in files beside deno.json",
  },
  DEPLOY_STATE_REGION: {
    schema: region,
    default: null,
    allowed: A_REGION,
    about: "where that bucket is; without it in AWS_REGION",
  },
  VIEWS_FILE: {
    schema: z.string().max(1024),
    default: null,
    allowed: "the path of a YAML file",
    about: "file of the shop's own views, goals and funnels, which hosts apply to the database and count by",
  },
  DEPLOY_CHANGE: {
    schema: parsed(settingNames),
    default: "",
    allowed: "names of settings, separated by commas",
    about: "settings that may change: a deployment keeps the others as they are",
  },
  DEPLOY_DESTROY: {
    schema: parsed(list),
    default: "",
    allowed: "names, separated by commas, such as stream/kafka-3/data; or the deployment's name, for all",
    about: "what holds data and may be destroyed",
  },
} as const satisfies Record<string, Setting>;

/** Name of a setting. */
export type SettingName = keyof typeof SETTINGS;

type Value<D extends Setting> = z.output<D["schema"]> | (D extends { readonly default: null } ? null : never);

/** Settings of the binary that the deployment defines: it knows its hosts, their files, its users and its database. */
export const MADE_HERE = [
  "KAFKA_BROKERS",
  "KAFKA_TLS_CA",
  "KAFKA_SASL_MECHANISM",
  "KAFKA_SASL_USERNAME",
  "KAFKA_SASL_PASSWORD",
  "DATABASE_URL",
  "DATABASE_TLS_CA",
  "ALLOW_PLAINTEXT",
  "HTTP_LISTEN",
  "HTTP_HOSTS",
  "LOG_FORMAT",
  "VIEWS_FILE",
] as const satisfies readonly OfBinary[];

/**
 * Settings of the binary that hosts do not get: those of logins that the deployment does not use, those of telemetry, since
 * hosts have no collector and no way to one. Some are secrets, which must not stand in Terraform's state.
 */
export const LEFT_OUT: readonly string[] = [
  ...Object.keys({ ...KAFKA_LOGIN_SETTINGS, ...AWS_SETTINGS, ...TELEMETRY }),
  "DATABASE_AUTH",
].filter((name) => !MADE_HERE.some((made) => made === name));

/** Settings of the binary that are passed on to the hosts: all others. */
export const PASSED_ON = SETTING_NAMES.filter((name) =>
  !MADE_HERE.some((made) => made === name) && !LEFT_OUT.includes(name)
);

/** The complete settings of a deployment. */
export type Settings = { readonly [K in SettingName]: Value<(typeof SETTINGS)[K]> } & {
  /** Settings of the binary that are set, as text. */
  readonly passedOn: Readonly<Record<string, string>>;
  /** Every setting of the deployment as text, by name; empty where an optional one is not set. */
  readonly texts: Readonly<Record<SettingName, string>>;
  /** Names of the settings that are set, in order; all others follow from the size or are defaults. */
  readonly chosen: readonly string[];
  /** Whether AWS is a stand-in, at an address without DNS names for buckets. */
  readonly elsewhere: boolean;
};

/**
 * Reads the settings; an empty variable counts as absent.
 *
 * @throws {WrongSettings} naming every invalid setting
 */
export function deploySettings(
  env: (name: string) => string | undefined = (name) => Deno.env.get(name),
): Settings {
  const set = (name: string) => env(name) || undefined;
  const wrong: string[] = [];
  const size = read("DEPLOY_SIZE", set("DEPLOY_SIZE"), wrong) as Size | undefined;
  const architecture = read("DEPLOY_ARCHITECTURE", set("DEPLOY_ARCHITECTURE"), wrong) as Architecture | undefined;
  if (size === undefined || architecture === undefined) throw wrongSettings(wrong);
  const names = Object.keys(SETTINGS) as SettingName[];
  const ofSize: Readonly<Partial<Record<SettingName, string>>> = CHOICES[size];
  const texts = names.map((name) => {
    const [arm, x86 = arm] = ofSize[name]?.split("/") ?? [];
    const { default: fallback }: Setting = SETTINGS[name];
    return [name, set(name) ?? (architecture === "arm64" ? arm : x86) ?? fallback ?? ""] as const;
  });
  const values = texts.map(([name, text]) => [name, read(name, text, wrong)]);
  wrong.push(...passedOnWrong(env));
  if (wrong.length > 0) throw wrongSettings(wrong);
  const passedOn = Object.fromEntries(PASSED_ON.flatMap((name) => set(name) === undefined ? [] : [[name, set(name)!]]));
  // Each value comes from its own setting's schema.
  const settings = {
    ...Object.fromEntries(values),
    passedOn,
    texts: Object.fromEntries(texts),
    chosen: [...names, ...PASSED_ON].filter((name) => set(name) !== undefined),
    elsewhere: set("AWS_ENDPOINT_URL") !== undefined,
  } as Settings;
  wrong.push(...notTogether(settings));
  if (wrong.length > 0) throw wrongSettings(wrong);
  return settings;
}

function read(name: SettingName, given: string | undefined, wrong: string[]): unknown {
  const { schema, default: fallback, allowed }: Setting = SETTINGS[name];
  const value = given ?? fallback;
  if (fallback === null && !value) return null;
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const said = error.issues.find(({ code, message }) => code === "custom" && message !== "")?.message;
  wrong.push(`${name} is ${JSON.stringify(value)}${said === undefined ? "" : ` (${said})`}; it must be ${allowed}`);
  return undefined;
}

/** Errors in the binary's settings, in the binary's own words. */
function passedOnWrong(env: (name: string) => string | undefined): string[] {
  try {
    readSettings(PASSED_ON, env);
    return [];
  } catch (error) {
    if (!(error instanceof WrongSettings)) throw error;
    return error.message.split("\n").slice(1).map((line) => line.trim());
  }
}

/** Settings that are each valid, but not together. */
function notTogether(settings: Settings): string[] {
  const wrong: string[] = [];
  const { DEPLOY_ARCHITECTURE: architecture, DEPLOY_BROKERS: brokers, DEPLOY_ZONES: { length } } = settings;
  if (settings.DEPLOY_SIZE === "production" && settings.DEPLOY_ALARM_EMAIL === null) {
    wrong.push("DEPLOY_ALARM_EMAIL is not set; production must have somebody who is told when it stops");
  }
  for (const name of ["DEPLOY_BROKER_MACHINE", "DEPLOY_PROCESSOR_MACHINE", "DEPLOY_MONITORING_MACHINE"] as const) {
    if (MACHINES[settings[name]]!.architecture === architecture) continue;
    wrong.push(`${name} is "${settings[name]}"; it must be one of ${architecture}, which DEPLOY_ARCHITECTURE is`);
  }
  if (brokers === 3 && length === 2) {
    wrong.push(
      `DEPLOY_BROKERS is "3"; it must be 1, or DEPLOY_ZONES have 3 zones: two brokers in one are lost together`,
    );
  }
  return wrong;
}

function wrongSettings(wrong: readonly string[]): WrongSettings {
  const count = wrong.length === 1 ? "1 setting is" : `${wrong.length} settings are`;
  return new WrongSettings(`${count} invalid:\n${wrong.map((line) => `  ${line}`).join("\n")}`);
}

function zones(value: string): readonly string[] {
  const letters = value.split(",").map((part) => part.trim());
  if (letters.length < 2 || letters.length > 3) throw new RangeError(`it names ${letters.length}`);
  if (letters.some((letter) => !/^[a-f]$/.test(letter))) throw new RangeError("it names another");
  if (new Set(letters).size < letters.length) throw new RangeError("it names one twice");
  return letters;
}

function network(value: string): Cidr {
  const cidr = cidrOf(value);
  if (cidr.bits < 16 || cidr.bits > 22) throw new RangeError(`it is a /${cidr.bits}`);
  if (!isPrivate(cidr)) throw new RangeError("its addresses are public");
  return cidr;
}

function list(value: string): readonly string[] {
  return value.split(",").map((part) => part.trim()).filter((part) => part !== "");
}

function settingNames(value: string): readonly string[] {
  const names = list(value);
  const unknown = names.filter((name) => !(name in SETTINGS) && !PASSED_ON.some((passed) => passed === name));
  if (unknown.length > 0) throw new RangeError(`${unknown.join(", ")} is no setting`);
  return names;
}
