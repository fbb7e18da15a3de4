import assert from "node:assert/strict";
import { parse } from "yaml";
import { ROOT } from "./source.ts";

const TEXT = await Deno.readTextFile(`${ROOT}.github/workflows/release.yml`);

interface Job {
  readonly permissions: Readonly<Record<string, string>>;
  readonly needs?: string;
  readonly steps: readonly { readonly uses?: string; readonly run?: string }[];
}

const { permissions, jobs } = parse(TEXT) as {
  readonly permissions: object;
  readonly jobs: Readonly<Record<string, Job>>;
};

Deno.test("the workflow names each action by its commit, and gives each job no more rights than it needs", () => {
  const uses = TEXT.match(/\buses: .*$/gm)!;
  assert.ok(uses.length > 5);
  for (const line of uses) assert.match(line, /^uses: actions\/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  assert.deepEqual(permissions, {});
  const writes = Object.entries(jobs).map(([name, job]) => [
    name,
    Object.entries(job.permissions).filter(([, right]) => right === "write").map(([of]) => of),
  ]);
  assert.deepEqual(writes, [
    ["build", []],
    ["again", []],
    ["publish", ["contents", "packages", "id-token", "attestations"]],
  ]);
  // No text of a tag or of a repository becomes part of a script.
  for (const { steps } of Object.values(jobs)) for (const { run } of steps) assert.doesNotMatch(run ?? "", /\$\{\{/);
});

Deno.test("the workflow builds by `deno task release` alone, twice, and publishes what is equal", () => {
  for (const name of ["build", "again"]) {
    const built = jobs[name]!.steps.flatMap(({ run }) => run?.match(/\.\/deno task \S+/g) ?? []);
    assert.deepEqual(built, ["./deno task release"], name);
  }
  assert.deepEqual([jobs["again"]!.needs, jobs["publish"]!.needs], ["build", "again"]);
  assert.ok(jobs["again"]!.steps.some(({ run }) => run?.startsWith("diff --recursive")));
  assert.ok(jobs["publish"]!.steps.every(({ run }) => !/deno/.test(run ?? "")));
});
