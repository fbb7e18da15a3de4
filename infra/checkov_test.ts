import assert from "node:assert/strict";
import { SIZES } from "./sizes.ts";
import { STACKS, synthesize } from "./testing/synth.ts";
import { python } from "./testing/tools.ts";

const SKIPS = new URL("../.checkov.yaml", import.meta.url);

/** Skipped checks and their reasons. */
async function skips(): Promise<ReadonlyMap<string, string>> {
  const lines = (await Deno.readTextFile(SKIPS)).split("\n").filter((line) => /^\s+- /.test(line));
  return new Map(lines.map((line) => {
    const [, id, reason] = /^ {2}- (CKV2?_AWS_\d+) # (.{20,})$/.exec(line) ?? assert.fail(`${line}: it has no reason`);
    return [id!, reason!];
  }));
}

interface Check {
  readonly check_id: string;
  readonly check_name: string;
  readonly resource: string;
  readonly file_abs_path: string;
}

interface Report {
  readonly results: { readonly failed_checks: readonly Check[] };
  readonly summary: { readonly passed: number; readonly parsing_errors: number };
}

/** Runs checkov on a folder and its subfolders, without skipping any check. */
async function checkov(folder: string): Promise<Report> {
  const args = ["--framework", "terraform_json", "--skip-download", "--quiet", "--compact", "--output", "json"];
  const { stdout, stderr } = await new Deno.Command(await python(), {
    // Outside the repository, because checkov would read its skips.
    cwd: "/",
    args: ["-m", "checkov.main", ...args, "--directory", folder],
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert.ok(text.startsWith("{"), `checkov says: ${text}${new TextDecoder().decode(stderr)}`);
  return JSON.parse(text) as Report;
}

/** Synthesizes all sizes into folders, and a stack with two faults beside them. */
async function everything(): Promise<string> {
  const all = await Deno.makeTempDir({ prefix: "clickstream-checkov-" });
  for (const size of SIZES) {
    const { folder } = await synthesize({ DEPLOY_SIZE: size });
    for (const stack of STACKS) {
      await Deno.mkdir(`${all}/${size}/${stack}`, { recursive: true });
      const json = JSON.parse(await Deno.readTextFile(`${folder}/${stack}/cdk.tf.json`));
      // checkov takes a text there for a fault of the file.
      delete json.terraform.required_version;
      await Deno.writeTextFile(`${all}/${size}/${stack}/cdk.tf.json`, JSON.stringify(json, null, 2));
    }
  }
  const text = (await Deno.readTextFile(`${all}/dev/database/cdk.tf.json`))
    .replace('"storage_encrypted": true', '"storage_encrypted": false')
    .replace('"publicly_accessible": false', '"publicly_accessible": true');
  await Deno.mkdir(`${all}/broken`);
  await Deno.writeTextFile(`${all}/broken/cdk.tf.json`, text);
  return all;
}

Deno.test("infra: checkov finds nothing but skipped checks with a reason, and finds a planted fault", async () => {
  const reasons = await skips();
  const unused = new Set(reasons.keys());
  const folder = await everything();
  try {
    const { results, summary } = await checkov(folder);
    assert.equal(summary.parsing_errors, 0);
    assert.ok(summary.passed > 250 * SIZES.length, `only ${summary.passed} checks passed`);
    const faults = results.failed_checks.filter(({ file_abs_path: path }) => path.startsWith(`${folder}/broken/`));
    const ids = faults.map(({ check_id }) => check_id);
    assert.ok(ids.includes("CKV_AWS_16") && ids.includes("CKV_AWS_17"), ids.join(" "));
    const found = results.failed_checks.filter((check) => !faults.includes(check)).flatMap((check) => {
      const { check_id: id, check_name: name, resource, file_abs_path: path } = check;
      const size = SIZES.find((size) => path.startsWith(`${folder}/${size}/`));
      unused.delete(id);
      const reason = reasons.get(id);
      const skipped = reason !== undefined && !(size === "production" && reason.includes("which production makes"));
      return skipped ? [] : [`${size}: ${id} ${name}: ${resource}`];
    });
    assert.deepEqual(found, []);
    assert.deepEqual([...unused], [], "these need not be left out any more");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
