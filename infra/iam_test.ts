import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { run } from "../testing/servers/child.ts";
import { STACKS, synthesize } from "./testing/synth.ts";
import { python } from "./testing/tools.ts";

/** Checks the policies in these files with a stand-in for IAM; returns its output. */
async function said(files: readonly string[]): Promise<string[]> {
  const script = fileURLToPath(new URL("testing/policies.py", import.meta.url));
  return (await run(await python(), [script, ...files])).trim().split("\n");
}

Deno.test("infra: IAM accepts every policy, and rejects an invalid one", async () => {
  const { folder } = await synthesize({ DEPLOY_SIZE: "production" });
  const broken = await Deno.makeTempFile({ suffix: ".json" });
  try {
    const policy = JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Alow", Action: "s3:GetObject", Resource: "x" }],
    });
    await Deno.writeTextFile(broken, JSON.stringify({ resource: { aws_iam_role_policy: { planted: { policy } } } }));
    const [refused, taken, ...more] = await said([...STACKS.map((stack) => `${folder}/${stack}/cdk.tf.json`), broken]);
    assert.match(refused!, /^aws_iam_role_policy\.planted: .*MalformedPolicyDocument/);
    assert.match(taken!, /^\d\d taken$/);
    assert.deepEqual(more, []);
  } finally {
    await Deno.remove(broken);
  }
});
