import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { EMAIL, type Json, type JsonObject, leaves, STACKS } from "./testing/synth.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What the import map of the fork replaces in that of deno.json. */
const REPLACED = ["@cdktf/provider-aws/", "cdktf", "constructs"];

/** Paths that only say what wrote a stack. */
const ABOUT = /^(\/\/|terraform\.required_providers)/;

/** Everything that Terraform reads of a deployment, by path. */
async function synthesizeBy(app: string): Promise<Map<string, Json>> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-cdktn-" });
  try {
    const env = {
      ...{ CDKTF_OUTDIR: folder, DEPLOY_UNBUILT: "true", DEPLOY_SIZE: "production", DEPLOY_EGRESS: "nat" },
      ...EMAIL,
    };
    const { code, stderr } = await new Deno.Command("sh", { args: ["-c", app], cwd: ROOT, env }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const all = new Map<string, Json>();
    for (const stack of STACKS) {
      const json = JSON.parse(await Deno.readTextFile(`${folder}/stacks/${stack}/cdk.tf.json`)) as JsonObject;
      for (const [path, value] of leaves(json)) if (!ABOUT.test(path)) all.set(`${stack} ${path}`, value);
    }
    return all;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("infra: the fork of CDKTF synthesizes the same stacks, with another import map alone", async () => {
  const page = await Deno.readTextFile(`${ROOT}docs/aws.md`);
  const [, line] = /^"app": "(.*--import-map.*)"$/m.exec(page) ?? assert.fail("docs/aws.md does not say how to switch");
  const { app } = JSON.parse(await Deno.readTextFile(`${ROOT}cdktf.json`)) as { app: string };
  const [ours, forks] = [await synthesizeBy(app), await synthesizeBy(line!)];
  assert.ok(ours.size > 1000);
  assert.deepEqual(forks, ours);
});

Deno.test("infra: the fork's import map has the packages of deno.json, but for CDKTF's own", async () => {
  const importsOf = async (path: string) =>
    (JSON.parse(await Deno.readTextFile(`${ROOT}${path}`)) as { imports: Record<string, string> }).imports;
  const [ours, forks] = [await importsOf("deno.json"), await importsOf("infra/cdktn.json")];
  for (const [name, version] of Object.entries(forks)) {
    if (REPLACED.includes(name)) assert.notEqual(version, ours[name], name);
    else assert.equal(version, ours[name], name);
  }
});
