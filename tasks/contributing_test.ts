/**
 * Follows the checklists of CONTRIBUTING.md in a copy of the repository: with every step the checks pass, and without a
 * step they fail.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { REASONS } from "../processor/event.ts";
import { count } from "../processor/measures/totals.ts";
import { createTable } from "../processor/postgres/view_table.ts";
import { minutes, tumbling, view } from "../processor/views/view.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CONTRIBUTING = await Deno.readTextFile(`${ROOT}CONTRIBUTING.md`);

/** The edit of a step: maps a file's text (empty if it is new) to the new text. */
type Edit = (text: string, migration: string, folder: string) => string | Promise<string>;

/** How to test a checklist. */
interface Trial {
  /** Edits by the file that a step names. */
  readonly edits: Readonly<Record<string, Edit>>;
  /** A step without which a check must fail, named by its file or command. */
  readonly without: string;
}

/** Inserts text before or after the match of a pattern. */
function insert(where: "before" | "after", pattern: RegExp, added: string): (text: string) => string {
  return (text) => text.replace(pattern, (found) => where === "before" ? `${added}${found}` : `${found}${added}`);
}

function edits(...all: readonly ((text: string) => string)[]): Edit {
  return (text) => all.reduce((text, edit) => edit(text), text);
}

/** Adds the migration's import and its line in the list. */
const inList: Edit = (text, name) =>
  text
    .replace(/\n\n\/\*\* One step/, `\nimport added from "./${name}" with { type: "text" };$&`)
    .replace(/^\];/m, `  { name: "${name}", sql: added },\n];`);

const REPORT = `set local role clickstream_owner;
create function clickstream.buyers("from" timestamptz, "to" timestamptz, bots boolean default false)
returns table (buyers bigint, conversions bigint)
language sql stable parallel safe
begin atomic
  select count(distinct s.user_id), count(*) from clickstream.sessions s
  where s.started_at >= "from" and s.started_at < "to" and s.purchases > 0 and (bots or not s.is_bot);
end;
comment on function clickstream.buyers(timestamptz, timestamptz, boolean) is
  'Users with a purchase. Of people only, unless bots is true.';
grant execute on function clickstream.buyers(timestamptz, timestamptz, boolean) to clickstream_reader;
`;

const REASON = (known: readonly string[]) =>
  `set local role clickstream_owner;
alter table clickstream.refusals
  drop constraint refusals_reason_check,
  add constraint refusals_reason_check check (reason in (${known.map((reason) => `'${reason}'`).join(", ")}));
`;

/** The added view and its source. */
const SEARCHES = view({
  name: "searches",
  about: "Searches by device, each minute.",
  where: { type: ["search"] },
  window: tumbling(minutes(1)),
  by: ["device"],
  measures: { searches: count() },
});
const SEARCHES_SOURCE = `import { count } from "../measures/totals.ts";
import { minutes, tumbling, type View, view } from "./view.ts";

/** Searches by device and minute. */
export const searches: View = view({
  name: "searches",
  about: "Searches by device, each minute.",
  where: { type: ["search"] },
  window: tumbling(minutes(1)),
  by: ["device"],
  measures: { searches: count() },
});
`;
const SEARCHES_TEST = `import { scenario } from "../testing/scenario.ts";
import { searches } from "./searches.ts";

scenario(
  searches,
  "searches count by device",
  "time userId eventType page device\\n 12:00:01.000 ann search / mobile\\n 12:00:02.000 ann page_view / mobile",
  "window_start device searches\\n 12:00:00.000 mobile 1",
);
`;

const TRIALS: Readonly<Record<string, Trial>> = {
  "Add a view": {
    edits: {
      "processor/views/NAME.ts": () => SEARCHES_SOURCE,
      "processor/views/NAME_test.ts": () => SEARCHES_TEST,
      "processor/views/mod.ts": edits(
        insert("after", /^import .* from "\.\/view\.ts";\n/m, `import { searches } from "./searches.ts";\n`),
        insert("before", /\];$/m, ", searches"),
      ),
      "migrations/NNNN_name.sql": () => `set local role clickstream_owner;\n${createTable(SEARCHES)}\n`,
      "migrations/mod.ts": inList,
      "processor/translate/testdata/flink.sql": async (_text, _migration, cwd) => {
        const args = ["run", "-A", "--quiet", "processor/main.ts", "flink"];
        const { stdout } = await new Deno.Command(Deno.execPath(), { args, cwd }).output();
        return new TextDecoder().decode(stdout);
      },
      "README.md": insert("after", /^\| `traffic` .*\n/m, "| `searches` | minute and device: searches |\n"),
    },
    without: "migrations/mod.ts",
  },
  "Add a report with its panel": {
    edits: {
      "migrations/NNNN_name.sql": () => REPORT,
      "migrations/mod.ts": inList,
      "processor/postgres/reports_test.ts": edits(
        insert(
          "before",
          /^ +timed\("campaigns", CAMPAIGNS\)/m,
          `timed("buyers", "buyers bigint, conversions bigint"),\n`,
        ),
        insert("after", /await is\("conversion", NEVER.*\n/, `await is("buyers", MONDAY, [[2, 2]]);\n`),
      ),
      "processor/oracle/report_tables.ts": insert(
        "before",
        /^ +session_lengths: /m,
        `buyers: { key: [], columns: { buyers: "count", conversions: "count" }, rowsOf: (expected, range) =>
          conversionOf({ devices: null, regions: null })(expected, range).map(({ buyers, conversions }) =>
          ({ buyers: buyers!, conversions: conversions! })) },\n`,
      ),
      "grafana/behavior.ts": edits(
        insert(
          "before",
          /^const carts = /m,
          `const buyers = number(
            { title: "Buyers", description: "Users with a purchase. " + BY_START, unit: "short", empty: NO_SESSION },
            rows(\`select buyers from clickstream.buyers(\${RANGE})\`),
          );\n`,
        ),
        insert(
          "before",
          /\{ title: "Sessions", lines/,
          `{ title: "Who buys", lines: [{ height: 4, panels: [[6, buyers]] }] },\n`,
        ),
      ),
      "docs/dashboards.md": insert("before", /^\| Session duration/m, "| Buyers | `buyers()` | 1 | 1 |\n"),
    },
    without: "docs/dashboards.md",
  },
  "Add a refusal reason": {
    edits: {
      "processor/event.ts": insert("after", /^ {2}"not_an_object",\n/m, `  "test_traffic",\n`),
      // The kernel passes nested values to the JSON decoder.
      "processor/decode/json.ts": insert(
        "before",
        / +return json as Fields;/,
        `    if ("probe" in json) throw new Refused("test_traffic", "probe", "it is a probe");\n`,
      ),
      "processor/decode/json_test.ts": edits(
        insert("before", /^ +\["missing_field", "userId"/m, `["test_traffic", "probe", [raw("probe", "{}")]],\n`),
      ),
      "processor/oracle/reference_decoder.ts": insert(
        "before",
        / +return json as Fields;/,
        `  if ("probe" in json) throw new Refused("test_traffic", "probe");\n`,
      ),
      "generator/refused_records.ts": insert(
        "before",
        /^ +missing_field: /m,
        `test_traffic: [({ event }) => JSON.stringify({ ...event, probe: {} })],\n`,
      ),
      "migrations/NNNN_name.sql": () => REASON([...REASONS, "test_traffic"]),
      "migrations/mod.ts": inList,
    },
    without: "generator/refused_records.ts",
  },
  "Add a setting": {
    edits: {
      "processor/config/config.ts": insert(
        "before",
        /^ {2}\.\.\.KAFKA_LOGIN_SETTINGS,/m,
        `KAFKA_CLIENT_ID: { schema: text(/^[a-z]{1,20}$/), default: "clickstream", allowed: "small letters",
          about: "what the brokers' logs call the program" },\n`,
      ),
      "processor/config/config_test.ts": insert(
        "before",
        /^ +\["KAFKA_GROUP_ID", "team/m,
        `["KAFKA_CLIENT_ID", "shop", "shop"],\n`,
      ),
      "processor/commands/cli/reads.ts": insert("before", /^ {2}"KAFKA_TLS_CA",/m, `  "KAFKA_CLIENT_ID",\n`),
      "infra/settings_test.ts": insert("after", /"KAFKA_GROUP_ID", (?="WORKERS")/, `"KAFKA_CLIENT_ID", `),
    },
    without: "processor/commands/cli/reads.ts",
  },
  "Add an alert": {
    edits: {
      "grafana/prometheus/alerts.ts": insert(
        "before",
        /^\];/m,
        `{ name: "ClickstreamRestarts", severity: "warning", value: "sum(increase(clickstream_restarts_total[10m]))",
          threshold: [">", 5], for: "0m", summary: "It starts again and again", description: "{value} times.",
          unit: "number", runbook: "it-starts-again-and-again" },\n`,
      ),
      "grafana/prometheus/rules_cases.ts": insert(
        "before",
        /^\];/m,
        `firing("ClickstreamRestarts", "each minute", { 'clickstream_restarts_total{cause="x"}': "0+2x20" }, 15, [
          {}, "20 times."]),
        silent("ClickstreamRestarts", "once", { clickstream_restarts_total: "0 1x20" }, 15),\n`,
      ),
      "docs/debugging.md": insert(
        "before",
        /^## What doctor says/m,
        "## It starts again and again\n\n**Alert** `ClickstreamRestarts`. Look at the log.\n\n",
      ),
    },
    without: "docs/debugging.md",
  },
};

interface Checklist {
  readonly title: string;
  /** Files and commands by step. */
  readonly steps: readonly string[];
  readonly checks: readonly string[];
}

/** The sections of CONTRIBUTING.md that have steps and checks. */
const CHECKLISTS: readonly Checklist[] = CONTRIBUTING.split(/^### /m).slice(1).map((section) => ({
  title: section.slice(0, section.indexOf("\n")),
  steps: [...section.matchAll(/^\d+\. `([^`]+)`/gm)].map(([, step]) => step!),
  // The formatter may break the line before or inside the command.
  checks: section.split(/^- Check:/m).slice(1).map((check) => /^\s+`([^`]+)`/.exec(check)![1]!.replaceAll(/\s+/g, " ")),
}));

const isCommand = (step: string) => step.startsWith("./deno ");

/** Copies the files of the repository, including new ones that would be committed next. */
async function copyTo(folder: string): Promise<void> {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard"];
  const { stdout } = await new Deno.Command("git", { args, cwd: ROOT }).output();
  for (const path of new TextDecoder().decode(stdout).trim().split("\n")) {
    await Deno.mkdir(folder + path.replace(/[^/]*$/, ""), { recursive: true });
    await Deno.copyFile(ROOT + path, folder + path);
  }
}

/** Runs a command of the checklist; returns null, or its output if it failed. */
async function run(command: string, cwd: string): Promise<string | null> {
  const [, ...args] = command.split(" ");
  const env = { TEST_SHARE: "0.1", AGREEMENT_RUNS: "2", NO_COLOR: "1" };
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd, env }).output();
  return code === 0 ? null : [command, ...[stdout, stderr].map((bytes) => new TextDecoder().decode(bytes))].join("\n");
}

/** Follows a checklist except one step in a fresh copy, and runs its checks; returns the first failure. */
async function follow({ steps, checks }: Checklist, trial: Trial, folder: string, without?: string) {
  await copyTo(folder);
  const numbers = [...Deno.readDirSync(`${folder}migrations`)].map(({ name }) => parseInt(name)).filter((n) => n > 0);
  const migration = `${String(Math.max(...numbers) + 1).padStart(4, "0")}_name.sql`;
  for (const step of steps.filter((step) => step !== without)) {
    if (isCommand(step)) {
      const failed = await run(step, folder);
      // A task may miss the step as well as a check.
      if (without !== undefined && failed !== null) return failed;
      assert.equal(failed, null, step);
      continue;
    }
    const path = folder + step.replace("NNNN_name.sql", migration).replace("NAME", "searches");
    const text = await Deno.readTextFile(path).catch(() => "");
    const edited = await trial.edits[step]!(text, migration, folder);
    assert.notEqual(edited, text, `${step}: the change finds no place`);
    await Deno.writeTextFile(path, edited);
  }
  let failure: string | null = null;
  for (const check of checks) {
    // Types were checked with all steps; here a test must find the missing step.
    failure ??= await run(
      without === undefined ? check : check.replace("./deno test", "./deno test --no-check"),
      folder,
    );
  }
  for (const path of [`migrations/${migration}`, "processor/views/searches.ts", "processor/views/searches_test.ts"]) {
    await Deno.remove(folder + path).catch(() => {});
  }
  return failure;
}

Deno.test("CONTRIBUTING.md names files and tasks that exist", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`)) as { tasks: Record<string, unknown> };
  const named = [...CONTRIBUTING.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!);
  const commands = named.filter(isCommand);
  assert.ok(commands.length > 8);
  for (const [, task] of commands.flatMap((command) => [...command.matchAll(/^\.\/deno task (\S+)/g)])) {
    assert.ok(task! in tasks, task!);
  }
  const paths = named.flatMap((code) => isCommand(code) ? code.split(" ") : [code]).filter((code) =>
    /^[\w./]+\/\w+\.\w+$/.test(code)
  );
  assert.ok(paths.length > 25);
  for (const path of paths) if (!/NNNN|NAME/.test(path)) await Deno.stat(ROOT + path);
});

Deno.test("CONTRIBUTING.md: each checklist is sufficient, and has a step that is necessary", async (t) => {
  assert.deepEqual(CHECKLISTS.map(({ title }) => title), Object.keys(TRIALS));
  const folder = `${await Deno.makeTempDir({ prefix: "clickstream-contributing-" })}/`;
  for (const list of CHECKLISTS) {
    const trial = TRIALS[list.title]!;
    await t.step(list.title, async () => {
      assert.deepEqual(list.steps.filter((step) => !isCommand(step)), Object.keys(trial.edits));
      assert.ok(list.checks.length > 0);
      assert.equal(await follow(list, trial, folder), null);
      assert.notEqual(await follow(list, trial, folder, trial.without), null, `nothing misses ${trial.without}`);
    });
  }
  await Deno.remove(folder, { recursive: true });
});
