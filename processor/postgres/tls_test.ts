/** Logins to a real PostgreSQL: encryption as libpq means it, certificates of clients, tokens of RDS, several servers. */
import assert from "node:assert/strict";
import { REGION, startAws } from "../../testing/servers/aws.ts";
import { type Certificate, makeAuthority } from "../../testing/servers/certificates.ts";
import { run, until } from "../../testing/servers/child.ts";
import { type Server, startPostgres, using } from "../../testing/servers/postgres.ts";
import { startRds } from "../../testing/servers/rds.ts";
import { CredentialSource } from "../aws/credentials.ts";
import { rdsToken } from "../aws/tokens.ts";
import type { Database } from "./database.ts";
import { openPostgres, type PostgresOptions } from "./postgres.ts";

/** How a login ends: encrypted, in plain text, or the error. */
async function outcome(url: string, options: PostgresOptions = {}): Promise<string> {
  let db: Database;
  try {
    db = await openPostgres(url, options);
  } catch (error) {
    return (error as Error).message;
  }
  const { rows: [row] } = await db.query<{ ssl: boolean; who: string | null }>(
    "select ssl, client_dn as who from pg_stat_ssl where pid = pg_backend_pid()",
  );
  await db.close();
  return row!.ssl ? `encrypted${row!.who === null ? "" : `, ${row!.who}`}` : "plain";
}

/** Lets the server, which runs as another user, read a certificate and its key. */
async function served({ certFile, keyFile }: Certificate): Promise<Record<string, string>> {
  if (Deno.uid() === 0) await run("chown", ["nobody", keyFile]);
  return { ssl: "on", ssl_cert_file: certFile, ssl_key_file: keyFile };
}

async function temporary(): Promise<string> {
  const folder = await Deno.makeTempDir({ dir: "/tmp", prefix: "clickstream-tls-" });
  await Deno.chmod(folder, 0o755);
  return folder;
}

const ENCRYPTED = /^encrypted$/;
const PLAIN = /^plain$/;
const NO_LINE = /no pg_hba.conf entry/;

Deno.test("sslmode is what libpq makes of it, and a client can be known by its certificate", async (t) => {
  await using stack = new AsyncDisposableStack();
  const folder = await temporary();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const [authority, other] = await Promise.all(["own", "other"].map(async (name) => {
    await Deno.mkdir(`${folder}/${name}`);
    return await makeAuthority(`${folder}/${name}`, name);
  }));
  const logins = [
    "hostssl all encrypted 127.0.0.1/32 trust",
    "hostnossl all plain 127.0.0.1/32 trust",
    "host all both 127.0.0.1/32 trust",
    "hostssl all known 127.0.0.1/32 cert clientcert=verify-full",
    "hostssl all mapped 127.0.0.1/32 trust clientcert=verify-ca",
  ];
  const named = await authority!.issue("localhost", ["DNS:localhost"]);
  const [server, without] = await Promise.all([
    startPostgres({ logins, settings: { ...await served(named), ssl_ca_file: authority!.file } }),
    startPostgres(),
  ]);
  for (const each of [server, without]) stack.use(each);
  await using(
    server.url(),
    (db) =>
      db.exec(["encrypted", "plain", "both", "known", "mapped"].map((name) => `create role "${name}" login;`).join("")),
  );
  const at = (user: string, parameters: string, host = "127.0.0.1", { port }: Server = server) =>
    outcome(`postgres://${user}@${host}:${port}/postgres${parameters}`);

  await t.step("with every kind of line in pg_hba.conf", async () => {
    /** Mode, and what becomes of users who must, must not and may encrypt, and at a server that cannot. */
    const modes: readonly (readonly [string, RegExp, RegExp, RegExp, RegExp])[] = [
      ["", ENCRYPTED, PLAIN, ENCRYPTED, PLAIN],
      ["?sslmode=disable", NO_LINE, PLAIN, PLAIN, PLAIN],
      ["?sslmode=allow", ENCRYPTED, PLAIN, PLAIN, PLAIN],
      ["?sslmode=prefer", ENCRYPTED, PLAIN, ENCRYPTED, PLAIN],
      ["?sslmode=require", ENCRYPTED, NO_LINE, ENCRYPTED, /does not support SSL/],
    ];
    for (const [mode, ...expected] of modes) {
      const found = [await at("encrypted", mode), await at("plain", mode), await at("both", mode)];
      found.push(await at("postgres", mode, "127.0.0.1", without));
      for (const [n, said] of found.entries()) assert.match(said, expected[n]!, `${mode} ${n}`);
    }
    assert.match(await at("nobody", ""), /no pg_hba.conf entry for host .*nobody.*SSL encryption|, SSL on/);
  });

  await t.step("which verifies the authority, and the host name too", async () => {
    const [own, foreign] = [authority!.file, other!.file].map((file) => `&sslrootcert=${encodeURIComponent(file)}`);
    assert.equal(await at("both", `?sslmode=verify-ca${own}`), "encrypted");
    assert.equal(await at("both", `?sslmode=require${own}`), "encrypted");
    assert.equal(await at("both", `?sslmode=verify-full${own}`, "localhost"), "encrypted");
    assert.match(await at("both", `?sslmode=verify-full${own}`), /certificate|NotValidForName/i);
    for (const mode of ["require", "verify-ca", "verify-full"]) {
      assert.match(await at("both", `?sslmode=${mode}${foreign}`, "localhost"), /certificate|UnknownIssuer/i, mode);
    }
    assert.match(await at("both", "?sslrootcert=system", "localhost"), /certificate|UnknownIssuer/i);
    assert.equal(
      await outcome(`postgres://both@localhost:${server.port}/postgres`, { tlsCa: authority!.pem }),
      "encrypted",
    );
  });

  await t.step("and a client's certificate logs it in", async () => {
    const [known, stranger, forged] = [
      await authority!.issue("known"),
      await authority!.issue("stranger"),
      await other!.issue("known"),
    ];
    const encrypted = `${folder}/encrypted.key`;
    await run("openssl", ["pkcs8", "-topk8", "-in", known.keyFile, "-out", encrypted, "-passout", "pass:hunter2"]);
    const by = ({ certFile, keyFile }: Certificate, more = "") =>
      `?sslmode=require&sslcert=${certFile}&sslkey=${keyFile}${more}`;
    assert.equal(await at("known", by(known)), "encrypted, /CN=known");
    assert.equal(
      await at("known", by({ ...known, keyFile: encrypted }, "&sslpassword=hunter2")),
      "encrypted, /CN=known",
    );
    assert.equal(await at("known", by(known).replace("require", "prefer")), "encrypted, /CN=known");
    assert.equal(await at("mapped", by(stranger)), "encrypted, /CN=stranger");
    assert.match(await at("known", by(stranger)), /certificate authentication failed/);
    assert.match(
      await at("known", by(forged)),
      /could not connect to PostgreSQL.*(alert|closed|reset|ended|terminated)/i,
    );
    assert.match(await at("known", ""), /connection requires a valid client certificate/);
    assert.match(await at("known", by({ ...known, keyFile: stranger.keyFile })), /the key of another certificate/);
  });
});

Deno.test("a login by IAM signs a new password for each connection, and renews its credentials", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await temporary();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const authority = await makeAuthority(folder, "rds");
  const aws = stack.use(startAws());
  const server = stack.use(await startPostgres());
  const rds = stack.use(await startRds(server.port, await authority.issue("localhost", ["DNS:localhost"]), aws));
  await using(server.url(), (db) => db.exec('create role "clicks service" login; create role other login'));
  const environment = { keys: null, webIdentity: null, container: null, metadata: aws.url };
  const login = (user: string, region = REGION): PostgresOptions => {
    const credentials = new CredentialSource(environment);
    const password = async (at: { host: string; port: number }) =>
      await rdsToken({ ...at, user, region }, await credentials.get(), Date.now());
    return { tlsCa: authority.pem, password };
  };
  const url = `postgres://clicks%20service@localhost:${rds.port}/postgres`;
  const own = login("clicks service");
  assert.equal(await outcome(url, own), "plain", "the front speaks with the server in plain text");
  assert.equal(await outcome(url, own), "plain");
  assert.equal(aws.given, 1);
  // Credentials that expire soon are renewed for the next login.
  aws.lifeSeconds = 60;
  const renewed = login("clicks service");
  for (let n = 0; n < 3; n++) assert.equal(await outcome(url, renewed), "plain");
  assert.equal(aws.given, 4);
  for (const wrong of [login("other"), login("clicks service", "us-east-1")]) {
    assert.match(await outcome(url, wrong), /PAM authentication failed for user clicks service/);
  }
  aws.refuses = true;
  assert.match(
    await outcome(url, login("clicks service")),
    /could not connect to PostgreSQL at localhost:\d+.*cannot get AWS credentials from the instance metadata/,
  );
  for (const secret of aws.secrets) assert.ok(!(await outcome(url, login("other"))).includes(secret));
});

Deno.test("of a primary and its standby, the one that accepts writes is used, also after a failover", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await temporary();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const data = ["a", "b"].map((name) => `${folder}/${name}`) as [string, string];
  const primary = stack.use(await startPostgres({ dataDir: data[0] }));
  await using(primary.url(), (db) => db.exec("create table t as select 1 as n"));
  await primary.stop();
  await run("cp", ["-a", data[0], data[1]]);
  await Deno.writeTextFile(`${data[1]}/standby.signal`, "");
  await primary.start();
  const settings = { primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres` };
  const standby = stack.use(await startPostgres({ dataDir: data[1], settings }));
  const portOf = (parameters: string) =>
    using(
      `postgres://postgres@127.0.0.1:${standby.port},127.0.0.1:${primary.port}/postgres${parameters}`,
      async (db) => Number((await db.query("show port")).rows[0]!["port"]),
    );
  assert.equal(await portOf(""), standby.port, "any server that answers");
  for (const wanted of ["read-write", "primary"]) {
    assert.equal(await portOf(`?target_session_attrs=${wanted}`), primary.port, wanted);
  }
  await using(primary.url(), (db) => db.exec("insert into t values (2)"));
  await using(
    standby.url(),
    (db) => until("the standby follows", async () => (await db.query("select from t")).rowCount === 2),
  );
  await primary.stop("immediate");
  await assert.rejects(
    portOf("?target_session_attrs=read-write"),
    /it is a standby, and read-write is wanted.*ECONNREF|connect/,
  );
  await using(standby.url(), (db) => db.exec("select pg_promote()"));
  assert.equal(await portOf("?target_session_attrs=read-write"), standby.port);
});
