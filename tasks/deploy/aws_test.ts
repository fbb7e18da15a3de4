/**
 * A whole deployment by Terraform and AWS's provider, against a stand-in for AWS: made, made again, changed, destroyed.
 * It takes minutes, and needs `terraform`, `aws` and a folder with the provider, `TERRAFORM_MIRROR`, as
 * `terraform providers mirror FOLDER` fills it.
 */
import assert from "node:assert/strict";
import { type BuiltFile, type FileName, FILES } from "../../infra/artifacts.ts";
import { builtFiles, unbuiltFiles } from "../../infra/built.ts";
import { HOST_KINDS } from "../../infra/hosts/settings.ts";
import { type Cloud, REGION, startCloud } from "../../infra/testing/aws.ts";
import { exists, run } from "../../testing/servers/child.ts";
import { makeArtifact } from "./artifacts.ts";
import { Aws } from "./aws.ts";
import { settingsToDeploy } from "./deploy.ts";
import { assertSameDeployment, openStacks, readRecord, synthesize } from "./deployment.ts";
import { settingsToDestroy } from "./destroy.ts";
import { rollOut, tearDown } from "./rollout.ts";

/** Oldest version of the provider that knows all that the stacks have; they ask for a newer one. */
const PROVIDER = ">= 5.90.0, < 7.0.0";

const folder = await Deno.makeTempDir({ prefix: "clickstream-aws-" });
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

/** Version of the provider that can be had here, or why none can. */
async function providerVersion(): Promise<{ version: string } | { why: string }> {
  const mirror = Deno.env.get("TERRAFORM_MIRROR");
  if (mirror === undefined) return { why: "needs TERRAFORM_MIRROR" };
  await Deno.writeTextFile(`${folder}/rc`, `provider_installation {\n  filesystem_mirror { path = "${mirror}" }\n}\n`);
  Deno.env.set("TF_CLI_CONFIG_FILE", `${folder}/rc`);
  await Deno.mkdir(`${folder}/probe`);
  const required_providers = { aws: { source: "aws", version: PROVIDER } };
  await Deno.writeTextFile(`${folder}/probe/main.tf.json`, JSON.stringify({ terraform: { required_providers } }));
  try {
    await run("aws", ["--version"]);
    await run("terraform", [`-chdir=${folder}/probe`, "init", "-input=false"]);
    const version = JSON.parse(await run("terraform", [`-chdir=${folder}/probe`, "version", "-json"])) as {
      provider_selections: Readonly<Record<string, string>>;
    };
    return { version: Object.values(version.provider_selections)[0]! };
  } catch (error) {
    return { why: error instanceof Error ? error.message.split("\n")[0]! : String(error) };
  }
}

const provider = await providerVersion();

/** What is built from these sources; other artifacts contain their own name. */
const BUILT: readonly string[] = [
  "clickstream",
  "generator",
  "rds-ca",
  "dashboards",
  ...HOST_KINDS.map((k) => `host-${k}`),
];

let builds = 0;

/** Builds all artifacts anew. */
async function files(): Promise<Record<FileName, BuiltFile>> {
  const place = `${folder}/build-${++builds}`;
  for (const name of FILES) {
    if (BUILT.includes(name)) await makeArtifact(name, "arm64", `${place}/${name}`);
  }
  for (const name of FILES) if (!BUILT.includes(name)) await Deno.writeTextFile(`${place}/${name}`, name);
  return await builtFiles("arm64", (name) => `${place}/${name}`);
}

/** Adapts the synthesized stacks to the stand-in. */
async function adapt(out: string): Promise<void> {
  for await (const { name } of Deno.readDir(`${out}/stacks`)) {
    const path = `${out}/stacks/${name}/cdk.tf.json`;
    const json = JSON.parse(await Deno.readTextFile(path));
    if ("version" in provider) json.terraform.required_providers.aws.version = provider.version;
    // The stand-in applies it without its condition, and then denies everything.
    delete json.resource.aws_s3_bucket_policy;
    const all = (type: string) => Object.values<Record<string, unknown>>(json.resource[type] ?? {});
    const ignore = (resource: Record<string, unknown>, ...names: string[]) => {
      const { ignore_changes: before = [], ...lifecycle } = (resource["lifecycle"] ?? {}) as {
        ignore_changes?: readonly string[];
      };
      resource["lifecycle"] = { ...lifecycle, ignore_changes: [...before, ...names] };
    };
    // The stand-in does not know or loses these, so that every plan would have them again.
    for (const instance of all("aws_instance")) {
      delete instance["monitoring"];
      delete instance["maintenance_options"];
      // Versions of the provider before 6 take the hash of what the template gave for a change, if there is another one.
      ignore(instance, "user_data");
    }
    for (const database of all("aws_db_instance")) {
      for (const name of ["enabled", "kms_key_id", "retention_period"]) delete database[`performance_insights_${name}`];
    }
    for (const group of all("aws_db_parameter_group")) delete group["parameter"];
    for (const template of all("aws_launch_template")) ignore(template, "tag_specifications");
    for (const rule of [...all("aws_vpc_security_group_ingress_rule"), ...all("aws_vpc_security_group_egress_rule")]) {
      if (rule["cidr_ipv4"] === undefined) delete rule["description"];
    }
    // It takes a zone for a public one, which has no network.
    for (const zone of all("aws_route53_zone")) ignore(zone, "vpc");
    for (const lambda of all("aws_lambda_function")) {
      delete lambda["dead_letter_config"];
      delete lambda["logging_config"];
      // Older versions of the provider do not know the newest runtime.
      lambda["runtime"] = "nodejs22.x";
    }
    await Deno.writeTextFile(path, JSON.stringify(json, null, 2));
  }
}

type Built = Readonly<Record<FileName, BuiltFile>>;
type Choices = Readonly<Record<string, string>>;

/** One deployment; `deploy` and `destroy` do what the tasks do, and answer every question with yes. */
class Deployment {
  readonly said: string[] = [];
  readonly aws = new Aws(REGION);
  readonly #out = `${folder}/cdktf.out`;
  readonly #env: Choices;

  constructor(cloud: Cloud) {
    for (const [name, value] of Object.entries(cloud.env)) Deno.env.set(name, value);
    this.#env = { ...cloud.env, DEPLOY_STATE_BUCKET: "states" };
  }

  async deploy(choices: Choices, built: Built): Promise<string> {
    const env = { ...this.#env, ...choices };
    const { settings, record } = await settingsToDeploy(this.aws, (name) => env[name]);
    synthesize(settings, built, this.#out);
    await adapt(this.#out);
    const stacks = await openStacks(this.#out);
    await assertSameDeployment(stacks, record, settings);
    this.said.length = 0;
    return await rollOut(stacks, settings.DEPLOY_DESTROY, { say: (line) => this.said.push(line), ask: () => true });
  }

  async destroy(): Promise<boolean> {
    const record = await readRecord(this.aws, "clickstream");
    const settings = settingsToDestroy(record, (name) => this.#env[name]);
    synthesize(settings, await unbuiltFiles(), this.#out);
    await adapt(this.#out);
    return await tearDown(await openStacks(this.#out), { say: () => {}, ask: () => true }, "");
  }

  /** Names of the data volumes. */
  async volumes(): Promise<string[]> {
    const query = ["--query", "Volumes[].Tags[?Key=='Name'].Value[]", "--filters", "Name=tag-key,Values=Name"];
    return (await this.aws.json<string[]>("ec2", "describe-volumes", ...query)).filter((name) => /data$/.test(name));
  }
}

Deno.test({
  name: `deploy: Terraform makes a deployment, leaves it alone, changes what is named, and destroys it${
    "why" in provider ? ` (ignored: ${provider.why})` : ""
  }`,
  ignore: "why" in provider,
  fn: async (t) => {
    await using cloud = await startCloud();
    await cloud.upload("states", "nothing", new Uint8Array());
    const deployment = new Deployment(cloud);
    const FIRST = { DEPLOY_SIZE: "dev", DEPLOY_ZONES: "a,b,c", DEPLOY_BROKERS: "3" };

    /** Later steps need what earlier ones made. */
    const step = async (name: string, what: () => Promise<void>) => {
      if (!await t.step(name, what)) throw new Error(`${name}: failed; the rest was not tried`);
    };
    let built = await files();
    await step("a first deployment", async () => {
      assert.equal(await deployment.deploy(FIRST, built), "done");
      assert.match(deployment.said.join("\n"), /^network: \d+ to create\n/);
      assert.deepEqual((await deployment.volumes()).length, 4);
    });
    await step("the same sources, built again, with the environment forgotten: nothing changes", async () => {
      built = await files();
      assert.equal(await deployment.deploy({}, built), "nothing to do", deployment.said.join("\n"));
    });
    await step("a new binary changes what the processor runs, and no machine", async () => {
      const path = `${folder}/new`;
      await Deno.writeTextFile(path, "a new version");
      built = { ...built, clickstream: { path, sha256: "5".repeat(64) } };
      assert.equal(await deployment.deploy({}, built), "done");
      assert.match(deployment.said.join("\n"), /~ stream\/processor-1\/release \(aws_ssm_parameter\): /);
      assert.doesNotMatch(deployment.said.join("\n"), /[±-] \S+ \(aws_(instance|launch_template|db_instance)\)/);
    });
    await step("another size is refused, unless it is named", async () => {
      await assert.rejects(
        deployment.deploy({ DEPLOY_SIZE: "production" }, built),
        /DEPLOY_SIZE is dev, and production here/,
      );
    });
    await step("fewer brokers are refused even if named, since their data would be lost", async () => {
      const fewer = { DEPLOY_BROKERS: "1", DEPLOY_CHANGE: "DEPLOY_BROKERS" };
      await assert.rejects(
        deployment.deploy(fewer, built),
        /would be lost: stream\/kafka-[23]\/data, stream\/kafka-[23]\/data/,
      );
    });
    await step("other zones are refused, since volumes can't follow", async () => {
      const moved = { DEPLOY_ZONES: "b,a,c", DEPLOY_CHANGE: "DEPLOY_ZONES" };
      await assert.rejects(
        deployment.deploy(moved, built),
        /would be lost: stream\/kafka-1\/data, stream\/kafka-2\/data/,
      );
    });
    await step("a state that is elsewhere is noticed", async () => {
      await cloud.upload("others", "nothing", new Uint8Array());
      const elsewhere = { DEPLOY_STATE_BUCKET: "others", DEPLOY_CHANGE: "DEPLOY_STATE_BUCKET" };
      await assert.rejects(
        deployment.deploy(elsewhere, built),
        /is deployed in eu-central-1, but Terraform's state is not in/,
      );
    });
    await step("everything is destroyed, in spite of prevent_destroy", async () => {
      assert.equal(await deployment.destroy(), true);
      assert.deepEqual(await deployment.volumes(), []);
      assert.equal(await readRecord(deployment.aws, "clickstream"), null);
    });
    assert.ok(!await exists(`${folder}/clickstream.${REGION}.network.tfstate`), "the state is in the bucket");
  },
});
