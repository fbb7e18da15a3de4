import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Child, freePort, run, until } from "../testing/servers/child.ts";
import { startKafka } from "../testing/servers/kafka.ts";
import { startPostgres, using } from "../testing/servers/postgres.ts";
import { NEEDED } from "./packages.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const README = await Deno.readTextFile(`${ROOT}README.md`);

/** Commands of the README's shell examples, without the comments behind them. */
const COMMANDS = [...README.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block]) =>
  block!.split("\n").map((line) => line.replace(/ +#.*$/, "")).filter((line) => line !== "")
);

/** Commands that are written in running text. */
const IN_TEXT = [...README.matchAll(/`(\.\/deno [^`]+|dist\/clickstream [^`]+)`/g)].map(([, command]) => command!);

/** Runs a command line as it stands in the README. */
async function shell(line: string, cwd = ROOT, env: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command("sh", { args: ["-c", line], cwd, env }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.equal(code, 0, `${line} ended with ${code}:\n${out}${err}`);
  return out!;
}

Deno.test("the README's commands are those that are run here", () => {
  assert.deepEqual(COMMANDS, [
    "./deno task demo",
    "./deno task test",
    "./deno task build",
    "export KAFKA_BROKERS=localhost:9092",
    "export DATABASE_URL=postgres://clickstream@localhost/clickstream",
    "dist/clickstream migrate",
    "dist/clickstream run",
    "dist/clickstream generate --rate 2000",
    "dist/clickstream produce my-events.ndjson",
    // In an account of AWS; infra/ and tasks/deploy_test.ts have what can be tried without one.
    "export AWS_REGION=eu-central-1 DEPLOY_SIZE=small",
    "./deno task deploy",
    "./deno task destroy",
  ]);
  assert.deepEqual(IN_TEXT, [
    "./deno task demo --data shop",
    "./deno task test:hosts",
    "dist/clickstream help",
    "dist/clickstream help run",
  ]);
});

Deno.test("README: the demo, with nothing configured", async () => {
  assert.match(await shell("./deno task demo"), /All \d+ figures agree\.\n$/);
});

Deno.test("README: the build and the demo, in a folder whose name has a blank and an umlaut", async () => {
  const above = await Deno.makeTempDir({ prefix: "clickstream-readme-" });
  const folder = `${above}/a shop in Köln`;
  await Deno.mkdir(folder);
  for await (const { name } of Deno.readDir(ROOT)) {
    if (![".git", "dist"].includes(name)) await run("cp", ["-R", `${ROOT}${name}`, folder]);
  }
  assert.match(await shell("./deno task build", folder), /^dist\/clickstream: \d+ MB/);
  assert.match(await shell("dist/clickstream help run", folder), /COMMIT_EVERY_MS/);
  const demo = await shell(`./deno task demo --seconds 2 --port ${freePort()}`, folder);
  assert.match(demo, /All \d+ figures agree\.\n$/);
  await Deno.remove(above, { recursive: true });
});

Deno.test("README: the tests and the build are what these tests come from", async () => {
  const ci = await Deno.readTextFile(`${ROOT}.ci/run`);
  assert.match(ci, /^exec \.\/deno task test --hosts$/m);
  assert.match(await Deno.readTextFile(`${ROOT}tasks/test.ts`), /await build\(\)/);
  const [listed] = /install it before: [^.]+/.exec(README)!;
  assert.deepEqual(listed.split(/[:,]\s+/).slice(1).toSorted(), NEEDED.map(([, name]) => name).toSorted());
});

// kafkajs, by which the broker is found to be up, leaves timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

Deno.test("README: how it is run, and what it says of the tables", leaky, async () => {
  await using broker = await startKafka();
  await using server = await startPostgres();
  const folder = await Deno.makeTempDir({ prefix: "clickstream-readme-" });
  await Deno.symlink(`${ROOT}dist`, `${folder}/dist`);
  const http = `127.0.0.1:${freePort()}`;
  const url = await server.createDatabase();
  const env = { KAFKA_BROKERS: broker.bootstrap, DATABASE_URL: url, HTTP_LISTEN: http };
  const running = (line: string) => Child.start("sh", ["-c", `cd '${folder}' && exec ${line}`], `${folder}/log`, env);

  await shell("dist/clickstream migrate", folder, env);
  const event = { userId: "u1", eventType: "page_view", page: "/", timestamp: new Date().toISOString() };
  await Deno.writeTextFile(`${folder}/my-events.ndjson`, `${JSON.stringify(event)}\n`);
  await shell("dist/clickstream produce my-events.ndjson", folder, env);
  await using service = running("dist/clickstream run");
  await until("the service is ready", () => fetch(`http://${http}/ready`).then((r) => r.ok, () => false));
  await using shop = running("dist/clickstream generate --rate 2000");

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
    const named = [...README.matchAll(/`(conversion|top_pages|devices|activity_heatmap|top_users|retention)`/g)];
    assert.equal(named.length, 6);
    for (const [, report] of named) {
      const type = report === "retention" ? "date" : "timestamptz";
      const ever = `'2026-01-01'::${type}, '2100-01-01'::${type}`;
      await db.query(`select * from clickstream.${report}(${ever})`);
    }
  });
  assert.equal(await shop.end("SIGTERM"), 0, await shop.tail());
  assert.equal(await service.end("SIGTERM"), 0, await service.tail());
  assert.match(await shell("dist/clickstream help", folder), /run +Run the service/);
  assert.match(await shell("dist/clickstream help run", folder), /COMMIT_EVERY_MS/);
  await Deno.remove(folder, { recursive: true });
});
