/**
 * What `deno task deploy` does on the machine of whoever runs it works without Linux: no other programs than those that
 * the preflight asks for, no GNU options, no /proc.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { FILES } from "../../infra/artifacts.ts";
import { HOST_KINDS } from "../../infra/hosts/settings.ts";
import { runtimePath } from "../denort.ts";
import { importsOf, readSources, withoutComments } from "../imports.ts";

const URL_OF_ROOT = new URL("../../", import.meta.url).href;
const ROOT = fileURLToPath(URL_OF_ROOT);

/** Tasks that are run on a laptop, and those that they start. */
const TASKS = [
  "deploy/deploy",
  "deploy/destroy",
  "deploy/roll_hosts",
  "deploy/artifacts",
  "lambda",
  "ok",
  "monitoring",
  "dashboards",
];

/** Programs that may be started, as they stand in the source; `program` is that of `run` in artifacts.ts. */
const STARTED = ["Deno.execPath()", '"aws"', '"terraform"', '"sh"', 'program === "deno" ? Deno.execPath() : program'];

/** Where Linux is asked, with the reason why that does no harm elsewhere. */
const EXCUSED: Readonly<Record<string, RegExp>> = {
  // No file, no limit.
  "processor/config/machine.ts": /"\/(proc\/self\/cgroup|sys\/fs\/cgroup)"/g,
  // Only where Deno's download site can't be reached.
  "tasks/denort.ts": /"python3"/g,
};

/** Says what in a file works on Linux only. */
function linuxOnly(path: string, text: string): string[] {
  const code = withoutComments(text).replaceAll(EXCUSED[path] ?? /$^/g, '"excused"');
  const programs = [...code.matchAll(/\bDeno\.Command\(\s*((?:[^,()]|\(\))+)/g)].map(([, program]) => program!.trim());
  const runs = path === "tasks/deploy/artifacts.ts"
    ? [...code.matchAll(/\brun\("(\w+)"/g)].map(([, program]) => program!)
    : [];
  const asked = code.match(/\/proc\b|\/sys\/|\bsetpriv\b|\bnode:child_process\b|\bapt-get (?!install maven)/g) ?? [];
  return [
    ...programs.filter((program) => ![...STARTED, '"excused"'].includes(program)),
    ...runs.filter((program) => !["deno", "mvn"].includes(program)),
    ...asked,
  ].map((what) => `${path}: ${what}`);
}

Deno.test("deploy: nothing that it runs on a laptop works on Linux only", async () => {
  const sources = await readSources();
  const reached = new Set<string>();
  const visit = (path: string) => {
    const text = sources.get(path);
    if (text === undefined || reached.has(path)) return;
    reached.add(path);
    importsOf(path, text).forEach(visit);
  };
  for (const task of TASKS) visit(`tasks/${task}.ts`);
  assert.ok(
    reached.has("tasks/deploy/preflight.ts") && reached.has("infra/hosts/tar.ts") && reached.has("tasks/build.ts"),
  );
  assert.deepEqual([...reached].flatMap((path) => linuxOnly(path, sources.get(path)!)), []);
});

Deno.test("deploy: what works on Linux only is found", () => {
  assert.deepEqual(linuxOnly("a.ts", 'new Deno.Command("tar", { args });'), ['a.ts: "tar"']);
  assert.deepEqual(linuxOnly("a.ts", "const limit = await Deno.readTextFile(`/proc/self/limits`);"), ["a.ts: /proc"]);
  assert.deepEqual(linuxOnly("tasks/deploy/artifacts.ts", 'await run("gzip", path);'), [
    "tasks/deploy/artifacts.ts: gzip",
  ]);
});

Deno.test("deploy: Deno's runtime is looked for where Deno keeps it", () => {
  const home = Deno.env.get("HOME");
  assert.match(
    runtimePath("aarch64-unknown-linux-gnu", "darwin"),
    new RegExp(`^${Deno.env.get("DENO_DIR") ?? `${home}/Library/Caches/deno`}/dl/`),
  );
});

/** What a laptop has: a shell, and the programs of the preflight. These ones use nothing but the shell itself. */
const LAPTOP: Readonly<Record<string, string>> = {
  terraform: `echo '{"terraform_version":"1.11.4"}'`,
  aws: "exit 1",
  "session-manager-plugin": "exit 1",
  mvn: 'for option; do case $option in -DoutputDirectory=*) echo jar >"${option#*=}/kafka.jar" ;; esac; done',
};

/** Artifacts that are made on the laptop itself, in little time. */
const MADE = ["generator", "kafka", "rds-ca", "dashboards", ...HOST_KINDS.map((kind) => `host-${kind}`)];

/** Checks the programs, makes the artifacts, synthesizes the stacks and adds up their cost; prints what came out. */
const PROGRAM = `
import { FILES } from "${URL_OF_ROOT}infra/artifacts.ts";
import { builtFiles } from "${URL_OF_ROOT}infra/built.ts";
import { deploySettings } from "${URL_OF_ROOT}infra/settings.ts";
import { makeArtifact } from "${URL_OF_ROOT}tasks/deploy/artifacts.ts";
import { costOf, total } from "${URL_OF_ROOT}tasks/deploy/cost.ts";
import { synthesize } from "${URL_OF_ROOT}tasks/deploy/deployment.ts";
import { faultsOfPrograms } from "${URL_OF_ROOT}tasks/deploy/preflight.ts";
import { Stack } from "${URL_OF_ROOT}tasks/deploy/terraform.ts";

const [folder, ...made] = Deno.args;
const faults = await faultsOfPrograms();
for (const name of FILES) {
  if (made.includes(name)) await makeArtifact(name, "arm64", folder + "/" + name);
  else await Deno.writeTextFile(folder + "/" + name, name);
}
const settings = deploySettings((name) => name === "AWS_REGION" ? "eu-central-1" : undefined);
const files = await builtFiles("arm64", (name) => folder + "/" + name);
synthesize(settings, files, folder + "/out");
const sizes = Object.fromEntries(await Promise.all(made.map(async (name) => [name, (await Deno.stat(folder + "/" + name)).size])));
const stacks = (await Stack.all(folder + "/out")).map(({ name }) => name);
console.log(JSON.stringify({ faults, sizes, stacks, cost: total(await costOf(settings)) }));
`;

Deno.test("deploy: preflight, artifacts, synthesis and cost need no program but those that the preflight asks for", async () => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-laptop-" });
  try {
    await Deno.mkdir(`${folder}/bin`);
    await Deno.mkdir(`${folder}/work`);
    await Deno.symlink("/bin/sh", `${folder}/bin/sh`);
    for (const [name, text] of Object.entries(LAPTOP)) {
      await Deno.writeTextFile(`${folder}/bin/${name}`, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    }
    await Deno.writeTextFile(`${folder}/laptop.ts`, PROGRAM);
    const run = `--allow-run=${Deno.execPath()},sh,${Object.keys(LAPTOP).join(",")}`;
    const others = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-net", "--allow-import"];
    const args = ["run", "--quiet", "--no-check", "--no-prompt", run, "--deny-read=/proc,/sys,/etc", ...others];
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...args, `--config=${ROOT}deno.json`, `${folder}/laptop.ts`, `${folder}/work`, ...MADE],
      cwd: ROOT,
      env: { PATH: `${folder}/bin`, TMPDIR: `${folder}/work` },
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    const { faults, sizes, stacks, cost } = JSON.parse(new TextDecoder().decode(stdout)) as {
      faults: string[];
      sizes: Record<string, number>;
      stacks: string[];
      cost: number;
    };
    assert.deepEqual(faults, []);
    assert.ok(
      MADE.every((name) => (FILES as readonly string[]).includes(name) && sizes[name]! > 100),
      JSON.stringify(sizes),
    );
    assert.deepEqual(stacks.length, 6);
    assert.ok(cost > 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
