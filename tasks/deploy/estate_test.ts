/**
 * Asks a stand-in for AWS with its own command line, which checks every argument.
 */
import assert from "node:assert/strict";
import { deploySettings } from "../../infra/settings.ts";
import { type Cloud, REGION, startCloud } from "../../infra/testing/aws.ts";
import { commandLine } from "../../infra/testing/tools.ts";
import { Aws } from "./aws.ts";
import { AwsEstate, changesFor, type Host, hostsOf, newestImage } from "./estate.ts";
import { notTold, told } from "./told.ts";

const EMAIL = "on-call@example.com";

/** AWS's command line, which finds the stand-in. */
async function aws({ env }: Cloud): Promise<Aws> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-aws-cli-" });
  globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  // Not in this process's environment, where other tests would find it.
  const set = Object.entries(env).map(([name, value]) => `export ${name}='${value}'\n`).join("");
  await Deno.writeTextFile(`${folder}/aws`, `#!/bin/sh\n${set}exec ${(await commandLine()).join(" ")} "$@"\n`, {
    mode: 0o755,
  });
  Deno.env.set("PATH", `${folder}:${Deno.env.get("PATH")}`);
  return new Aws(REGION);
}

Deno.test("told: an address that has not confirmed is named, and so is one without a subscription", async () => {
  await using cloud = await startCloud();
  const cli = await aws(cloud);
  const topic = await cli.run(
    "sns",
    "create-topic",
    "--name",
    "clickstream-alarms",
    "--query",
    "TopicArn",
    "--output",
    "text",
  );
  assert.match((await notTold(cli, "clickstream", EMAIL))!, /its subscription of arn:aws:sns:\S+ was removed/);
  // The stand-in confirms at once.
  await cli.run("sns", "subscribe", "--topic-arn", topic, "--protocol", "email", "--notification-endpoint", EMAIL);
  assert.equal(await notTold(cli, "clickstream", EMAIL), null);

  const pending = new class extends Aws {
    override json<T>(): Promise<T> {
      return Promise.resolve({ Subscriptions: [{ Endpoint: EMAIL, SubscriptionArn: "PendingConfirmation" }] } as T);
    }
  }(REGION);
  const said: string[] = [];
  const options = { times: 3, say: (line: string) => said.push(line), wait: () => Promise.resolve() };
  assert.equal(await told(pending, "clickstream", EMAIL, options), false);
  assert.deepEqual(said, [`${EMAIL} gets no alarms before it confirms: AWS has sent it an e-mail with a link`]);
  assert.equal(await told(cli, "clickstream", EMAIL, options), true);
});

Deno.test("roll: hosts are found by their tags, and another machine is put under one", async () => {
  await using cloud = await startCloud();
  const cli = await aws(cloud);
  const image = await newestImage(cli, "arm64");
  assert.match(image, /^ami-/);
  const tags = (name: string, deployment: string) =>
    `ResourceType=instance,Tags=[{Key=application,Value=clickstream},{Key=deployment,Value=${deployment}},{Key=Name,Value=${name}}]`;
  for (
    const [name, deployment] of [["shop-kafka-1", "shop"], ["shop-processor-1", "shop"], ["other-kafka-1", "other"]]
  ) {
    await cli.run(
      ...["ec2", "run-instances", "--image-id", image, "--instance-type", "t4g.small"],
      ...["--tag-specifications", tags(name!, deployment!)],
    );
  }
  const hosts = await hostsOf(cli, "shop");
  assert.deepEqual(hosts.map(({ name }) => name).sort(), ["kafka-1", "processor-1"]);
  const settings = deploySettings((name) =>
    ({ DEPLOY_NAME: "shop", DEPLOY_BROKER_MACHINE: "t4g.medium" } as Record<string, string>)[name]
  );
  const changes = changesFor(hosts, settings, null);
  assert.deepEqual(changes, [{
    host: "kafka-1",
    from: { machine: "t4g.small", image },
    to: { machine: "t4g.medium", image },
  }]);
  await new AwsEstate(cli, hosts).put("kafka-1", changes[0]!.to);
  assert.deepEqual(changesFor(await hostsOf(cli, "shop"), settings, null), []);
});

Deno.test("roll: AWS's command line takes the commands that no stand-in knows", async () => {
  const run = async (...args: string[]) => {
    const [program, ...first] = await commandLine();
    const skeleton = ["--region", REGION, "--generate-cli-skeleton", "output"];
    return await new Deno.Command(program!, { args: [...first, ...args, ...skeleton] }).output();
  };
  const replace = ["ec2", "create-replace-root-volume-task", "--instance-id", "i-1", "--image-id", "ami-1"];
  assert.ok((await run(...replace, "--delete-replaced-root-volume")).success);
  assert.ok((await run("ec2", "describe-replace-root-volume-tasks", "--replace-root-volume-task-ids", "r-1")).success);
  assert.ok(!(await run(...replace, "--delete-old-volume")).success);
});

Deno.test("roll: a host does not change its architecture", () => {
  const hosts: Host[] = [{ name: "kafka-1", instance: "i-1", on: { machine: "t4g.small", image: "ami-1" } }];
  const settings = deploySettings((name) => ({ DEPLOY_ARCHITECTURE: "x86_64" } as Record<string, string>)[name]);
  assert.throws(() => changesFor(hosts, settings, null), /kafka-1 is arm64 and can't become x86_64/);
});
