import assert from "node:assert/strict";
import { freePort, run, until } from "../../testing/servers/child.ts";
import { onServer } from "../../testing/servers/databases.ts";
import { FAULTS, startFaults } from "../../testing/servers/network_faults.ts";
import { startPostgres, using } from "../../testing/servers/postgres.ts";
import { Unavailable } from "../pipeline/commit.ts";
import { type Database, DatabaseError, DatabaseUnavailable } from "./database.ts";
import { openPostgres } from "./postgres.ts";
import { isTransient } from "./database_errors.ts";

Deno.test("an error is worth a retry if it may pass", () => {
  const coded = (code: string) => Object.assign(new Error("said"), { code });
  for (const code of ["57P01", "57P03", "53300", "53100", "58030", "08006", "40P01", "40001", "55P03", "25006"]) {
    assert.equal(isTransient(coded(code)), true, code);
  }
  for (const code of ["ECONNREFUSED", "EPIPE", "EPROTO", "UNKNOWN", "ENOENT", "EPERM", "ERR_SSL_DECRYPTION_FAILED"]) {
    assert.equal(isTransient(coded(code)), true, code);
    assert.equal(isTransient(coded(code), { embedded: true }), false, code);
  }
  for (const code of ["28P01", "3D000", "42501", "42P01", "23505", "22P02", "25P02", "XX000"]) {
    assert.equal(isTransient(coded(code)), false, code);
  }
  for (const code of ["ERR_TLS_CERT_ALTNAME_INVALID", "SELF_SIGNED_CERT_IN_CHAIN", "CERT_HAS_EXPIRED"]) {
    assert.equal(isTransient(coded(code)), false, code);
  }
  assert.equal(isTransient(coded("XX000"), { connecting: true }), true);
  assert.equal(isTransient(coded("28P01"), { connecting: true }), false);
  assert.equal(isTransient(new AggregateError([coded("ECONNREFUSED"), coded("ENETUNREACH")])), true);
  assert.equal(isTransient(new Unavailable("down", { kind: "kafka_unreachable" })), true);
  for (const said of ["write UNKNOWN", "Connection terminated unexpectedly", "received fatal alert: InternalError"]) {
    assert.equal(isTransient(new Error(said)), true, said);
  }
  for (const said of ["invalid peer certificate: UnknownIssuer", "The server does not support SSL connections"]) {
    assert.equal(isTransient(new Error(said)), false, said);
  }
  for (const mistake of [new TypeError("ours"), new RangeError("ours"), new assert.AssertionError({}), "anything"]) {
    assert.equal(isTransient(mistake), false);
  }
});

Deno.test("a server that does not listen is unavailable, and its password is not shown", async () => {
  const port = freePort();
  await assert.rejects(openPostgres(`postgres://shop:hush@127.0.0.1:${port}/shop`), (error) => {
    assert.ok(error instanceof DatabaseUnavailable);
    assert.match(error.message, new RegExp(`connect to PostgreSQL at 127.0.0.1:${port}, database shop, as shop`));
    assert.doesNotMatch(`${error.message} ${error.stack} ${Deno.inspect(error)}`, /hush/);
    return true;
  });
});

Deno.test("a server that does not answer is unavailable", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  const opening = openPostgres(`postgres://shop@127.0.0.1:${listener.addr.port}/shop`, { connectTimeoutMs: 100 });
  await assert.rejects(opening, DatabaseUnavailable);
  (await accepted).close();
});

onServer("an outage", async (t, server) => {
  const url = await server.createDatabase();
  const ended = (db: Database) => assert.rejects(db.query("select 1"), DatabaseUnavailable);

  await t.step("of an idle connection fails the next statement", async () => {
    const db = await openPostgres(url);
    const { rows } = await db.query<{ pid: number }>("select pg_backend_pid() as pid");
    await using(url, async (other) => {
      await other.query("select pg_terminate_backend($1)", [rows[0]!.pid]);
      await until("the connection is gone", async () => {
        const { rowCount } = await other.query("select from pg_stat_activity where pid = $1", [rows[0]!.pid]);
        return rowCount === 0;
      });
    });
    await ended(db);
    await ended(db);
    await assert.rejects(db.transaction(() => Promise.resolve()), DatabaseUnavailable);
    await assert.rejects(db.copyIn("copy t from stdin", []), DatabaseUnavailable);
    await db.close();
  });

  await t.step("in the middle of a transaction rolls it back", async () => {
    const db = await openPostgres(url);
    await db.exec("create table half (n int)");
    const body = db.transaction(async (tx) => {
      const { rows } = await tx.query<{ pid: number }>("select pg_backend_pid() as pid");
      await tx.query("insert into half values (1)");
      await using(url, (other) => other.query("select pg_terminate_backend($1)", [rows[0]!.pid]));
      await tx.query("insert into half values (2)");
    });
    await assert.rejects(body, DatabaseUnavailable);
    await db.close();
    await using(url, async (other) => assert.equal((await other.query("select from half")).rowCount, 0));
  });

  await t.step("by a lock or statement timeout leaves the connection usable", async () => {
    const db = await openPostgres(url, { settings: { lock_timeout: "20ms", statement_timeout: "200ms" } });
    await db.exec("create table held (n int)");
    await using(url, (holder) =>
      holder.transaction(async (tx) => {
        await tx.exec("lock table held");
        await assert.rejects(db.query("select from held"), isUnavailable(/lock timeout/));
      }));
    await assert.rejects(db.query("select pg_sleep(60)"), isUnavailable(/statement timeout/));
    assert.equal((await db.query("select from held")).rowCount, 0);
    await db.close();
  });

  await t.step("by a missing answer closes the connection", async () => {
    const db = await openPostgres(url, { answerTimeoutMs: 300 });
    const fromMs = performance.now();
    await assert.rejects(db.query("select pg_sleep(60)"), /gave no answer in 300 ms/);
    await ended(db);
    await db.close();
    assert.ok(performance.now() - fromMs < 30_000);
  });

  await t.step("of the network is detected by the answer timeout", async () => {
    await using proxy = startProxy(server.port);
    const through = url.replace(String(server.port), String(proxy.port));
    const [asking, leaving] = [await openPostgres(through, { answerTimeoutMs: 300 }), await openPostgres(through)];
    proxy.isDown = true;
    await assert.rejects(asking.query("select 1"), isUnavailable(/gave no answer in 300 ms/));
    await Promise.all([asking.close(), leaving.close()]);
  });

  await t.step("of any kind and at any moment counts as unavailable", async () => {
    await using(url, (db) => db.exec("create table copied (text text)"));
    await using proxy = await startFaults(server.port);
    const through = `${url.replace(String(server.port), String(proxy.port))}?sslmode=disable`;
    const rows = new TextEncoder().encode(`${"x".repeat(999)}\n`.repeat(50));
    let failures = 0;
    for (let n = 0; n < 54; n++) {
      try {
        const db = await openPostgres(through, { answerTimeoutMs: 2000 });
        try {
          for (let commits = 0; commits < 5; commits++) {
            await db.transaction(async (tx) => {
              await tx.query("select repeat('y', 5000)");
              await tx.copyIn("copy copied from stdin", [rows, rows]);
            });
          }
        } finally {
          await db.close();
        }
      } catch (error) {
        assert.ok(error instanceof DatabaseUnavailable, String(error));
        failures++;
      }
    }
    assert.deepEqual((await proxy.struck()).symmetricDifference(new Set<string>(FAULTS)), new Set());
    assert.ok(failures >= 27, `${failures} failed`);
  });

  await t.step("at the start of a session counts as unavailable", async () => {
    await using(
      url,
      (db) => db.exec("create role unlucky login; alter role unlucky set session_preload_libraries = 'gone'"),
    );
    // The server cannot load a file, as on a broken disk.
    await assert.rejects(openPostgres(url.replace("postgres@", "unlucky@")), isUnavailable(/gone/));
  });

  await t.step("is not reported for permanent errors", async () => {
    const refusal = (code: string) => (error: unknown) => error instanceof DatabaseError && error.code === code;
    await assert.rejects(openPostgres(server.url("nowhere")), refusal("3D000"));
    await assert.rejects(openPostgres(url.replace("postgres@", "stranger@")), refusal("28000"));
    await assert.rejects(openPostgres(url, { settings: { statement_timeout: "soon" } }), refusal("22023"));
    await assert.rejects(openPostgres(url, { tlsCa: "none" }), DatabaseError);
  });

  await t.step("of the whole server ends when it has restarted", async () => {
    const db = await openPostgres(url);
    await server.stop("immediate");
    await ended(db);
    await db.close();
    await assert.rejects(openPostgres(url), DatabaseUnavailable);
    await server.start();
    await using(url, async (again) => assert.equal((await again.query("select 1")).rowCount, 1));
  });
});

Deno.test("a full server is unavailable, and the first suitable server of several is used", async () => {
  const settings = { max_connections: "5", superuser_reserved_connections: "0", default_transaction_read_only: "on" };
  await using servers = new AsyncDisposableStack();
  const [server, other] = await Promise.all([startPostgres({ settings }), startPostgres()]);
  for (const each of [server, other]) servers.use(each);
  const several = (wants: string) =>
    `postgres://postgres@127.0.0.1:${freePort()},127.0.0.1:${server.port},127.0.0.1:${other.port}/postgres${wants}`;
  const portOf = async (wants: string) => {
    return await using(several(wants), async (db) => (await db.query("show port")).rows[0]!["port"]);
  };
  assert.equal(await portOf(""), String(server.port));
  assert.equal(await portOf("?target_session_attrs=primary"), String(server.port));
  assert.equal(await portOf("?target_session_attrs=read-write"), String(other.port));
  const opened: Database[] = [];
  try {
    await assert.rejects(async () => {
      for (let i = 0; i < 6; i++) opened.push(await openPostgres(server.url()));
    }, DatabaseUnavailable);
    assert.equal(await portOf(""), String(other.port));
  } finally {
    for (const db of opened) await db.close();
  }
  await other.stop("immediate");
  await assert.rejects(
    portOf("?target_session_attrs=read-write"),
    isUnavailable(/it is read only.*connect to PostgreSQL at/),
  );
});

Deno.test("with a certificate authority, a connection requires TLS", async () => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-tls-" });
  try {
    const [own, other] = await Promise.all(["own", "other"].map((name) => certificate(folder, name)));
    const settings = {
      ...{ ssl: "on", ssl_cert_file: own!.certificate, ssl_key_file: own!.key },
      unix_socket_directories: folder,
    };
    if (Deno.uid() === 0) await Deno.chmod(folder, 0o777);
    await using server = await startPostgres({ settings });
    const secure = async (db: Database) => {
      const { rows } = await db.query("select ssl from pg_stat_ssl where pid = pg_backend_pid()");
      await db.close();
      return rows;
    };
    const plain = server.url();
    const url = `${plain}?sslmode=disable`;
    assert.deepEqual(await secure(await openPostgres(url, { tlsCa: own!.pem })), [{ ssl: true }]);
    assert.deepEqual(await secure(await openPostgres(url)), [{ ssl: false }]);
    // TLS parameters of the address, as libpq reads them.
    assert.deepEqual(await secure(await openPostgres(`${plain}?sslmode=require`)), [{ ssl: true }]);
    const [ca, foreign] = ["own", "other"].map((name) => encodeURIComponent(`${folder}/${name}-ca.crt`));
    const full = `${plain}?sslmode=verify-full`;
    assert.deepEqual(await secure(await openPostgres(`${full}&sslrootcert=${ca}`)), [{ ssl: true }]);
    await assert.rejects(openPostgres(`${full}&sslrootcert=${foreign}`), DatabaseError);
    await assert.rejects(openPostgres(full), DatabaseError);
    await assert.rejects(openPostgres(`${full}&sslrootcert=/nowhere`), /could not read \/nowhere, which sslrootcert/);
    // Both ways to name a Unix socket.
    for (
      const host of [
        `@${encodeURIComponent(folder)}:${server.port}/postgres`,
        `@/postgres?host=${folder}&port=${server.port}`,
      ]
    ) {
      assert.deepEqual(await secure(await openPostgres(`postgres://postgres${host}`)), [{ ssl: false }]);
    }
    await assert.rejects(openPostgres(`postgres://postgres@/postgres?host=${folder}&port=1`), (error) => {
      return error instanceof DatabaseUnavailable && error.message.includes(`${folder}/.s.PGSQL.1, database postgres`);
    });
    await assert.rejects(openPostgres(url, { tlsCa: other!.pem }), DatabaseError);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** While true, the proxy accepts bytes and passes none on. */
  isDown: boolean;
}

/** Starts a proxy between the client and a port. */
function startProxy(port: number): Proxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const proxy = { port: listener.addr.port, isDown: false };
  const pass = async (from: Deno.Conn, to: Deno.Conn) => {
    const writer = to.writable.getWriter();
    try {
      for await (const bytes of from.readable) if (!proxy.isDown) await writer.write(bytes);
    } catch {
      // One side has closed: the other is closed below.
    }
    try {
      to.close();
    } catch {
      // The other side has closed it already.
    }
  };
  const passing: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const client of listener) {
      const server = await Deno.connect({ hostname: "127.0.0.1", port });
      passing.push(pass(client, server), pass(server, client));
    }
  })();
  return Object.assign(proxy, {
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      await Promise.all(passing);
    },
  });
}

/** Creates a certificate authority, its certificate for 127.0.0.1, and a key that the server may read. */
async function certificate(folder: string, name: string): Promise<{ certificate: string; key: string; pem: string }> {
  const at = (file: string) => `${folder}/${name}-${file}`;
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const dated = ["-days", "2", "-subj", `/CN=${name}`];
  await run("openssl", ["req", "-x509", ...key, ...dated, "-keyout", at("ca.key"), "-out", at("ca.crt")]);
  await run("openssl", [
    ...["req", "-x509", ...key, ...dated, "-keyout", at("key"), "-out", at("crt"), "-CA", at("ca.crt")],
    ...["-CAkey", at("ca.key"), "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"],
  ]);
  await Deno.chmod(folder, 0o755);
  // The server accepts a key that it owns, or one that root owns and its group may read.
  if (Deno.uid() === 0) await run("chown", ["root:nogroup", at("key")]);
  await Deno.chmod(at("key"), Deno.uid() === 0 ? 0o640 : 0o600);
  return { certificate: at("crt"), key: at("key"), pem: await Deno.readTextFile(at("ca.crt")) };
}

function isUnavailable(said: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof DatabaseUnavailable && said.test(error.message);
}
