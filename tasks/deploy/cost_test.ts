import assert from "node:assert/strict";
import { MACHINES } from "../../infra/instances.ts";
import { monthlyCost, total } from "./cost.ts";
import { deploySettings } from "../../infra/settings.ts";
import { SIZES } from "../../infra/sizes.ts";
import { synthesize } from "../../infra/testing/synth.ts";

const choose = (size: string) => deploySettings((name) => name === "DEPLOY_SIZE" ? size : undefined);

Deno.test("infra: the cost counts what is synthesized", async () => {
  for (const size of SIZES) {
    const deployment = await synthesize({ DEPLOY_SIZE: size });
    const items = monthlyCost(choose(size));
    const machines = deployment.resources("aws_instance").map(({ is }) => MACHINES[is["instance_type"] as string]!);
    const hosts = machines.reduce((sum, { dollarsPerHour }) => sum + 730 * dollarsPerHour + 3.3, 0);
    assert.ok(Math.abs(hosts - items[0]!.dollars) < 0.01, `${size}: hosts`);
    const roots = machines.length * 16;
    const disks = deployment.resources("aws_ebs_volume").reduce((sum, { is }) => sum + (is["size"] as number), roots);
    assert.equal(items[1]!.what, `${disks} GiB of disks`);
    const ways = deployment.resources("aws_vpc_endpoint")
      .reduce((sum, { is }) => sum + ((is["subnet_ids"] as string[] | undefined)?.length ?? 0), 0);
    assert.ok(Math.abs(items[3]!.dollars - ways * 7.3) < 0.01, `${size}: endpoints`);
    // RDS creates one more secret, for the database's administrator.
    const [secrets, alarms] = ["aws_secretsmanager_secret", "aws_cloudwatch_metric_alarm"].map((type) =>
      deployment.resources(type).length
    );
    assert.ok(Math.abs(items[4]!.dollars - (1.5 + 0.4 * (secrets! + 1) + 0.1 * alarms!)) < 0.01, `${size}: the rest`);
  }
});

Deno.test("infra: the README states these costs", async () => {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  for (const size of SIZES) {
    const [, said] = new RegExp(`^\\| \`${size}\` .*\\| +(\\d+) \\|$`, "m").exec(readme) ??
      assert.fail(`${size} has no cost`);
    assert.equal(Number(said), total(monthlyCost(choose(size))), size);
  }
});
