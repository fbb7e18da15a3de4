/**
 * The binary, with its own rights, logs in by certificates, tokens, AWS's IAM and sockets; none of their secrets is in
 * what it prints, serves or shows to others.
 */
import assert from "node:assert/strict";
import { REGION, startAws } from "../servers/aws.ts";
import { BINARY, clickstream } from "../servers/binary.ts";
import { makeAuthority } from "../servers/certificates.ts";
import { Child, freePort, run, until } from "../servers/child.ts";
import { CLIENT, startIdentity, trusting } from "../servers/identity.ts";
import { brokerClasses, startKafka } from "../servers/kafka.ts";
import { startPostgres, using } from "../servers/postgres.ts";
import { startRds } from "../servers/rds.ts";

// kafkajs, which the broker's helper uses, leaves timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

/** The broker ends a connection that has not logged in again after this time. */
const SESSION_MS = 3000;

type Env = Readonly<Record<string, string>>;

Deno.test("the binary logs in without passwords, and keeps what it logs in with to itself", leaky, async (t) => {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ dir: "/tmp", prefix: "clickstream-logins-" });
  await Deno.chmod(folder, 0o777);
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const authority = await makeAuthority(folder);
  const local = await authority.issue("localhost", ["DNS:localhost"]);
  const aws = stack.use(startAws());
  const identity = stack.use(await startIdentity(local));
  const { properties, java } = trusting(identity, "SignedRequestValidator");
  const broker = stack.use(
    await startKafka({
      secure: { tls: true, sasl: "OAUTHBEARER" },
      mutualTls: true,
      classes: await brokerClasses(),
      java: [...java, `-Dsigned.requests=${aws.url}/`],
      properties: { ...properties, "listener.name.secure.oauthbearer.connections.max.reauth.ms": String(SESSION_MS) },
    }),
  );
  await broker.createTopic("clicks", 2);
  const served = await authority.issue("localhost", ["DNS:localhost"]);
  if (Deno.uid() === 0) await run("chown", ["nobody", served.keyFile]);
  const server = stack.use(
    await startPostgres({
      logins: ["local all all trust", "hostssl all service 127.0.0.1/32 cert", "hostnossl all all 127.0.0.1/32 trust"],
      settings: {
        unix_socket_directories: folder,
        ...{ ssl: "on", ssl_cert_file: served.certFile, ssl_key_file: served.keyFile, ssl_ca_file: authority.file },
      },
    }),
  );
  const rds = stack.use(await startRds(server.port, local, aws));
  const database = new URL(await server.createDatabase()).pathname.slice(1);
  await Deno.writeTextFile(`${folder}/authorities.pem`, `${broker.caPem}${authority.pem}`);
  const common: Env = {
    KAFKA_TOPIC: "clicks",
    KAFKA_TLS_CA: `${folder}/authorities.pem`,
    WORKERS: "1",
    LOG_LEVEL: "debug",
    LOG_FORMAT: "json",
  };
  const socket = `?host=${folder}&port=${server.port}`;
  assert.equal((await clickstream(["migrate"], { DATABASE_URL: `postgres://postgres@/${database}${socket}` })).code, 0);
  await using(server.url(database), (db) => db.exec("create role service login in role clickstream_writer"));
  const [kafka, postgres] = [await broker.authority!.issue("service"), await authority.issue("service")];

  /** Settings of each kind of login, and what doctor says about them. */
  const logins: Readonly<Record<string, readonly [Env, readonly RegExp[]]>> = {
    "AWS's IAM": [{
      KAFKA_BROKERS: broker.secureBootstrap,
      KAFKA_SASL_MECHANISM: "AWS_MSK_IAM",
      DATABASE_URL: `postgres://service@localhost:${rds.port}/${database}`,
      DATABASE_TLS_CA: authority.file,
      DATABASE_AUTH: "AWS_RDS_IAM",
      AWS_REGION: REGION,
      AWS_EC2_METADATA_SERVICE_ENDPOINT: aws.url,
    }, [/✓ kafka login: with AWS credentials/, /✓ postgres login: as service/]],
    "tokens and a socket": [{
      KAFKA_BROKERS: broker.secureBootstrap,
      KAFKA_SASL_MECHANISM: "OAUTHBEARER",
      KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: identity.tokenUrl,
      KAFKA_SASL_OAUTHBEARER_CLIENT_ID: CLIENT.id,
      KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET_FILE: `${folder}/secret`,
      KAFKA_SASL_OAUTHBEARER_SCOPE: "clicks",
      DATABASE_URL: `postgres://service@/${database}${socket}`,
    }, [/✓ kafka login: with a token of/, /✓ postgres connection: .*\.s\.PGSQL/, /✓ postgres login: as service/]],
    "certificates": [
      {
        KAFKA_BROKERS: broker.mutualBootstrap,
        KAFKA_TLS_CERT: kafka.certFile,
        KAFKA_TLS_KEY_FILE: kafka.keyFile,
        DATABASE_URL: `postgres://service@localhost:${server.port}/${database}?sslmode=verify-full` +
          `&sslrootcert=${authority.file}&sslcert=${postgres.certFile}&sslkey=${postgres.keyFile}`,
      },
      [
        /! kafka client certificate: expires in \d days: CN=service/,
        /✓ kafka login: by the certificate/,
        /! postgres client certificate: expires in \d days/,
        /✓ postgres encryption: the connection uses TLS/,
      ],
    ],
  };
  await Deno.writeTextFile(`${folder}/secret`, `${CLIENT.secret}\n`);
  const seen = new Map<string, string>();
  for (const [kind, [login, findings]] of Object.entries(logins)) {
    await t.step(kind, async () => {
      const address = `127.0.0.1:${freePort()}`;
      const env = { ...common, ...login, HTTP_LISTEN: address };
      for (const command of ["config check", "config show", "doctor"]) {
        const { out, err, code } = await clickstream(command.split(" "), env);
        seen.set(`${kind}: ${command}`, out + err);
        if (command === "config check") assert.equal(code, 0, err);
      }
      for (const finding of findings) assert.match(seen.get(`${kind}: doctor`)!, finding);
      const log = `${folder}/${kind.replaceAll(/\W/g, "-")}.log`;
      await using service = Child.start(BINARY, ["run"], log, env);
      const isReady = () => fetch(`http://${address}/ready`).then((r) => r.text().then(() => r.ok), () => false);
      await until(`${kind}: ready`, isReady, 60_000).catch(async (error) => {
        throw new Error(`${error}: ${await service.tail()}`);
      });
      for (const path of ["api/status", "metrics"]) {
        seen.set(`${kind}: ${path}`, await fetch(`http://${address}/${path}`).then((response) => response.text()));
      }
      seen.set(`${kind}: process list`, await Deno.readTextFile(`/proc/${service.pid}/cmdline`));
      assert.equal(await service.end("SIGTERM"), 0);
      seen.set(`${kind}: log`, await Deno.readTextFile(log));
    });
  }
  await t.step("sessions end and the provider fails, and no record waits for long or counts twice", async () => {
    const address = `127.0.0.1:${freePort()}`;
    const env = { ...common, ...logins["tokens and a socket"]![0], HTTP_LISTEN: address, COMMIT_EVERY_MS: "100" };
    identity.lifeSeconds = 8;
    await using service = Child.start(BINARY, ["run"], `${folder}/sessions.log`, env);
    const read = (path: string) => fetch(`http://${address}/${path}`).then((response) => response.text(), () => "");
    const isReady = async () => await read("ready").then((said) => /ready/.test(said) && !/not ready/i.test(said));
    await until("ready", isReady);
    const open = { ...common, KAFKA_BROKERS: broker.bootstrap, KAFKA_TLS_CA: "" };
    const making = clickstream(
      ["generate", "--rate", "200", "--seconds", String(5 * SESSION_MS / 1000), "--json"],
      open,
    );
    const restarts = async () =>
      [...(await read("metrics")).matchAll(/^clickstream_restarts_total\{.*\} (\d+)/gm)].map(([, n]) => Number(n));
    const causes = async () =>
      (await Deno.readTextFile(`${folder}/sessions.log`)).split("\n").filter((line) => /"cause"|"reason"/.test(line))
        .join("\n");
    const asked = identity.asked;
    const made = await making;
    assert.equal(made.code, 0, made.err);
    assert.ok(identity.asked > asked, "tokens were renewed");
    assert.deepEqual((await restarts()).filter((n) => n > 0), [], `it was restarted:\n${await causes()}`);
    // A provider that fails for longer than tokens live, and comes back.
    identity.refuses = 503;
    await until("it is not ready", async () => !await isReady());
    assert.equal(service.ended, false, await service.tail());
    identity.refuses = null;
    await until("it is ready again", isReady);
    const again = await clickstream(["generate", "--rate", "100", "--seconds", "1", "--seed", "2", "--json"], open);
    const sent = [made, again].map(({ out }) => JSON.parse(out).records as number);
    const count = () =>
      using(server.url(database), async (db) => {
        const { rows } = await db.query("select sum(consumed)::int as n from clickstream.progress");
        return rows[0]!["n"] as number;
      });
    const expected = sent[0]! + sent[1]!;
    await until(`${expected} records are counted`, async () => await count() >= expected);
    assert.equal(await count(), expected);
    assert.equal(await service.end("SIGTERM"), 0);
    seen.set("sessions: log", await Deno.readTextFile(`${folder}/sessions.log`));
  });

  const secrets = [
    ...[...aws.secrets, CLIENT.secret].flatMap((secret) => [secret, encodeURIComponent(secret)]),
    ...["X-Amz-Signature", "access_token", "eyJhbGciOi", "PRIVATE KEY"],
    ...[kafka, postgres].map(({ key }) => key.slice(100, 140)),
    btoa(`${encodeURIComponent(CLIENT.id)}:`).slice(0, 12),
  ];
  assert.ok(secrets.length > 10 && seen.size === 22, `${seen.size} texts`);
  for (const [what, text] of seen) {
    assert.notEqual(text, "", what);
    for (const secret of secrets) assert.ok(!text.includes(secret), `${what} contains ${secret}`);
  }
});
