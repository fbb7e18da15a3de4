/**
 * Runs the commands of the README and of docs/ as they are written, or lists them with the reason why not. Compares
 * what the README shows of their output, of the event and of the tables with reality.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { SETTING_NAMES } from "../processor/config/settings_shown.ts";
import { Child, freePort, prepared, run, until } from "../testing/servers/child.ts";
import { startKafka } from "../testing/servers/kafka.ts";
import { startPostgres, using } from "../testing/servers/postgres.ts";
import { NEEDED } from "./packages.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const README = await Deno.readTextFile(`${ROOT}README.md`);

/** All pages by path: the README and docs/. */
const PAGES: ReadonlyMap<string, string> = new Map([
  ["README.md", README],
  ...await Promise.all(
    [...Deno.readDirSync(`${ROOT}docs`)].map(({ name }) => name).filter((name) => name.endsWith(".md")).sort().map(
      async (name) => [`docs/${name}`, await Deno.readTextFile(`${ROOT}docs/${name}`)] as const,
    ),
  ),
]);

/** The code blocks of a page in a language. */
function blocks(page: string, language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, "gm"))].map(([, block]) => block!);
}

/** The page whose commands tasks/release/release_test.ts runs, on a machine of their own. */
const INSTALL = "docs/install.md";

/** The page whose commands tasks/deploy/deploy_test.ts reads; tasks/deploy/aws_test.ts deploys to a stand-in for AWS. */
const AWS = "docs/aws.md";

/** Every command line of the shell blocks, without trailing comments. */
const COMMANDS: readonly string[] = [...PAGES].filter(([path]) => path !== INSTALL && path !== AWS).flatMap((
  [, page],
) => blocks(page, "sh")).flatMap((block) =>
  block.split("\n").map((line) => line.replace(/ +#.*$/, "")).filter((line) => line !== "")
);

/** Commands that no test here runs as written, and why. */
const NOT_RUN: Readonly<Record<string, string>> = {
  "./deno task test": "runs these tests",
  "./deno test -A testing/service/complaints_test.ts": "is a test by itself",
  "export AWS_REGION=eu-central-1 DEPLOY_SIZE=small": "needs AWS; infra/ and tasks/deploy/ try what can be without",
  "./deno task deploy": "needs AWS",
  "./deno task destroy": "needs AWS",
  "dist/clickstream rebuild --view sale_carts --from 2026-11-20T00:00:00Z":
    "testing/service/views_test.ts runs it, with a topic to read",
  "dist/clickstream rebuild --view sessions --from 2026-11-20T00:00:00Z":
    "testing/service/views_test.ts runs it, with a topic to read",
  "sudo /usr/local/lib/clickstream/as-owner rebuild --view sale_carts --from 2026-11-20T00:00:00Z":
    "needs a host with systemd; infra/hosts/boot_test.ts boots one",
  "journalctl -u clickstream -n 50": "needs a host with systemd; infra/hosts/boot_test.ts boots one",
  "prometheus-postgres-exporter --extend.query-path=grafana/prometheus/exporter_queries.yml --no-collector.bgwriter":
    "grafana/prometheus/scrape_test.ts starts it with these arguments, and a database of its own",
  "export KAFKA_OPTS=-javaagent:jmx_prometheus_javaagent.jar=9404:grafana/prometheus/kafka.yml":
    "grafana/prometheus/scrape_test.ts starts a broker with this agent, on a port of its own",
};

/** Commands that tests have run. */
const ran = new Set<string>();

/** Runs a command line of the pages with replacements; returns its output. */
async function shell(
  line: string,
  cwd = ROOT,
  env: Record<string, string> = {},
  instead: Readonly<Record<string, string>> = {},
): Promise<string> {
  assert.ok(COMMANDS.includes(line), `no page says: ${line}`);
  ran.add(line);
  const text = Object.entries(instead).reduce((text, [from, to]) => text.replaceAll(from, to), line);
  return await sh(text, cwd, env);
}

/** Runs a command line that must succeed; returns its output. */
async function sh(line: string, cwd = ROOT, env: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command("sh", { args: ["-c", line], cwd, env }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.equal(code, 0, `${line} ended with ${code}:\n${out}${err}`);
  return out!;
}

/** Counts a line that exports settings as run: tests use their own values. */
function exported(line: string): void {
  const names = [...line.matchAll(/ (\w+)=/g)].map(([, name]) => name!);
  assert.deepEqual(names.filter((name) => !(SETTING_NAMES as readonly string[]).includes(name)), []);
  ran.add(line);
}

/** Patterns for the lines of a command's output that a page shows: any number matches any other. */
function shownOutput(command: string): RegExp[] {
  const [, block] = README.split(`<!-- output: ${command} -->\n`);
  assert.ok(block !== undefined, `the README shows no output of ${command}`);
  const lines = blocks(block, "text")[0]!.split("\n").filter((line) => line.trim() !== "" && line !== "…");
  return lines.map((line) => {
    const literal = line.trim().replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
    return new RegExp(`^ *${literal.replaceAll(/\d[\d,]*(\\\.\d+)?/g, "[\\d,.]+").replaceAll(/ +/g, " +")}$`, "m");
  });
}

Deno.test("README: the demo runs without any configuration", async () => {
  const out = await shell("./deno task demo");
  assert.match(out, /All \d+ figures agree\.\n$/);
  const shown = shownOutput("./deno task demo");
  assert.ok(shown.length > 8);
  for (const line of shown) assert.match(out, line);
});

Deno.test("README: the build and the demo work in a folder with a blank and an umlaut in its name", async () => {
  const above = await Deno.makeTempDir({ prefix: "clickstream-readme-" });
  const folder = `${above}/a shop in Köln`;
  await Deno.mkdir(folder);
  for await (const { name } of Deno.readDir(ROOT)) {
    if (![".git", "dist"].includes(name)) await run("cp", ["-R", `${ROOT}${name}`, folder]);
  }
  assert.match(await shell("./deno task build", folder), /^dist\/clickstream: \d+ MB/);
  assert.match(await sh("dist/clickstream help run", folder), /COMMIT_EVERY_MS/);
  // Like `./deno task demo --data shop` of the README, but short.
  const demo = await sh(`./deno task demo --data shop --seconds 2 --port ${freePort()}`, folder);
  assert.match(demo, /All \d+ figures agree\.\n$/);
  assert.ok((await Deno.stat(`${folder}/shop`)).isDirectory);
  await Deno.remove(above, { recursive: true });
});

Deno.test("README: the commands for tests and build are those that are running now", async () => {
  const ci = await Deno.readTextFile(`${ROOT}.ci/run`);
  assert.match(ci, /^exec \.\/deno task test --all$/m);
  const task = await Deno.readTextFile(`${ROOT}tasks/test.ts`);
  assert.match(task, /await build\(\)/);
  assert.match(task, /console\.log\("building dist\/clickstream …"\)/);
  assert.match(task, /`\$\{passed\} passed, \$\{failures\.length\} failed`/);
  const [listed] = /install it\s+before: [^.]+/.exec(README)!;
  assert.deepEqual(listed.split(/[:,]\s+/).slice(1).toSorted(), NEEDED.map(([, name]) => name).toSorted());
});

/** Fields of the event and whether they are required, from the code. */
async function fieldsOfEvent(): Promise<[name: string, required: boolean][]> {
  const code = await Deno.readTextFile(`${ROOT}processor/event.ts`);
  const [, body] = /^export interface ClickEvent \{$([^]*?)^\}$/m.exec(code)!;
  return [...body!.matchAll(/^ {2}readonly (\w+)(\??):/gm)].map(([, name, optional]) => [name!, optional === ""]);
}

Deno.test("README: the fields of the event are those of the code", async () => {
  const rows = /^\| field .*\n\|.*\n((?:\|.*\n)+)/m.exec(README)![1]!.trim().split("\n");
  const said = rows.flatMap((row) => {
    const [, names, , required] = row.split("|").map((cell) => cell.trim());
    return [...names!.matchAll(/`(\w+)`/g)].map(([, name]) => [name!, required === "yes"]);
  });
  assert.deepEqual(said.sort(), (await fieldsOfEvent()).sort());
});

/** Commands with subcommands. */
const GROUPS = ["refusals", "gaps", "views"];

Deno.test("docs/views.md: its file is applied by its commands", async () => {
  await using server = await startPostgres();
  const env = { DATABASE_URL: await server.createDatabase() };
  await sh("dist/clickstream migrate", ROOT, env);
  const file = await Deno.makeTempFile({ suffix: ".yaml" });
  await Deno.writeTextFile(file, blocks(PAGES.get("docs/views.md")!, "yaml").join("\n"));
  const does = (command: string) =>
    shell(`dist/clickstream views ${command} views.yaml`, ROOT, env, { "views.yaml": file });
  assert.match(await does("check"), /declares 2 views, 1 goal and 1 funnel, and has no fault/);
  const all = /^\+ sale_carts: .*\n\+ landing_days: .*\n\+ goal newsletter: .*\n\+ funnel checkout: /;
  assert.match(await does("plan"), all);
  assert.match(await does("apply"), all);
  assert.match(await does("plan"), /^nothing changes: the database has 2 views, 1 goal and 1 funnel of this file/);
  await Deno.remove(file);
});

Deno.test("every command in running text exists and has the options shown", async () => {
  const helps = new Map<string, string>();
  const helpOf = async (words: readonly string[]): Promise<string> => {
    const key = words.join(" ");
    if (!helps.has(key)) helps.set(key, await sh(`dist/clickstream ${key} --help`));
    return helps.get(key)!;
  };
  let checked = 0;
  for (const [path, page] of PAGES) {
    for (const [text, command, rest] of page.matchAll(/`(?:dist\/)?clickstream ([a-z-]+)([^`]*)`/g)) {
      if (command === "help") continue;
      const [first] = rest!.trim().split(/\s+/);
      const words = GROUPS.includes(command!) && /^[a-z]/.test(first!) ? [command!, first!] : [command!];
      assert.ok((await helpOf(words)).startsWith(`Usage: clickstream ${words.join(" ")}`), `${path}: ${text}`);
      for (const [option] of rest!.matchAll(/--[a-z-]+/g)) {
        assert.match(await helpOf(words), new RegExp(`^ +${option}\\b`, "m"), `${path}: ${text}: no ${option}`);
      }
      checked++;
    }
  }
  assert.ok(checked > 40, `only ${checked} commands were found`);
});

Deno.test("every file that a page names exists", async () => {
  const missing: string[] = [];
  let checked = 0;
  for (const [path, page] of PAGES) {
    const named = [
      ...page.matchAll(/`((?:processor|generator|migrations|grafana|infra|testing|tasks|bench|docs)\/[\w./-]*)`/g),
      ...page.matchAll(/\]\((?!https?:|#)([^)#]+)/g).map(([text, file]) => {
        return [text, path === "README.md" || file!.startsWith("/") ? file! : `docs/${file}`] as const;
      }),
    ];
    for (const [, file] of named) {
      checked++;
      if (!await Deno.stat(`${ROOT}${file}`).then(() => true, () => false)) missing.push(`${path}: ${file}`);
    }
  }
  assert.ok(checked > 100, `only ${checked} files are named`);
  assert.deepEqual(missing, []);
});

Deno.test("docs/complaints.md: each test that it names exists", async () => {
  const page = PAGES.get("docs/complaints.md")!;
  const named = [...page.matchAll(/`([\w/]+_test\.ts)`: "([^"]+)"/g)];
  assert.equal(named.filter(([, file]) => file === "testing/service/complaints_test.ts").length, 10);
  assert.ok(named.length > 10);
  for (const [, file, name] of named) {
    const code = await Deno.readTextFile(`${ROOT}${file}`);
    assert.ok(code.includes(`"${name}"`), `${file} has no test "${name}"`);
  }
});

/** Path of a Python with kafka-python, created once. */
async function python(): Promise<string> {
  const folder = await prepared("python-kafka-1", async (folder) => {
    await run("python3", ["-m", "venv", "--copies", folder]);
    await run(`${folder}/bin/python`, ["-m", "pip", "install", "--quiet", "--no-compile", "kafka-python==3.0.12"]);
  });
  return `${folder}/bin/python`;
}

// kafkajs, which checks that the broker is up, leaves timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

Deno.test("README: the service runs as described, and its tables are as described", leaky, async () => {
  await using broker = await startKafka();
  await using server = await startPostgres();
  const folder = await Deno.makeTempDir({ prefix: "clickstream-readme-" });
  await Deno.symlink(`${ROOT}dist`, `${folder}/dist`);
  const http = `127.0.0.1:${freePort()}`;
  const url = await server.createDatabase();
  const env = { KAFKA_BROKERS: broker.bootstrap, DATABASE_URL: url, HTTP_LISTEN: http };
  const running = (line: string) => Child.start("sh", ["-c", `cd '${folder}' && exec ${line}`], `${folder}/log`, env);

  exported("export KAFKA_BROKERS=localhost:9092");
  exported("export DATABASE_URL=postgres://clickstream@localhost/clickstream");
  await shell("dist/clickstream migrate", folder, env);
  await using service = running("dist/clickstream run");
  await until("the service is alive", () => fetch(`http://${http}/health`).then((r) => r.ok, () => false));

  // The reader's own events, in every way that the README shows.
  const [example] = blocks(README, "json");
  const event = { ...JSON.parse(example!), timestamp: new Date().toISOString() };
  await Deno.writeTextFile(`${folder}/my-events.ndjson`, `${JSON.stringify(event)}\n`);
  const checked = await shell("dist/clickstream produce --check my-events.ndjson", folder, env);
  assert.match(checked, /^checked 1 line/);
  const echo = COMMANDS.find((line) => line.startsWith("echo "))!;
  await shell(echo, folder, env);
  await using site = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    return new Response(`${JSON.stringify(event)}\n`);
  });
  const curl = "curl -sN http://localhost:3000/clicks.ndjson | dist/clickstream produce -";
  await shell(curl, folder, env, { "localhost:3000": `127.0.0.1:${site.addr.port}` });
  const [inPython, inJavaScript] = [blocks(README, "python"), blocks(README, "js")].map(([code]) => {
    assert.ok(code!.includes("localhost:9092"));
    return code!.replaceAll("localhost:9092", broker.bootstrap);
  });
  await Deno.writeTextFile(`${folder}/shop.py`, inPython!);
  await run(await python(), [`${folder}/shop.py`]);
  await Deno.writeTextFile(`${folder}/shop.mjs`, inJavaScript!);
  await run(Deno.execPath(), ["run", "-A", "--quiet", `--config=${ROOT}deno.json`, "--frozen", `${folder}/shop.mjs`]);
  await until("the service is ready", () => fetch(`http://${http}/ready`).then((r) => r.ok, () => false));
  await using(url, async (db) => {
    const own =
      "select string_agg(event_type || ' ' || page, ', ' order by event_type, page) as text from clickstream.events";
    const expected =
      "add_to_cart /shoes/42, page_view /shoes, page_view /shoes, purchase /checkout/done?utm_source=mail";
    let text: string | null = null;
    await until("they are stored", async () => {
      text = (await db.query<{ text: string | null }>(own)).rows[0]!.text;
      return text === expected;
    }).catch(() => assert.equal(text, expected));
  });
  await using shop = running("dist/clickstream generate --rate 2000");
  for (const line of ["dist/clickstream run", "dist/clickstream generate --rate 2000"]) ran.add(line);

  await using(url, async (db) => {
    const [kept] = /^## What it keeps$.+?(?=^## )/ms.exec(README)!;
    const tables = [...kept.matchAll(/^\| `([a-z_]+)` /gm)].map(([, name]) => name!);
    const { rows } = await db.query<{ name: string }>(
      `select table_name as name from information_schema.tables t
        where table_schema = 'clickstream' and not exists
              (select from pg_inherits where inhrelid = format('%I.%I', table_schema, table_name)::regclass)`,
    );
    const [memory] = /^The program's own memory is in .+?(?=^$)/ms.exec(kept)!;
    const own = [...memory.matchAll(/`([a-z_]+)`/g)].map(([, name]) => name!);
    assert.deepEqual([...tables, ...own].sort(), rows.map(({ name }) => name).sort());
    for (const table of tables) {
      await until(`${table} has rows`, async () => {
        return (await db.query<{ n: string }>(`select count(*)::text as n from clickstream.${table}`)).rows[0]!.n !==
          "0";
      });
    }
    const [, funnel] = /`(select \* from clickstream\.[^`]+)`/.exec(README)!;
    assert.equal((await db.query(funnel!)).rows.length, 3);
  });
  // The statements that psql would send.
  const psql = COMMANDS.find((line) => line.startsWith("psql -c "))!;
  await using(url, (db) => db.exec(/"(.+)"/.exec(psql)![1]!));
  ran.add(psql);
  const here = { "localhost:8080": http };
  const ready = "curl -s localhost:8080/ready";
  assert.match(await shell(ready, folder, env, here), /ready/);
  assert.match(await shell("curl -s localhost:8080/api/status", folder, env, here), /"partitions"/);
  assert.match(await shell("dist/clickstream doctor", folder, env), /✓ schema/);
  assert.equal(await shop.end("SIGTERM"), 0, await shop.tail());
  assert.equal(await service.end("SIGTERM"), 0, await service.tail());
  assert.match(await sh("dist/clickstream help", folder), /^ +run +\S/m);
  await Deno.remove(folder, { recursive: true });
});

// Must be the last test: it checks what the previous ones have run.
Deno.test("every command in a shell block is run by a test or listed with a reason", leaky, () => {
  const missing = [...new Set(COMMANDS)].filter((line) => !ran.has(line) && !(line in NOT_RUN));
  assert.deepEqual(missing, [], "run these in a test of this file, or list them in NOT_RUN with the reason");
  assert.deepEqual(Object.keys(NOT_RUN).filter((line) => !COMMANDS.includes(line) || ran.has(line)), []);
});
