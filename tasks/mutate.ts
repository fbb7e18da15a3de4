/**
 * `deno task mutate [--room NAME] [--seed N] [--most N] [--from N]`: mutation testing of a room. Changes its source in
 * one place at a time, in a copy of the repository, and runs the room's tests. Prints each mutant that survives, and
 * the share that is killed.
 * @module
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Random } from "../generator/random.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The files to mutate, and the tests that should notice. */
interface Room {
  readonly files: RegExp;
  /** Folders and files of tests. */
  readonly tests: readonly string[];
  /** Names of the tests (default: all). */
  readonly filter?: string;
  /** True if the tests open the embedded PostgreSQL: to compile it well takes longer than a part of them. */
  readonly isEmbedded?: true;
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
    isEmbedded: true,
  },
  reports: {
    files: /^migrations\/(0007_reports|0014_status_page|0016_first_days)\.sql$/,
    tests: [
      ...["processor/postgres/reports_test.ts", "processor/postgres/report_ranges_test.ts"],
      "processor/embedded/embedded_agreement_test.ts",
    ],
    filter: "/embedded|retention/",
    isEmbedded: true,
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

/** Lines without anything to mutate: imports and declarations. */
const SKIPPED = /^\s*(import |export \*|comment on|create |returns |type |interface |readonly )/;

/** Finds what is no code: comments, texts, and the beginning and end of templates and of what they insert. */
const TOKENS = {
  code: /\/\/.*|\/\*[^]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[`{}]/g,
  template: /\\.|`|\$\{/gs,
  sql: /--.*|"[^"\n]*"|'[^'\n]*'/g,
} as const;

type Kind = keyof typeof TOKENS | "text";

/** What each character of a file is: code, the text of a template, SQL, or a comment or a string ("text"). */
function kindsOf(text: string, isSql: boolean): Kind[] {
  const kinds = new Array<Kind>(text.length).fill(isSql ? "sql" : "code");
  /** Templates and braces around the current place, from the outside. */
  const around: ("template" | "code")[] = [];
  let at = 0;
  while (at < text.length) {
    const kind = isSql ? "sql" : around.at(-1) ?? "code";
    const pattern = TOKENS[kind];
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    kinds.fill(kind, at, found?.index ?? text.length);
    if (found === null) break;
    at = pattern.lastIndex;
    const [token] = found;
    if (token === "`") {
      if (kind === "template") around.pop();
      else around.push("template");
    } else if (token === "{" || token === "${") around.push("code");
    else if (token === "}") around.pop();
    else kinds.fill("text", found.index, at);
  }
  return kinds;
}

/**
 * Every mutation that the rules allow in a file. Templates are mutated as SQL in `postgres/`, and not at all elsewhere.
 *
 * @param replaced names of SQL functions that a later migration replaces: nothing can notice what they were
 */
export function mutantsOf(path: string, text: string, replaced: ReadonlySet<string> = new Set()): Mutant[] {
  const mutants: Mutant[] = [];
  const kinds = kindsOf(text, path.endsWith(".sql"));
  let start = 0;
  let isReplaced = false;
  text.split("\n").forEach((before, line) => {
    const lineStart = start;
    start += before.length + 1;
    if (before.startsWith("create ")) isReplaced = replaced.has(/^create function ([\w.]+)/.exec(before)?.[1] ?? "");
    if (isReplaced || SKIPPED.test(before)) return;
    for (
      const [rules, of] of [[TYPESCRIPT, "code"], [SQL, path.includes("/postgres/") ? "template" : "sql"]] as const
    ) {
      for (const [pattern, becomes] of rules) {
        for (const { 0: found, index } of before.matchAll(pattern)) {
          if (kinds[lineStart + index] !== of) continue;
          const changed = found.replace(new RegExp(pattern.source), becomes);
          mutants.push({
            path,
            line,
            before,
            after: before.slice(0, index) + changed + before.slice(index + found.length),
          });
        }
      }
    }
  });
  return mutants;
}

/** Mutants that don't load can't be tested. */
const INVALID = /SyntaxError|could not be parsed|syntax error at|does not exist|must be type|cannot be matched/;

type Outcome = "killed" | "survived" | "invalid";

/** The file in the copy that imports all tests of a room: in one isolate, WebAssembly is compiled once. */
const ALL_TESTS = "mutants_test.ts";

async function outcomeOf(copy: string, room: Room, share: number, timeoutMs: number): Promise<Outcome> {
  const some = (all: number) => String(Math.max(1, Math.ceil(all * share)));
  const env = {
    TEST_SHARE: String(share),
    KERNEL_INPUTS: some(50_000),
    AGREEMENT_RUNS: some(10),
  };
  const more = room.isEmbedded === true && share < 1 ? ["--v8-flags=--liftoff-only"] : [];
  if (room.filter !== undefined) more.push(`--filter=${room.filter}`);
  const args = ["--allow-all", "--no-check", "--no-prompt", "--quiet", "--fail-fast", ...more, ALL_TESTS];
  const options = { cwd: copy, env, stdout: "piped", stderr: "piped" } as const;
  const child = new Deno.Command(Deno.execPath(), { args: ["test", ...args], ...options }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  void child.status.then(() => clearTimeout(timer));
  const { code, stdout, stderr } = await child.output();
  if (code === 0) return "survived";
  return [stdout, stderr].some((bytes) => INVALID.test(new TextDecoder().decode(bytes))) ? "invalid" : "killed";
}

interface Sample {
  readonly seed: number;
  readonly most: number;
  /** Number of the first to try, from 1 on: an interrupted run can be continued. */
  readonly from: number;
}

async function mutate(name: string, copy: string, { seed, most, from }: Sample): Promise<void> {
  const room = ROOMS[name]!;
  const { files, tests } = room;
  const all = await list();
  const paths = all.filter((path) => files.test(path) && !path.endsWith("_test.ts"));
  const testing = all.filter((path) => path.endsWith("_test.ts") && tests.some((test) => path.startsWith(test)));
  await Deno.writeTextFile(copy + ALL_TESTS, testing.map((path) => `import "./${path}";\n`).join(""));
  const texts = new Map(
    await Promise.all(paths.map(async (path) => [path, await Deno.readTextFile(copy + path)] as const)),
  );
  const migrations = all.filter((path) => path.endsWith(".sql"));
  const sql = await Promise.all(migrations.map((path) => Deno.readTextFile(copy + path)));
  const replaced = new Set(sql.join("\n").matchAll(/^create or replace function ([\w.]+)/gm).map(([, name]) => name!));
  const possible = [...texts].flatMap(([path, text]) => mutantsOf(path, text, replaced));
  const mutants = new Random(seed).shuffled(possible).slice(0, most);
  const sinceMs = performance.now();
  // A part of the tests must pass as well, or it would seem to notice everything.
  for (const share of [0.05, 1]) {
    const outcome = await outcomeOf(copy, room, share, 600_000);
    if (outcome !== "survived") throw new Error(`${name}: ${share * 100} % of the tests fail without a change`);
  }
  const timeoutMs = 30_000 + 5 * (performance.now() - sinceMs);
  const counts = { killed: 0, survived: 0, invalid: 0 };
  for (const [n, { path, line, before, after }] of [...mutants.entries()].slice(from - 1)) {
    const text = texts.get(path)!;
    await Deno.writeTextFile(copy + path, text.split("\n").with(line, after).join("\n"));
    let outcome = await outcomeOf(copy, room, 0.05, timeoutMs);
    if (outcome === "survived") outcome = await outcomeOf(copy, room, 1, timeoutMs);
    await Deno.writeTextFile(copy + path, text);
    counts[outcome]++;
    console.error(`${n + 1} of ${mutants.length}: ${outcome}, ${path}:${line + 1}`);
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
    options: { room: { type: "string" }, seed: number, from: number, most: { ...number, default: "50" } },
  });
  const rooms = values.room === undefined ? Object.keys(ROOMS) : [values.room];
  if (rooms.some((room) => !(room in ROOMS))) throw new Error(`--room must be one of ${Object.keys(ROOMS).join(", ")}`);
  const copy = `${await Deno.makeTempDir({ prefix: "clickstream-mutants-" })}/`;
  for (const path of await list()) {
    await Deno.mkdir(copy + path.replace(/[^/]*$/, ""), { recursive: true });
    await Deno.copyFile(ROOT + path, copy + path);
  }
  const sample = { seed: Number(values.seed), most: Number(values.most), from: Number(values.from) };
  for (const room of rooms) await mutate(room, copy, sample);
  await Deno.remove(copy, { recursive: true });
}
