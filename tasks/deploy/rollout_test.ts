import assert from "node:assert/strict";
import { run } from "../../testing/servers/child.ts";
import { describe, isWithin, losses, planOfNew, readPlan } from "./plan.ts";
import { rollOut, tearDown } from "./rollout.ts";
import { Stack } from "./terraform.ts";

const change = (
  name: string,
  type: string,
  actions: readonly string[],
  more: Readonly<Record<string, unknown>> = {},
) => ({
  address: `${type}.${name}`,
  type,
  name,
  mode: "managed",
  change: { actions, before: { size: 1, tag: "a" }, after: { size: 2, tag: "a" }, ...more },
});

const planned = (...resource_changes: readonly unknown[]) =>
  readPlan("stream", JSON.stringify({ applyable: resource_changes.length > 0, resource_changes }));

Deno.test("plan: says what is lost, and why", () => {
  const plan = planned(
    change("kafka-3_data_1A2B3C4D", "aws_ebs_volume", ["delete"]),
    change("kafka-1_machine_1A2B3C4D", "aws_instance", ["delete", "create"], { replace_paths: [["user_data"]] }),
    change("kafka-2_data_1A2B3C4D", "aws_ebs_volume", ["create", "delete"], { replace_paths: [["zone"]] }),
    change("kafka-1_release_1A2B3C4D", "aws_ssm_parameter", ["update"], { after_unknown: { version: true } }),
    change("kafka-1_data_1A2B3C4D", "aws_ebs_volume", ["update"]),
    change("record", "aws_ssm_parameter", ["create"]),
    change("image", "aws_ssm_parameter", ["no-op"]),
    { ...change("account", "aws_caller_identity", ["read"]), mode: "data" },
  );
  assert.deepEqual(losses(plan), ["stream/kafka-3/data", "stream/kafka-2/data"]);
  assert.deepEqual(describe(plan), [
    "stream: 1 to create, 2 to change, 2 to replace (destroyed and created again), 1 to destroy",
    "  - stream/kafka-3/data (aws_ebs_volume); IT HOLDS DATA",
    "  ± stream/kafka-1/machine (aws_instance): user_data",
    "  ± stream/kafka-2/data (aws_ebs_volume): zone; IT HOLDS DATA",
    "  ~ stream/kafka-1/release (aws_ssm_parameter): size",
    "  ~ stream/kafka-1/data (aws_ebs_volume): size",
    "  + stream/record (aws_ssm_parameter)",
  ]);
  assert.deepEqual(describe(planned()), ["stream: nothing changes"]);
});

Deno.test("plan: what was shown covers the same and less, and nothing else", () => {
  const shown = planOfNew("stream", { aws_instance: { "kafka-1_machine_1A2B3C4D": {} }, aws_ebs_volume: { data: {} } });
  assert.deepEqual(describe(shown), ["stream: 2 to create"]);
  const created = planned(change("kafka-1_machine_1A2B3C4D", "aws_instance", ["create"]));
  assert.ok(isWithin(created, shown));
  assert.ok(!isWithin(shown, created));
  assert.ok(!isWithin(planned(change("kafka-1_machine_1A2B3C4D", "aws_instance", ["delete", "create"])), shown));
});

const terraform = await run("terraform", ["version"]).then(() => true, () => false);

/** Two stacks of Terraform's own resources: `top` takes an output of `base`, as CDKTF writes it. */
async function writeStacks(folder: string, input: string): Promise<Stack[]> {
  const stack = (name: string, dependencies: readonly string[]) => ({
    name,
    workingDirectory: `stacks/${name}`,
    dependencies,
  });
  const state = (name: string) => ({ path: `../../${name}.tfstate` });
  const base = {
    terraform: { backend: { local: state("base") } },
    resource: { terraform_data: { one: { input } } },
    output: { one: { value: "${terraform_data.one.output}" } },
  };
  const top = {
    terraform: { backend: { local: state("top") } },
    data: { terraform_remote_state: { base: { backend: "local", config: state("base") } } },
    resource: { terraform_data: { two: { input: "${data.terraform_remote_state.base.outputs.one}" } } },
  };
  for (const [name, json] of Object.entries({ base, top })) {
    await Deno.mkdir(`${folder}/stacks/${name}`, { recursive: true });
    await Deno.writeTextFile(`${folder}/stacks/${name}/cdk.tf.json`, JSON.stringify(json));
  }
  // The order of the list is not the order of the stacks.
  const manifest = { stacks: { top: stack("top", ["base"]), base: stack("base", []) } };
  await Deno.writeTextFile(`${folder}/manifest.json`, JSON.stringify(manifest));
  const stacks = await Stack.all(folder);
  for (const stack of stacks) await stack.init();
  return stacks;
}

Deno.test({
  name: "rollout: shows all plans first, asks, applies in order, and asks again for what was not shown",
  ignore: !terraform,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "clickstream-rollout-" });
    const asked: string[] = [];
    const said: string[] = [];
    const answering = (...answers: boolean[]) => ({
      say: (line: string) => void said.push(line),
      ask: (question: string) => asked.push(question) > 0 && answers.shift()!,
    });
    const inTop = async (stacks: readonly Stack[]) => {
      assert.deepEqual(stacks.map(({ name }) => name), ["base", "top"]);
      return (await stacks[1]!.resources()).length;
    };
    try {
      const first = await writeStacks(folder, "a");
      assert.equal(await rollOut(first, [], answering(false)), "declined");
      assert.equal(await inTop(first), 0);
      assert.deepEqual(said.splice(0), ["base: 1 to create", "top: 1 to create"]);
      assert.equal(await rollOut(first, [], answering(true)), "done");
      assert.equal(await rollOut(first, [], answering()), "nothing to do");
      assert.deepEqual(asked.splice(0), ["Apply this?", "Apply this?"]);
      said.splice(0);
      const changed = await writeStacks(folder, "b");
      assert.equal(await rollOut(changed, [], answering(true, false)), "declined");
      assert.deepEqual(said.splice(0), [
        "base: 1 to change",
        "  ~ base/one (terraform_data): input",
        "top: nothing changes",
        "top: 1 to change",
        "  ~ top/two (terraform_data): input",
      ]);
      assert.deepEqual(asked, ["Apply this?", "This was not shown before. Apply it?"]);
      assert.equal(await rollOut(changed, [], answering(true)), "done");
      assert.deepEqual(await changed[0]!.outputs(), { one: "b" });
      assert.equal(await tearDown(changed, answering(false), "sure?"), false);
      assert.equal(await inTop(changed), 1);
      assert.equal(await tearDown(changed, answering(true), "sure?"), true);
      assert.equal(await inTop(changed), 0);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
