/**
 * `deno task mutate [--room NAME] [--seed N] [--most N]`: mutation testing of a room. Changes its source in one place
 * at a time, in a copy of the repository, and runs the room's tests. Prints each mutant that survives, and the share
 * that is killed.
 * @module
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Random } from "../generator/random.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The files to mutate, and the tests that should notice, with their options. */
interface Room {
  readonly files: RegExp;
  readonly tests: readonly string[];
}

const ROOMS: Readonly<Record<string, Room>> = {
  decode: { files: /^processor\/decode\//, tests: ["processor/decode"] },
  measures: { files: /^processor\/measures\//, tests: ["processor/measures", "processor/views"] },
  fold: {
    files: /^processor\/pipeline\/(fold|pending|duplicates)\.ts$/,
    tests: ["processor/pipeline", "processor/testing/simulation/sim_test.ts"],
  },
  pipeline: {
    files: /^processor\/pipeline\/(?!fold|pending|duplicates)/,
    tests: ["processor/pipeline", "processor/testing/simulation/sim_test.ts"],
  },
  sink: {
    files: /^processor\/postgres\/sink\//,
    tests: [
      "processor/postgres/sink",
      "processor/embedded/embedded_test.ts",
      "processor/embedded/embedded_agreement_test.ts",
    ],
  },
  reports: {
    files: /^migrations\/(0007_reports|0008_cohorts)\.sql$/,
    tests: [
      ...["processor/postgres/reports_test.ts", "processor/embedded/embedded_agreement_test.ts"],
      "--filter=/embedded|retention/",
    ],
  },
};

type Rule = readonly [pattern: RegExp, becomes: string];

const SAME: readonly Rule[] = [
  ...[[/ < /g, " <= "], [/ <= /g, " < "], [/ > /g, " >= "], [/ >= /g, " > "]] as const,
  ...[[/ \+ /g, " - "], [/ - /g, " + "], [/ \* /g, " + "], [/ \/ /g, " * "]] as const,
  [/(?<![\w.$#-])\d[\d_]*(?![\w.:])/g, "($& + 1)"],
];
const TYPESCRIPT: readonly Rule[] = [
  ...SAME,
  ...[[/ === /g, " !== "], [/ !== /g, " === "], [/ && /g, " || "], [/ \|\| /g, " && "], [/ \?\? /g, " && "]] as const,
  ...[[/ % /g, " * "], [/ & /g, " | "], [/ >>> /g, " << "], [/ << /g, " >>> "], [/ \+= /g, " -= "]] as const,
  ...[[/\btrue\b/g, "false"], [/\bfalse\b/g, "true"], [/\bMath\.min\b/g, "Math.max"]] as const,
  ...[[/\bMath\.max\b/g, "Math.min"], [/\.some\(/g, ".every("], [/\.every\(/g, ".some("]] as const,
  ...[[/\b(if|while) \(/g, "$1 (false && "], [/\bif \(/g, "if (true || "], [/\+\+/g, "--"]] as const,
  ...[[/\b(continue|break);/g, ";"], [/^ +(await )?[\w.#!?]+\(.*\);$/g, ";"]] as const,
];
const SQL: readonly Rule[] = [
  ...SAME,
  ...[[/ = /g, " <> "], [/ <> /g, " = "], [/ and /g, " or "], [/ or /g, " and "], [/ desc\b/g, " asc"]] as const,
  ...[[/\bsum\(/g, "max("], [/\bmax\(/g, "min("], [/\bmin\(/g, "max("], [/\bleast\(/g, "greatest("]] as const,
  ...[[/\bgreatest\(/g, "least("], [/\bleft join\b/g, "join"], [/\bunion all\b/g, "union"]] as const,
  ...[[/\bis not null\b/g, "is null"], [/\bis null\b/g, "is not null"], [/\bnot\b/g, ""]] as const,
];

interface Mutant {
  readonly path: string;
  /** Counted from 0. */
  readonly line: number;
  readonly before: string;
  readonly after: string;
}

/** Lines without anything to mutate: comments, imports and declarations. */
const SKIPPED = /^\s*(\/\/|--|import |export \*|comment on|'|create |returns |type |interface |readonly )/;

/** Every mutation that the rules allow in a file. */
export function mutantsOf(path: string, text: string): Mutant[] {
  const mutants: Mutant[] = [];
  let inTemplate = false;
  let inComment = false;
  text.split("\n").forEach((before, line) => {
    const isSql = path.endsWith(".sql") || inTemplate;
    if (before.match(/(?<!\\)`/g)?.length === 1) inTemplate = !inTemplate;
    const isComment = inComment || /^\s*\/\*/.test(before);
    inComment = isComment && !before.includes("*/");
    if (isComment || SKIPPED.test(before)) return;
    const quoted = [...before.matchAll(/"(?:\\.|[^"\\])*"|'[^']*'/g)].map((q) =>
      [q.index, q.index + q[0].length] as const
    );
    for (const [pattern, becomes] of isSql ? SQL : TYPESCRIPT) {
      for (const { 0: found, index } of before.matchAll(pattern)) {
        if (quoted.some(([from, to]) => index >= from && index < to)) continue;
        const changed = found.replace(new RegExp(pattern.source), becomes);
        mutants.push({
          path,
          line,
          before,
          after: before.slice(0, index) + changed + before.slice(index + found.length),
        });
      }
    }
  });
  return mutants;
}

/** Mutants that don't load can't be tested. */
const INVALID = /SyntaxError|could not be parsed|syntax error at|does not exist|must be type|cannot be matched/;

type Outcome = "killed" | "survived" | "invalid";

async function outcomeOf(copy: string, tests: readonly string[], share: number, timeoutMs: number): Promise<Outcome> {
  const some = (all: number) => String(Math.ceil(all * share));
  const env = {
    TEST_SHARE: String(share),
    KERNEL_INPUTS: some(50_000),
    SIM_SEEDS: some(100),
    AGREEMENT_RUNS: some(10),
  };
  const args = ["test", "--allow-all", "--no-check", "--no-prompt", "--quiet", "--fail-fast", ...tests];
  const child = new Deno.Command(Deno.execPath(), { args, cwd: copy, env, stdout: "piped", stderr: "piped" }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  if (code === 0) return "survived";
  return [stdout, stderr].some((bytes) => INVALID.test(new TextDecoder().decode(bytes))) ? "invalid" : "killed";
}

async function mutate(name: string, copy: string, seed: number, most: number): Promise<void> {
  const { files, tests } = ROOMS[name]!;
  const paths = (await list()).filter((path) => files.test(path) && !path.endsWith("_test.ts"));
  const texts = new Map(
    await Promise.all(paths.map(async (path) => [path, await Deno.readTextFile(copy + path)] as const)),
  );
  const mutants = new Random(seed).shuffled([...texts].flatMap(([path, text]) => mutantsOf(path, text))).slice(0, most);
  const sinceMs = performance.now();
  if (await outcomeOf(copy, tests, 1, 600_000) !== "survived") throw new Error(`${name}: the tests fail as it is`);
  const timeoutMs = 30_000 + 5 * (performance.now() - sinceMs);
  const counts = { killed: 0, survived: 0, invalid: 0 };
  for (const { path, line, before, after } of mutants) {
    const text = texts.get(path)!;
    await Deno.writeTextFile(copy + path, text.split("\n").with(line, after).join("\n"));
    let outcome = await outcomeOf(copy, tests, 0.05, timeoutMs);
    if (outcome === "survived") outcome = await outcomeOf(copy, tests, 1, timeoutMs);
    await Deno.writeTextFile(copy + path, text);
    counts[outcome]++;
    if (outcome === "survived") console.log(`${path}:${line + 1}\n  - ${before.trim()}\n  + ${after.trim()}`);
  }
  const { killed, survived, invalid } = counts;
  const score = (100 * killed / Math.max(1, killed + survived)).toFixed(0);
  console.log(`${name}: ${score} % noticed: ${killed} of ${killed + survived}; ${invalid} did not load`);
}

async function list(): Promise<string[]> {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard"];
  const { stdout } = await new Deno.Command("git", { args, cwd: ROOT }).output();
  return new TextDecoder().decode(stdout).trim().split("\n");
}

if (import.meta.main) {
  const number = { type: "string", default: "1" } as const;
  const { values } = parseArgs({
    options: { room: { type: "string" }, seed: number, most: { ...number, default: "50" } },
  });
  const rooms = values.room === undefined ? Object.keys(ROOMS) : [values.room];
  if (rooms.some((room) => !(room in ROOMS))) throw new Error(`--room must be one of ${Object.keys(ROOMS).join(", ")}`);
  const copy = `${await Deno.makeTempDir({ prefix: "clickstream-mutants-" })}/`;
  for (const path of await list()) {
    await Deno.mkdir(copy + path.replace(/[^/]*$/, ""), { recursive: true });
    await Deno.copyFile(ROOT + path, copy + path);
  }
  for (const room of rooms) await mutate(room, copy, Number(values.seed), Number(values.most));
  await Deno.remove(copy, { recursive: true });
}
