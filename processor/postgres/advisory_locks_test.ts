import assert from "node:assert/strict";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { migrated, onEachDatabase } from "../../testing/servers/databases.ts";
import { ADVISORY_LOCKS, lockToTheEnd, tryLockForSession } from "./advisory_locks.ts";
import type { Database } from "./database.ts";

const ROOT = new URL("../../", import.meta.url);
const FOLDERS = ["bench", "generator", "grafana", "infra", "processor", "tasks", "testing"];

/** Source files by path, without the registry and this test. */
async function sources(folder: string, files = new Map<string, string>()): Promise<Map<string, string>> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(`${folder}/`, ROOT))) {
    const path = `${folder}/${name}`;
    if (isDirectory) await sources(path, files);
    else if (name.endsWith(".ts") && !name.startsWith("advisory_locks")) {
      files.set(path, await Deno.readTextFile(new URL(path, ROOT)));
    }
  }
  return files;
}

const CALL = /\bpg_(?:try_)?advisory_\w+/;

Deno.test("each advisory lock has its own number", () => {
  const numbers = Object.values<number>(ADVISORY_LOCKS);
  assert.equal(new Set(numbers).size, numbers.length);
});

Deno.test("only the registry takes advisory locks", async () => {
  const all = await Promise.all(FOLDERS.map((folder) => sources(folder)));
  const files = all.flatMap((some) => [...some]);
  assert.ok(files.length > 100);
  assert.deepEqual(files.filter(([, text]) => CALL.test(text)).map(([path]) => path), []);
});

Deno.test("SQL functions take only locks of the registry", () => {
  const numbers = Object.values<number>(ADVISORY_LOCKS);
  const calls = MIGRATIONS.flatMap(({ name, sql }) =>
    [...sql.matchAll(new RegExp(`${CALL.source}\\(([^)]*)\\)`, "g"))].map(([, number]) => [name, number] as const)
  );
  assert.ok(calls.length >= 2);
  for (const [name, number] of calls) assert.ok(numbers.includes(Number(number)), `${name}: ${number}`);
});

/** Names of the locks that are held. */
async function heldIn(db: Database): Promise<string[]> {
  const { rows } = await db.query<{ number: string }>(
    "select (classid::bigint << 32 | objid::bigint)::text as number from pg_locks where locktype = 'advisory'",
  );
  const names = Object.entries(ADVISORY_LOCKS);
  return rows.map(({ number }) => names.find(([, of]) => String(of) === number)?.[0] ?? number);
}

onEachDatabase("advisory locks", {
  "are held until the transaction or the connection ends": async (open) => {
    const db = await migrated(open);
    await db.transaction(async (tx) => {
      await lockToTheEnd(tx, "sharedRows");
      assert.deepEqual(await heldIn(tx), ["sharedRows"]);
    });
    assert.deepEqual(await heldIn(db), []);
    assert.equal(await tryLockForSession(db, "operation"), true);
    assert.deepEqual(await heldIn(db), ["operation"]);
  },
});
