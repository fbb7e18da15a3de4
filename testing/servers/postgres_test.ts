import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { until } from "./child.ts";
import { startPostgres, using } from "./postgres.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The rows of one query on its own connection. */
async function query(url: string, sql: string, ssl?: pg.ClientConfig["ssl"]): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url, ...ssl !== undefined && { ssl } });
  // A server reports its shutdown; pending queries fail as well.
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Whether the process runs; a zombie has an empty command line. */
async function runs(pid: number): Promise<boolean> {
  return await Deno.readTextFile(`/proc/${pid}/cmdline`).then((command) => command !== "", () => false);
}

Deno.test("a server keeps its rows after any end, and leaves no process behind", async () => {
  const pids: number[] = [];
  {
    await using server = await startPostgres();
    const url = await server.createDatabase();
    await using(url, (db) => db.exec("create table t as select 1 as n"));
    assert.deepEqual(await query(url, "show fsync"), [{ fsync: "on" }]);
    for (const mode of ["fast", "immediate"] as const) {
      pids.push(server.pid);
      await server.restart(mode);
      assert.deepEqual(await query(url, "select n from t"), [{ n: 1 }]);
    }
    pids.push(server.pid);
    assert.deepEqual(await Promise.all(pids.map(runs)), [false, false, true]);
  }
  assert.deepEqual(await Promise.all(pids.map(runs)), [false, false, false]);
});

Deno.test("a server that requires passwords rejects users without one", async () => {
  await using server = await startPostgres({ passwords: true });
  const url = await server.createDatabase("shop");
  await using(url, (db) => db.exec("create role ann login password 'p@ss/word'"));
  const [row] = await query(server.urlFor("ann", "p@ss/word", "shop"), "select current_user as name");
  assert.deepEqual(row, { name: "ann" });
  await assert.rejects(query(server.urlFor("ann", "guess", "shop"), "select 1"), { code: "28P01" });
  await assert.rejects(query(server.urlFor("postgres", "guess", "shop"), "select 1"), { code: "28P01" });
});

Deno.test("a server with TLS has a certificate for localhost", async () => {
  await using server = await startPostgres({ tls: true });
  const url = server.url().replace("127.0.0.1", "localhost");
  const used = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
  assert.deepEqual(await query(url, used, { ca: server.caPem }), [{ ssl: true }]);
  assert.deepEqual(await query(url, used), [{ ssl: false }]);
  await assert.rejects(query(url, used, { rejectUnauthorized: true }));
});

Deno.test("the next server can use a server's folder", async () => {
  const dataDir = await Deno.makeTempDir({ dir: "/tmp", prefix: "clickstream-postgres-kept-" });
  try {
    {
      await using server = await startPostgres({ dataDir });
      await using(server.url(), (db) => db.exec("create table t as select 1 as n"));
    }
    await using server = await startPostgres({ dataDir });
    assert.deepEqual(await query(server.url(), "select n from t"), [{ n: 1 }]);
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
});

Deno.test("a server that can't start reports why", async () => {
  await assert.rejects(startPostgres({ settings: { max_connections: "many" } }), /max_connections.*many/);
});

Deno.test("a server ends with the program that started it", async () => {
  const program = `
    const { startPostgres } = await import("./testing/servers/postgres.ts");
    console.log((await startPostgres()).pid);
    setInterval(() => {}, 1000);
  `;
  const command = new Deno.Command(Deno.execPath(), { args: ["eval", "-q", program], cwd: ROOT, stdout: "piped" });
  const parent = command.spawn();
  let pid = 0;
  for await (const bytes of parent.stdout) {
    pid = Number(new TextDecoder().decode(bytes));
    assert.equal(await runs(pid), true);
    parent.kill("SIGKILL");
  }
  await parent.status;
  await until("the server is gone", async () => pid !== 0 && !await runs(pid), 10_000);
});
