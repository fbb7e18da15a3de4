import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { DATABASE_CLASSES, MACHINES } from "./instances.ts";
import { SIZES } from "./sizes.ts";
import { type JsonObject, leaves, STACKS, synthesize, synthesizeAnew, type Synthesized } from "./testing/synth.ts";

const GOLDENS = new URL("./testdata/", import.meta.url);

/** `deno task goldens` (`GOLDENS=write`) writes the expected files again. */
const WRITE = Deno.env.get("GOLDENS") === "write";

/** All values of a deployment by path, one line each. */
function lines({ stacks }: Synthesized): string[] {
  return [...stacks].flatMap(([stack, json]) =>
    leaves(json, stack).map(([path, value]) => `${path} = ${JSON.stringify(value)}`)
  ).sort();
}

async function golden(name: string, text: string): Promise<void> {
  const file = new URL(name, GOLDENS);
  if (WRITE) await Deno.writeTextFile(file, text);
  const expected = await Deno.readTextFile(file);
  if (text === expected) return;
  const [now, before] = [new Set(text.split("\n")), new Set(expected.split("\n"))];
  const added = [...now].filter((line) => !before.has(line)).map((line) => `+ ${line}`);
  const gone = [...before].filter((line) => !now.has(line)).map((line) => `- ${line}`);
  assert.fail(`${name} is another; ./deno task goldens writes it anew\n${[...gone, ...added].join("\n")}`);
}

Deno.test("infra: the size small synthesizes exactly the expected stacks", async () => {
  const small = await synthesize({ DEPLOY_SIZE: "small" });
  for (const [stack, json] of small.stacks) await golden(`${stack}.json`, `${JSON.stringify(json, null, 2)}\n`);
});

for (
  const choices of [
    { DEPLOY_SIZE: "dev" },
    { DEPLOY_SIZE: "production" },
    { DEPLOY_SIZE: "small", DEPLOY_EGRESS: "nat" },
    { DEPLOY_SIZE: "small", VIEWS_FILE: "views" },
  ]
) {
  const name = Object.values(choices).join("-");
  Deno.test(`infra: ${name} differs from small exactly as expected`, async () => {
    const small = await synthesize({ DEPLOY_SIZE: "small" });
    const other = await synthesize(choices);
    const [before, now] = [new Set(lines(small)), new Set(lines(other))];
    const gone = [...before].filter((line) => !now.has(line)).map((line) => `- ${line}`);
    const added = [...now].filter((line) => !before.has(line)).map((line) => `+ ${line}`);
    await golden(`${name}.diff`, `${[...gone, ...added].join("\n")}\n`);
  });
}

Deno.test("infra: the same settings give the same bytes", async () => {
  const one = await synthesize({ DEPLOY_SIZE: "production" });
  const two = await synthesizeAnew({ DEPLOY_SIZE: "production" });
  for (const stack of STACKS) {
    assert.deepEqual(await bytes(one, stack), await bytes(two, stack), stack);
  }
});

Deno.test("infra: the command in cdktf.json writes every stack", async () => {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const { app } = JSON.parse(await Deno.readTextFile(`${root}cdktf.json`)) as { app: string };
  const folder = await Deno.makeTempDir({ prefix: "clickstream-app-" });
  try {
    const command = new Deno.Command("sh", {
      args: ["-c", app],
      cwd: root,
      env: { CDKTF_OUTDIR: folder, DEPLOY_UNBUILT: "true" },
    });
    const { code, stderr } = await command.output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const { stacks } = JSON.parse(await Deno.readTextFile(`${folder}/manifest.json`)) as { stacks: JsonObject };
    assert.deepEqual(Object.keys(stacks).sort(), STACKS.toSorted());
    for (const stack of STACKS) {
      assert.ok((await Deno.stat(`${folder}/stacks/${stack}/cdk.tf.json`)).size > 1000, stack);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

async function bytes({ folder }: Synthesized, stack: string): Promise<string> {
  return await Deno.readTextFile(`${folder}/${stack}/cdk.tf.json`);
}

/** Paths in a stack that it refers to itself: `aws_vpc.vpc`. */
const REFERENCE = /\$\{[^}]*?\b((?:data\.|ephemeral\.)?(?:aws_[a-z0-9_]+|terraform_remote_state))\.([A-Za-z0-9_-]+)/g;

for (const size of SIZES) {
  Deno.test(`infra: ${size} has no dangling references`, async () => {
    const deployment = await synthesize({ DEPLOY_SIZE: size });
    let seen = 0;
    for (const [stack, json] of deployment.stacks) {
      for (const [path, value] of leaves(json)) {
        if (typeof value !== "string") continue;
        for (const [, type, name] of value.matchAll(REFERENCE)) {
          const kind = /^(data|ephemeral)\./.exec(type!)?.[1];
          const among = json[kind ?? "resource"] as JsonObject;
          const named = (among[type!.replace(/^(data|ephemeral)\./, "")] ?? {}) as JsonObject;
          assert.ok(named[name!] !== undefined, `${stack}: ${path} refers to ${type}.${name}`);
          seen++;
        }
        for (const [, other, output] of value.matchAll(/cross-stack-reference-input-(\w+)\.outputs\.([\w-]+)/g)) {
          assert.ok((deployment.stacks.get(other!)?.["output"] as JsonObject)[output!], `${stack}: ${path}: ${output}`);
          assert.ok(
            STACKS.indexOf(other as "network") < STACKS.indexOf(stack as "network"),
            `${stack} before ${other}`,
          );
        }
      }
    }
    assert.ok(seen > 100);
  });

  Deno.test(`infra: ${size} meets the requirements that no tool checks`, async () => {
    const deployment = await synthesize({ DEPLOY_SIZE: size });
    const [subnets] = deployment.resources("aws_db_subnet_group");
    const zones = deployment.resources("aws_subnet").filter(({ name }) =>
      (subnets!.is["subnet_ids"] as string[]).some((id) => id.endsWith(`-output-aws_subnet${name}id}`))
    ).map(({ is }) => is["availability_zone"]);
    assert.ok(new Set(zones).size >= 2, `RDS needs two zones, and these are ${zones}`);
    const [database] = deployment.resources("aws_db_instance");
    assert.ok(!["admin", "postgres", "rdsadmin", "user"].includes(database!.is["username"] as string));
    for (const { is, name } of deployment.resources("aws_launch_template")) {
      assert.ok(atob(is["user_data"] as string).length <= 16_384, `${name}: EC2 takes 16 KiB of user data`);
    }
    for (const { is, name } of deployment.resources("aws_ssm_parameter")) {
      // Values known only after apply are as long as an ARN.
      const value = (is["value"] as string).replaceAll(/\$\{[^}]*\}/g, "x".repeat(110));
      assert.ok(value.length <= 4096, `${name} is ${value.length} bytes, of which SSM takes 4096`);
    }
    const names = deployment.resources("aws_iam_role").map(({ is }) => is["name"] as string);
    assert.equal(new Set(names).size, names.length);
    for (const name of names) assert.ok(name.length <= 64, name);
  });
}

Deno.test("infra: the longest deployment name fits everything that is named after it", async () => {
  const deployment = await synthesize({ DEPLOY_SIZE: "production", DEPLOY_NAME: "a".repeat(20) });
  for (const { type, is } of deployment.resources()) {
    const longest = {
      aws_iam_role: 64,
      aws_db_instance: 63,
      aws_lambda_function: 64,
      aws_sqs_queue: 80,
      aws_s3_bucket: 37,
    };
    const name = is["name"] ?? is["identifier"] ?? is["function_name"] ?? is["bucket_prefix"];
    const most = longest[type as keyof typeof longest];
    if (most !== undefined) assert.ok((name as string).length <= most, `${type} ${name}`);
  }
});

Deno.test("infra: all named machines are known", async () => {
  for (const size of SIZES) {
    for (const architecture of ["arm64", "x86_64"] as const) {
      const deployment = await synthesize({ DEPLOY_SIZE: size, DEPLOY_ARCHITECTURE: architecture });
      for (const { is } of deployment.resources("aws_instance")) {
        assert.equal(MACHINES[is["instance_type"] as string]?.architecture, architecture);
      }
      for (const { is } of deployment.resources("aws_db_instance")) {
        assert.ok(DATABASE_CLASSES[is["instance_class"] as string]);
      }
    }
  }
});
