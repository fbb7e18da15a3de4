import assert from "node:assert/strict";
import { DATABASE_CLASSES, MACHINES } from "./instances.ts";
import { SIZES } from "./sizes.ts";
import { type JsonObject, synthesize } from "./testing/synth.ts";
import { python } from "./testing/tools.ts";

/** Names that only AWS knows, as a template of CloudFormation: cfn-lint has lists of them. */
type Template = Readonly<Record<string, { readonly Type: string; readonly Properties: JsonObject }>>;

/** What cfn-lint says of a template in a region. */
async function lint(resources: Template, region: string): Promise<string[]> {
  const file = await Deno.makeTempFile({ suffix: ".json" });
  try {
    await Deno.writeTextFile(file, JSON.stringify({ AWSTemplateFormatVersion: "2010-09-09", Resources: resources }));
    const program = await python();
    // Not as a module, which it isn't, nor by its own first line, which says where it was installed first.
    const args = [
      program.replace(/python$/, "cfn-lint"),
      "--regions",
      region,
      "--format",
      "json",
      "--ignore-checks",
      "W",
      "I",
      "--",
      file,
    ];
    const { stdout, stderr } = await new Deno.Command(program, { args }).output();
    const text = new TextDecoder().decode(stdout).trim();
    const found = JSON.parse(text === "" ? assert.fail(new TextDecoder().decode(stderr)) : text) as {
      Message: string;
    }[];
    return found.map(({ Message }) => Message);
  } finally {
    await Deno.remove(file);
  }
}

const letters = (name: string) => name.replaceAll(/[^a-z0-9]/gi, "");

function machine(type: string): [string, Template[string]] {
  return [`M${letters(type)}`, {
    Type: "AWS::EC2::Instance",
    Properties: { InstanceType: type, ImageId: "ami-12345678" },
  }];
}

function database(type: string, { engine, engine_version: version }: JsonObject): [string, Template[string]] {
  const storage = {
    AllocatedStorage: "20",
    StorageType: "gp3",
    StorageEncrypted: true,
    ManageMasterUserPassword: true,
  };
  const Properties = {
    ...storage,
    DBInstanceClass: type,
    Engine: engine!,
    EngineVersion: version!,
    MasterUsername: "x",
  };
  return [`D${letters(type)}`, { Type: "AWS::RDS::DBInstance", Properties }];
}

function lambda(runtime: string): [string, Template[string]] {
  const Properties = {
    Runtime: runtime,
    Handler: "a.b",
    Role: "arn:aws:iam::123456789012:role/r",
    Code: { S3Bucket: "bbb", S3Key: "k" },
  };
  return ["L", { Type: "AWS::Lambda::Function", Properties }];
}

async function template(change: { machine?: string; class?: string; runtime?: string } = {}): Promise<Template> {
  const deployment = await synthesize({ DEPLOY_SIZE: SIZES[0] });
  const postgres = deployment.resources("aws_db_instance")[0]!.is;
  const shop = deployment.resources("aws_lambda_function")[0]!.is;
  return Object.fromEntries([
    ...(change.machine === undefined ? Object.keys(MACHINES) : [change.machine]).map(machine),
    ...(change.class === undefined ? Object.keys(DATABASE_CLASSES) : [change.class]).map((one) =>
      database(one, postgres)
    ),
    lambda(change.runtime ?? shop["runtime"] as string),
  ]);
}

for (const region of ["us-east-1", "eu-central-1"]) {
  Deno.test(`infra: machines, classes, engine and runtime are known in ${region}`, async () => {
    assert.deepEqual(await lint(await template(), region), []);
  });
}

Deno.test("infra: a name that AWS doesn't know would be seen", async () => {
  const found = await lint(
    await template({ machine: "t4g.tiny", class: "db.t4g.tiny", runtime: "nodejs99.x" }),
    "us-east-1",
  );
  for (const name of ["t4g.tiny", "db.t4g.tiny", "nodejs99.x"]) {
    assert.ok(found.some((message) => message.includes(`'${name}'`)), `${name}: ${found.join("; ")}`);
  }
});
