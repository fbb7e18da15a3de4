import assert from "node:assert/strict";
import { run } from "../testing/servers/child.ts";
import { type DeploymentRecord, recordOf, resume } from "./record.ts";
import { deploySettings } from "./settings.ts";
import { EMAIL, type JsonObject, synthesize } from "./testing/synth.ts";

/** Reads settings; production must have an address. */
function read(choices: Readonly<Record<string, string>>) {
  const all: Readonly<Record<string, string>> = choices["DEPLOY_SIZE"] === "production"
    ? { ...EMAIL, ...choices }
    : choices;
  return deploySettings((name) => all[name]);
}
const REGION = { AWS_REGION: "eu-central-1" };

/** What was deployed, the environment now, and what comes of it: settings that change, and settings that are refused. */
const CASES: readonly {
  readonly deployed: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  readonly changes?: readonly string[];
  readonly refused?: readonly string[];
  readonly is?: Readonly<Record<string, string>>;
}[] = [
  // The whole environment was forgotten: everything stays.
  { deployed: { DEPLOY_SIZE: "production", KAFKA_TOPIC: "a" }, env: {}, is: { DEPLOY_BROKERS: "3", KAFKA_TOPIC: "a" } },
  { deployed: { DEPLOY_SIZE: "production" }, env: { DEPLOY_SIZE: "production" } },
  { deployed: { DEPLOY_SIZE: "production" }, env: { DEPLOY_SIZE: "dev" }, refused: ["DEPLOY_SIZE"] },
  { deployed: { DEPLOY_SIZE: "small" }, env: { DEPLOY_BROKERS: "3" }, refused: ["DEPLOY_BROKERS"] },
  // Named settings change, and what follows from them; what was set itself stays.
  {
    deployed: { DEPLOY_SIZE: "small", DEPLOY_BROKER_DISK_GIB: "300" },
    env: { DEPLOY_SIZE: "dev", DEPLOY_CHANGE: "DEPLOY_SIZE" },
    changes: [
      ...["DEPLOY_SIZE", "DEPLOY_BROKER_MACHINE", "DEPLOY_PROCESSOR_MACHINE", "DEPLOY_MONITORING_DISK_GIB"],
      ...["DEPLOY_DATABASE_CLASS", "DEPLOY_DATABASE_DISK_GIB", "DEPLOY_BACKUP_DAYS", "DEPLOY_SNAPSHOT"],
      ...["DEPLOY_LOG_DAYS", "DEPLOY_RATE"],
    ],
    is: { DEPLOY_BROKER_DISK_GIB: "300" },
  },
  {
    deployed: { DEPLOY_SIZE: "small" },
    env: { DEPLOY_RATE: "70", DEPLOY_LOG_DAYS: "5", DEPLOY_CHANGE: "DEPLOY_RATE" },
    changes: ["DEPLOY_RATE"],
    refused: ["DEPLOY_LOG_DAYS"],
  },
  // A named setting that is not set returns to its default.
  {
    deployed: { KAFKA_TOPIC: "a", DEPLOY_ALARM_EMAIL: "a@example.org", DEPLOY_RATE: "9" },
    env: { DEPLOY_CHANGE: "DEPLOY_RATE,KAFKA_TOPIC,DEPLOY_ALARM_EMAIL" },
    changes: ["DEPLOY_RATE", "DEPLOY_ALARM_EMAIL", "KAFKA_TOPIC"],
    is: { DEPLOY_RATE: "5" },
  },
  { deployed: {}, env: { KAFKA_PARTITIONS: "12" }, refused: ["KAFKA_PARTITIONS"] },
  // The same path with another content is another setting.
  { deployed: { VIEWS_FILE: "a.yaml#1f" }, env: {}, is: { VIEWS_FILE: "a.yaml#1f" } },
  { deployed: { VIEWS_FILE: "a.yaml#1f" }, env: { VIEWS_FILE: "a.yaml#2e" }, refused: ["VIEWS_FILE"] },
  { deployed: {}, env: { VIEWS_FILE: "a.yaml#1f" }, refused: ["VIEWS_FILE"] },
  {
    deployed: { VIEWS_FILE: "a.yaml#1f" },
    env: { VIEWS_FILE: "a.yaml#2e", DEPLOY_CHANGE: "VIEWS_FILE" },
    changes: ["VIEWS_FILE"],
    is: { VIEWS_FILE: "a.yaml#2e" },
  },
  {
    deployed: { VIEWS_FILE: "a.yaml#1f" },
    env: { DEPLOY_CHANGE: "VIEWS_FILE" },
    changes: ["VIEWS_FILE"],
    is: { VIEWS_FILE: "" },
  },
  { deployed: {}, env: { DEPLOY_ALARM_EMAIL: "a@example.org" }, refused: ["DEPLOY_ALARM_EMAIL"] },
];

Deno.test("record: a deployment keeps its settings, and only named ones change", () => {
  for (const { deployed, env, changes = [], refused = [], is = {} } of CASES) {
    const what = JSON.stringify([deployed, env]);
    const record = recordOf(read({ ...REGION, ...deployed }));
    const resumed = resume(record, (name) => ({ ...REGION, ...env } as Record<string, string>)[name]);
    const { settings } = resumed;
    assert.deepEqual(resumed.changes.map(({ name }) => name), changes, what);
    assert.deepEqual(resumed.refused.map(({ name }) => name), refused, what);
    const now: Readonly<Record<string, string>> = { ...settings.texts, ...settings.passedOn };
    for (const [name, value] of Object.entries(is)) assert.equal(now[name], value, `${what}: ${name}`);
    // What is recorded then is the same, except for what changes.
    const next = recordOf(settings);
    for (const [name, value] of Object.entries(next.settings)) {
      if (!changes.includes(name)) assert.equal(value, record.settings[name], `${what}: ${name}`);
    }
    if (changes.length === 0) assert.deepEqual(next, record, what);
  }
});

Deno.test("record: a setting that the version before did not have is no difference", () => {
  const { settings: { DEPLOY_EGRESS: _, ...settings }, chosen } = recordOf(read({ DEPLOY_SIZE: "small" }));
  const resumed = resume({ settings, chosen }, (name) => name === "DEPLOY_EGRESS" ? "nat" : undefined);
  assert.deepEqual([resumed.changes, resumed.refused, resumed.settings.DEPLOY_EGRESS], [[], [], "nat"]);
});

Deno.test("record: says nothing of which deployment it is, and fits in a parameter", () => {
  const record = recordOf(read({ ...REGION, DEPLOY_SIZE: "production", DEPLOY_CHANGE: "DEPLOY_RATE" }));
  for (const name of ["DEPLOY_NAME", "AWS_REGION", "DEPLOY_CHANGE", "DEPLOY_DESTROY"]) {
    assert.ok(!(name in record.settings) && !record.chosen.includes(name), name);
  }
  assert.ok(JSON.stringify(record).length < 2048);
});

const terraform = await run("terraform", ["version"]).then(() => true, () => false);

/** What Terraform says of the record in a synthesized deployment, where another is deployed. */
async function saidByTerraform(
  folder: string,
  deployed: DeploymentRecord | null,
  choices: Readonly<Record<string, string>>,
): Promise<string> {
  const network = (await synthesize(choices)).stacks.get("network")!;
  const parameters = (network["resource"] as JsonObject)["aws_ssm_parameter"] as JsonObject;
  const { value, lifecycle } = parameters["record"] as JsonObject;
  const json = JSON.stringify({
    locals: network["locals"],
    resource: { terraform_data: { record: { input: value, lifecycle } } },
  }).replaceAll("data.aws_ssm_parameters_by_path.deployed.values", "var.values");
  const values = deployed === null ? [] : [JSON.stringify(deployed)];
  const variable = { values: { type: "list(string)", sensitive: true } };
  await Deno.writeTextFile(`${folder}/main.tf.json`, JSON.stringify({ variable, ...JSON.parse(json) }));
  await Deno.writeTextFile(`${folder}/terraform.tfvars.json`, JSON.stringify({ values }));
  return await inTerraform(folder, "plan").catch((error: Error) => error.message);
}

async function inTerraform(folder: string, command: string): Promise<string> {
  const env = { CHECKPOINT_DISABLE: "1", TF_CLI_CONFIG_FILE: "/dev/null" };
  return await run("terraform", [`-chdir=${folder}`, command, "-input=false", "-no-color"], env);
}

Deno.test({
  name: "record: Terraform itself refuses what is not named, as with plain cdktf deploy",
  ignore: !terraform,
  fn: async () => {
    const production = recordOf(read({ DEPLOY_SIZE: "production", DEPLOY_RATE: "50", KAFKA_TOPIC: "a" }));
    const CREATED = /Plan: 1 to add/;
    const cases: readonly [DeploymentRecord | null, Record<string, string>, RegExp][] = [
      [null, { DEPLOY_SIZE: "dev" }, CREATED],
      [production, { DEPLOY_SIZE: "production", DEPLOY_RATE: "50", KAFKA_TOPIC: "a" }, CREATED],
      [production, {}, /Deployed with other settings: [\s\S]*DEPLOY_SIZE\s+\(deployed:\s+production,\s+now:\s+dev\)/],
      [production, { DEPLOY_SIZE: "production", DEPLOY_RATE: "50" }, /settings:\s+KAFKA_TOPIC\s+\(deployed:\s+a,/],
      [production, { DEPLOY_SIZE: "dev", DEPLOY_CHANGE: "DEPLOY_SIZE,KAFKA_TOPIC,DEPLOY_RATE" }, CREATED],
      // What was set itself does not follow from the size.
      [
        production,
        { DEPLOY_SIZE: "dev", DEPLOY_RATE: "7", KAFKA_TOPIC: "a", DEPLOY_CHANGE: "DEPLOY_SIZE" },
        /settings:\s+DEPLOY_RATE\s+\(deployed:\s+50,\s+now:\s+7\)\./,
      ],
    ];
    const folder = await Deno.makeTempDir({ prefix: "clickstream-record-" });
    try {
      await inTerraform(folder, "init");
      for (const [deployed, choices, says] of cases) {
        assert.match(await saidByTerraform(folder, deployed, choices), says, JSON.stringify(choices));
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("record: what holds data is never destroyed unless it or the deployment is named", async () => {
  const protectedNames = async (choices: Readonly<Record<string, string>>) =>
    (await synthesize({ DEPLOY_SIZE: "production", ...choices })).resources()
      .filter(({ is }) => (is["lifecycle"] as JsonObject | undefined)?.["prevent_destroy"] === true)
      .map(({ type, name }) => `${type} ${name.replace(/_.*/, "")}`).sort();
  const volumes = ["kafka-1", "kafka-2", "kafka-3", "monitoring-1"].map((host) => `aws_ebs_volume ${host}`);
  const all = ["aws_db_instance database", ...volumes];
  assert.deepEqual(await protectedNames({}), all);
  assert.deepEqual(
    await protectedNames({ DEPLOY_DESTROY: "stream/kafka-3/data" }),
    all.filter((name) => !name.includes("kafka-3")),
  );
  assert.deepEqual(await protectedNames({ DEPLOY_DESTROY: "clickstream" }), []);
});

Deno.test("record: processors drop what declared views counted only if it is named", async () => {
  const mayDrop = async (choices: Readonly<Record<string, string>>) =>
    (await synthesize({ DEPLOY_SIZE: "small", VIEWS_FILE: "views", ...choices })).resources("aws_ssm_parameter")
      .filter(({ is }) => (is["value"] as string).includes('"mayDropViews":true')).map(({ name }) => name);
  assert.deepEqual(await mayDrop({}), []);
  const [processor, ...others] = await mayDrop({ DEPLOY_DESTROY: "database/views" });
  assert.match(processor!, /^processor-1_release/);
  assert.deepEqual(others, []);
});

Deno.test("record: every region and deployment has a state of its own", async () => {
  const backend = async (choices: Readonly<Record<string, string>>) => {
    const { terraform } = (await synthesize({ DEPLOY_SIZE: "dev", ...choices })).stacks.get("database")!;
    return (terraform as JsonObject)["backend"];
  };
  const path = "../../../clickstream.eu-central-1.database.tfstate";
  assert.deepEqual(await backend(REGION), { local: { path } });
  assert.notDeepEqual(await backend({ AWS_REGION: "eu-west-1" }), { local: { path } });
  const inBucket = { ...REGION, DEPLOY_STATE_BUCKET: "states", DEPLOY_STATE_REGION: "eu-west-3" };
  const { s3 } = await backend(inBucket) as { readonly s3: JsonObject };
  assert.deepEqual([s3["key"], s3["region"]], ["clickstream/clickstream.eu-central-1.database.tfstate", "eu-west-3"]);
});
