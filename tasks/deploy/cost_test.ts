import assert from "node:assert/strict";
import { deploySettings } from "../../infra/settings.ts";
import { SIZES } from "../../infra/sizes.ts";
import { EMAIL } from "../../infra/testing/synth.ts";
import { costOf, type Item, monthlyCost, total } from "./cost.ts";

const choose = (choices: Readonly<Record<string, string>>) =>
  deploySettings((name) => ({ ...EMAIL, ...choices } as Readonly<Record<string, string>>)[name]);

const costs = new Map<string, Promise<Item[]>>();

/** The cost of choices, added up once. */
function cost(choices: Readonly<Record<string, string>>): Promise<Item[]> {
  const key = JSON.stringify(choices);
  if (!costs.has(key)) costs.set(key, costOf(choose(choices)));
  return costs.get(key)!;
}

Deno.test("cost: every resource of every size has a price or is known to be free", async () => {
  const dollars = async (choices: Readonly<Record<string, string>>, what: RegExp) =>
    (await cost(choices)).filter((item) => what.test(item.what)).map((item) => Number(item.dollars.toFixed(2)));
  // One c7g.large, one t4g.medium and one t4g.small; volumes of 100 and 20 GiB, and three of 16 GiB.
  assert.deepEqual(
    await dollars({ DEPLOY_SIZE: "small" }, /^3 hosts/),
    [730 * (0.0725 + 0.0336 + 0.0168) + 12.6]
      .map((sum) => Number(sum.toFixed(2))),
  );
  assert.deepEqual(await dollars({ DEPLOY_SIZE: "small" }, /^disks/), [13.44]);
  // Five endpoints in two zones, or one NAT with an address.
  assert.deepEqual(await dollars({ DEPLOY_SIZE: "small" }, /^ways/), [73]);
  assert.deepEqual(await dollars({ DEPLOY_SIZE: "small", DEPLOY_EGRESS: "nat" }, /^ways/), [36.5]);
  // 0.7 GiB of four writers: taken in, sent by endpoints or a NAT, and kept for a month of 30 days.
  for (const [egress, way] of [["endpoints", 0.01], ["nat", 0.045]] as const) {
    assert.deepEqual(
      await dollars({ DEPLOY_SIZE: "small", DEPLOY_EGRESS: egress }, /^logs/),
      [Number((4 * 0.7 * (0.5 + way + 30 * 24 / 730 * 0.03)).toFixed(2))],
    );
  }
  // A broker with 20 events/s of 14 days, and 20 GiB of Prometheus. Without a policy there are none.
  assert.deepEqual(
    await dollars({ DEPLOY_SIZE: "small" }, /^daily snapshots/),
    [Number(((20 * 300 * 86400 * 14 / 2 ** 30 + 20) * 0.05).toFixed(2))],
  );
  assert.deepEqual(await dollars({ DEPLOY_SIZE: "dev" }, /^daily snapshots/), []);
  for (const size of SIZES) {
    const all = await cost({ DEPLOY_SIZE: size });
    assert.ok(all.every((item) => item.dollars > 0), size);
    assert.deepEqual(all.filter(({ what }) => /flow logs|between zones/.test(what)).length, 2);
  }
});

Deno.test("cost: a resource whose price nobody knows is an error", () => {
  const resource = { type: "aws_opensearch_domain", is: {} };
  assert.throws(() => monthlyCost([resource], choose({})), /what does it cost: aws_opensearch_domain\?/);
});

Deno.test("cost: the README states these costs", async () => {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  for (const size of SIZES) {
    const [, said] = new RegExp(`^\\| \`${size}\` .*\\| +(\\d+) \\|$`, "m").exec(readme) ??
      assert.fail(`${size} has no cost`);
    assert.equal(Number(said), total(await cost({ DEPLOY_SIZE: size })), size);
  }
});

Deno.test("cost: no other document states a cost, which could differ", async () => {
  const root = new URL("../../", import.meta.url);
  const documents = ["CHANGELOG.md", "CONTRIBUTING.md"];
  for await (const { name } of Deno.readDir(new URL("docs/", root))) {
    if (name.endsWith(".md")) documents.push(`docs/${name}`);
  }
  for (const path of documents) {
    assert.doesNotMatch(await Deno.readTextFile(new URL(path, root)), /\$ ?\d[.,\d]* |\bdollars?\b|\bUSD\b/, path);
  }
});
