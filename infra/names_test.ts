import assert from "node:assert/strict";
import { run } from "../testing/servers/child.ts";
import { DATABASE_CLASSES, MACHINES } from "./instances.ts";
import { type JsonObject, synthesize } from "./testing/synth.ts";
import { python } from "./testing/tools.ts";

/** Names that only AWS defines, as cfn-lint lists them. */
interface Known {
  readonly machines: readonly string[];
  readonly classes: readonly string[];
  readonly versions: readonly string[];
  readonly runtimes: Readonly<Record<string, { readonly deprecated: string }>>;
}

const FIND = "import importlib.util as u, os; print(os.path.dirname(u.find_spec('cfnlint').origin))";

const REGIONS = ["us-east-1", "eu-central-1", "ap-southeast-2"];

async function known(region: string): Promise<Known> {
  const data = `${(await run(await python(), ["-c", FIND])).trim()}/data`;
  const read = async <T>(path: string) => JSON.parse(await Deno.readTextFile(`${data}/${path}`)) as T;
  interface Rule {
    readonly if: { readonly properties: { readonly Engine: { readonly const?: string } } };
    readonly then: { readonly properties: Record<string, { readonly enum?: string[] }> };
  }
  const ofPostgres = ({ allOf }: { allOf: Rule[] }, name: string) =>
    allOf.find((rule) => rule.if.properties.Engine.const === "postgres")!.then.properties[name]!.enum!;
  const lists = "schemas/extensions";
  const [machines, classes, versions, runtimes] = await Promise.all([
    read<Record<string, { enum: string[] }>>(`${lists}/aws_ec2_instance/instancetype_enum.json`),
    read<Record<string, { allOf: Rule[] }>>(`${lists}/aws_rds_dbinstance/dbinstanceclass_enum.json`),
    read<{ allOf: Rule[] }>(`${lists}/aws_rds_dbinstance/engine_version.json`),
    read<Known["runtimes"]>("AdditionalSpecs/LmbdRuntimeLifecycle.json"),
  ]);
  return {
    machines: machines[region]!.enum,
    classes: ofPostgres(classes[region]!, "DBInstanceClass"),
    versions: ofPostgres(versions, "EngineVersion"),
    runtimes,
  };
}

for (const region of REGIONS) {
  Deno.test(`infra: machines, classes, engine and runtime exist in ${region}`, async () => {
    const { machines, classes, versions, runtimes } = await known(region);
    assert.deepEqual(Object.keys(MACHINES).filter((name) => !machines.includes(name)), []);
    assert.deepEqual(Object.keys(DATABASE_CLASSES).filter((name) => !classes.includes(name)), []);
    const deployment = await synthesize({ AWS_REGION: region });
    for (const { is } of deployment.resources("aws_db_instance")) {
      assert.ok(versions.includes(is["engine_version"] as string));
    }
    for (const { is } of deployment.resources("aws_lambda_function")) {
      const { deprecated } = runtimes[is["runtime"] as string] ?? assert.fail(`${is["runtime"]} is not known`);
      assert.ok(Date.parse(deprecated) > Date.now(), `${is["runtime"]} is not supported after ${deprecated}`);
    }
    // The lists must not accept everything.
    assert.deepEqual([machines.includes("t4g.tiny"), classes.includes("db.t4g.tiny"), versions.includes("99")], [
      false,
      false,
      false,
    ]);
  });
}

Deno.test("infra: what a template starts has the tags of its stack, root volumes too", async () => {
  for (const { is, stack } of (await synthesize({ DEPLOY_SIZE: "small" })).resources("aws_launch_template")) {
    const specifications = is["tag_specifications"] as unknown as { resource_type: string; tags: JsonObject }[];
    assert.deepEqual(specifications.map(({ resource_type }) => resource_type), ["instance", "volume"]);
    for (const { tags } of specifications) {
      assert.deepEqual({ ...tags, Name: "" }, {
        application: "clickstream",
        deployment: "clickstream",
        stack,
        Name: "",
      });
    }
  }
});
