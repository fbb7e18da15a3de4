import assert from "node:assert/strict";
import { run } from "../testing/servers/child.ts";
import { type Json, type JsonObject, STACKS, synthesize, type Synthesized } from "./testing/synth.ts";

/**
 * Applies the stacks with Terraform, one after the other, without AWS. Each resource becomes a `terraform_data`
 * resource with the same arguments and with stand-ins for AWS's attributes. So Terraform resolves every reference
 * within and between stacks, evaluates every expression, and orders all dependencies.
 */
const OURS = "terraform_data";

const REFERENCE = /\b(data\.|ephemeral\.)?(aws_[a-z0-9_]+)\.([A-Za-z0-9_-]+)((?:\.[a-z0-9_]+|\[\d+\])*)/g;

const terraform = await run("terraform", ["version"]).then(() => true, () => false);

interface Stand {
  readonly folder: string;
  readonly stack: string;
}

const plain = (name: string) => name.replaceAll(/[^A-Za-z0-9_-]/g, "_");

const nameOf = (kind: string | undefined, type: string, name: string) => plain(`${kind ?? ""}${type}--${name}`);

/** Returns the stack without AWS. */
function withoutAws(json: JsonObject): JsonObject {
  const asked = new Map<string, Set<string>>();
  const text = JSON.stringify(json, (name, value: Json) => {
    if (name === "depends_on") return (value as string[]).map((one) => renamed(one, asked, true));
    return typeof value === "string" && value.includes("${") ? renamed(value, asked, false) : value;
  });
  const { resource, data, ephemeral, provider: _, ...rest } = JSON.parse(text) as Record<string, JsonObject>;
  const all = [["", resource], ["data.", data], ["ephemeral.", ephemeral]] as const;
  const standing = all.flatMap(([kind, types]) =>
    Object.entries(types ?? {}).filter(([type]) => type.startsWith("aws_")).flatMap(([type, named]) =>
      Object.entries(named as JsonObject).map(([name, is]) => {
        const id = nameOf(kind, type, name);
        return [id, holding(id, is as Record<string, Json>, asked.get(id) ?? new Set())] as const;
      })
    )
  );
  const states = (data?.["terraform_remote_state"] ?? {}) as JsonObject;
  return {
    ...rest,
    terraform: { backend: (rest["terraform"] as JsonObject)["backend"]! },
    resource: { [OURS]: Object.fromEntries(standing) },
    ...(Object.keys(states).length > 0 ? { data: { terraform_remote_state: states } } : {}),
  };
}

/** A resource with the arguments of another, and stand-ins for its attributes. */
function holding(
  id: string,
  { depends_on, lifecycle: _, ...is }: Record<string, Json>,
  asked: Set<string>,
): JsonObject {
  const told = [...asked].filter((path) => is[path] === undefined).map((path) => [path, standIn(id, path)]);
  return {
    // Ephemeral resources become ordinary ones here, so their values may be stored.
    input: { ...Object.fromEntries(told), ...is },
    ...(depends_on === undefined ? {} : { depends_on }),
  };
}

function standIn(id: string, attribute: string): Json {
  // Nothing is deployed yet.
  if (attribute === "values") return [];
  if (attribute === "master_user_secret") return [{ secret_arn: `arn:${id}` }];
  return attribute === "latest_version" || attribute === "port" ? 1 : `${id}.${attribute}`;
}

function renamed(text: string, asked: Map<string, Set<string>>, whole: boolean): string {
  return text.replaceAll(REFERENCE, (_, kind: string | undefined, type: string, name: string, path: string) => {
    const id = nameOf(kind, type, name);
    const [, attribute] = /^\.([a-z0-9_]+)/.exec(path) ?? [];
    if (attribute !== undefined) asked.set(id, (asked.get(id) ?? new Set()).add(attribute));
    return whole ? `${OURS}.${id}` : `${OURS}.${id}.output${path}`;
  });
}

async function inTerraform({ folder, stack }: Stand, ...args: readonly string[]): Promise<string> {
  const env = { CHECKPOINT_DISABLE: "1", TF_IN_AUTOMATION: "1", TF_CLI_CONFIG_FILE: "/dev/null" };
  return await run("terraform", [`-chdir=${folder}/a/b/${stack}`, ...args], env);
}

async function stands({ stacks }: Synthesized, change = (json: JsonObject) => json): Promise<Stand[]> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-terraform-" });
  return await Promise.all(STACKS.map(async (stack) => {
    await Deno.mkdir(`${folder}/a/b/${stack}`, { recursive: true });
    const json = change(withoutAws(stacks.get(stack)!));
    await Deno.writeTextFile(`${folder}/a/b/${stack}/cdk.tf.json`, JSON.stringify(json, null, 2));
    return { folder, stack };
  }));
}

const name = (what: string) => `infra: ${what}${terraform ? "" : " (ignored: there is no terraform)"}`;

Deno.test({
  name: name("Terraform applies the stacks in order, then plans no change, and destroys them"),
  ignore: !terraform,
  fn: async () => {
    // The size with every resource.
    const all = await stands(await synthesize({ DEPLOY_SIZE: "production" }));
    try {
      for (const stand of all) {
        await inTerraform(stand, "init", "-input=false");
        await inTerraform(stand, "apply", "-input=false", "-auto-approve");
      }
      for (const stand of all) await inTerraform(stand, "plan", "-input=false", "-detailed-exitcode");
      const state = await Deno.readTextFile(`${all[0]!.folder}/clickstream.us-east-1.stream.tfstate`);
      assert.match(state, /kafka-1\.clickstream\.internal:9093/);
      for (const stand of all.toReversed()) await inTerraform(stand, "destroy", "-input=false", "-auto-approve");
      for (const { folder, stack } of all) {
        const { resources } = JSON.parse(await Deno.readTextFile(`${folder}/clickstream.us-east-1.${stack}.tfstate`));
        assert.deepEqual(resources, [], stack);
      }
    } finally {
      await Deno.remove(all[0]!.folder, { recursive: true });
    }
  },
});

Deno.test({
  name: name("Terraform rejects a dangling reference and a cycle"),
  ignore: !terraform,
  fn: async () => {
    const wrong = (value: string) => ({ output: _, ...json }: JsonObject): JsonObject => ({
      ...json,
      resource: { [OURS]: { one: { input: value }, two: { input: "${terraform_data.one.output}" } } },
    });
    for (
      const [value, says] of [["${terraform_data.three.output}", /undeclared/], [
        "${terraform_data.two.output}",
        /Cycle/,
      ]] as const
    ) {
      const [stand] = await stands(await synthesize({ DEPLOY_SIZE: "dev" }), wrong(value));
      await inTerraform(stand!, "init", "-input=false");
      await assert.rejects(inTerraform(stand!, "plan", "-input=false"), says);
      await Deno.remove(stand!.folder, { recursive: true });
    }
  },
});
