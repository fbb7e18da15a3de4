/** Makes faults on purpose: doctor must name each fault and its fix. */
import assert from "node:assert/strict";
import { Consumer } from "@platformatic/kafka";
import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  ConfigResourceTypes,
  Kafka,
  logLevel,
  type Message,
  ResourcePatternTypes,
} from "kafkajs";
import { readSettings } from "../../config/config.ts";
import { KafkaSource } from "../../kafka/source.ts";
import { BINARY } from "../../../testing/servers/binary.ts";
import { freePort, run, until } from "../../../testing/servers/child.ts";
import { startKafka, USER } from "../../../testing/servers/kafka.ts";
import { startOtlp } from "../../../testing/servers/otlp.ts";
import { startPostgres, using } from "../../../testing/servers/postgres.ts";
import { clusterOf } from "../cli/cluster.ts";
import { doctor } from "./doctor.ts";
import { EXIT } from "../cli/exit.ts";
import { migrateCommand } from "../migrate.ts";
import { READS } from "../cli/reads.ts";

type Env = Readonly<Record<string, string>>;

/** Doctor's lines with these settings, and its exit code. */
async function said(env: Env, json = false): Promise<{ readonly code: number; readonly lines: readonly string[] }> {
  const lines: string[] = [];
  const settings = readSettings(READS.doctor, (name) => env[name]);
  const output = { print: (line: string) => lines.push(line), writeError: () => {} };
  return { code: await doctor({ json }, settings, output), lines };
}

/** Asserts that doctor prints every expected fault, and no other. */
async function finds(env: Env, expected: readonly RegExp[]): Promise<void> {
  const { code, lines } = await said(env);
  // The speed of the disk has nothing to do with the fault.
  const wrong = lines.filter((line) => /^[✗!]/.test(line) && !line.startsWith("! postgres write speed"));
  for (const pattern of expected) {
    assert.ok(wrong.some((line) => pattern.test(line)), `no line is like ${pattern}:\n${lines.join("\n")}`);
  }
  const others = wrong.filter((line) => !expected.some((pattern) => pattern.test(line)));
  assert.deepEqual(others, [], lines.join("\n"));
  for (const line of wrong) assert.match(line, / → ./, "a line without advice");
  assert.equal(code, wrong.some((line) => line.startsWith("✗")) ? EXIT.failed : EXIT.done, lines.join("\n"));
  assert.doesNotMatch(lines.join("\n"), /secret/);
}

async function migrate(url: string): Promise<void> {
  const env: Env = { DATABASE_URL: url };
  await migrateCommand({ check: false }, readSettings(READS.migrate, (name) => env[name]), () => {});
}

/** Listens with a certificate that `openssl` makes; returns the address, and the file of its authority. */
async function showing(folder: string, name: string, ...args: readonly string[]) {
  const file = (end: string) => `${folder}/${name}.${end}`;
  const key = ["-newkey", "rsa:2048", "-nodes", "-keyout"];
  await run("openssl", [
    "req",
    "-x509",
    "-days",
    "2",
    "-subj",
    "/CN=tests",
    ...key,
    file("ca.key"),
    "-out",
    file("ca"),
  ]);
  await run("openssl", ["req", "-subj", `/CN=${name}`, ...key, file("key"), "-out", file("csr")]);
  await Deno.writeTextFile(file("san"), `subjectAltName=DNS:${name}\n`);
  const by = ["-CA", file("ca"), "-CAkey", file("ca.key"), "-CAcreateserial", "-extfile", file("san")];
  await run("openssl", ["x509", "-req", ...args, "-in", file("csr"), ...by, "-out", file("pem")]);
  const [cert, keyPem] = await Promise.all([Deno.readTextFile(file("pem")), Deno.readTextFile(file("key"))]);
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key: keyPem });
  const serving = (async () => {
    for await (const connection of listener) {
      connection.handshake().catch(() => {}).finally(() => {
        try {
          connection.close();
        } catch { /* The other side has closed it. */ }
      });
    }
  })();
  return {
    broker: `localhost:${listener.addr.port}`,
    ca: file("ca"),
    async close() {
      listener.close();
      await serving;
    },
  };
}

// kafkajs and failed TLS handshakes leave timers and connections behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

Deno.test("doctor names each fault and its fix", leaky, async (t) => {
  const mechanism = "SCRAM-SHA-256";
  // Anonymous users of the open listener may do everything; other users what the test grants.
  const properties = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
  };
  await using broker = await startKafka({ secure: { tls: true, sasl: mechanism }, properties });
  await using server = await startPostgres({ tls: true, passwords: true });
  const folder = await Deno.makeTempDir();
  const file = async (name: string, text: string) => {
    await Deno.writeTextFile(`${folder}/${name}`, text);
    return `${folder}/${name}`;
  };
  const kafkaCa = await file("kafka.pem", broker.caPem);
  const owner = await server.createDatabase("shop");
  await migrate(owner);
  await using(owner, (db) =>
    db.exec(`create role service login password 'service-secret' in role clickstream_writer;
      create role looker login password 'looker-secret' in role clickstream_reader`));
  const as = (user: string, database = "shop") => server.urlFor(user, `${user}-secret`, database);
  await broker.createTopic("clicks", 3);
  const env: Env = {
    KAFKA_BROKERS: broker.secureBootstrap,
    KAFKA_TLS_CA: kafkaCa,
    KAFKA_SASL_MECHANISM: mechanism,
    KAFKA_SASL_USERNAME: USER.username,
    KAFKA_SASL_PASSWORD: USER.password,
    KAFKA_TOPIC: "clicks",
    DATABASE_URL: as("service"),
    DATABASE_TLS_CA: await file("postgres.pem", server.caPem),
    HTTP_LISTEN: "127.0.0.1:0",
    WORKERS: "2",
  };
  const open: Env = { ...env, KAFKA_BROKERS: broker.bootstrap, KAFKA_TLS_CA: "", KAFKA_SASL_MECHANISM: "" };
  const plain: Env = { ...open, KAFKA_SASL_USERNAME: "", KAFKA_SASL_PASSWORD: "" };
  const admin = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const sql = (text: string) => using(owner, (db) => db.exec(text));

  const grant = async (...rights: readonly (readonly [AclOperationTypes, AclResourceTypes, string])[]) => {
    const acl = rights.map(([operation, resourceType, resourceName]) => ({
      ...{ operation, resourceType, resourceName, resourcePatternType: ResourcePatternTypes.LITERAL },
      ...{ principal: `User:${USER.username}`, host: "*", permissionType: AclPermissionTypes.ALLOW },
    }));
    await admin.createAcls({ acl });
  };

  await t.step("a user with the least rights that the service needs", async () => {
    await grant(
      [AclOperationTypes.READ, AclResourceTypes.TOPIC, "clicks"],
      [AclOperationTypes.READ, AclResourceTypes.GROUP, "clickstream"],
    );
    await finds(env, [
      /^! (kafka|postgres) .*certificate: .* expires in/,
      /^! kafka retention: unknown: the user alice lacks the right DescribeConfigs on topic clicks → .*--allow-principal User:alice --operation DescribeConfigs --topic clicks$/,
    ]);
    assert.match((await said(env)).lines.join("\n"), /^✓ kafka group: clickstream is new: it has no members yet$/m);
    const settings = readSettings(READS.doctor, (name) => env[name]);
    const source = new KafkaSource({ ...clusterOf(settings), groupId: "clickstream", clientId: "clickstream" });
    try {
      assert.deepEqual(await source.assigned(), [0, 1, 2]);
      source.seek(new Map([[0, null], [1, null], [2, null]]));
      assert.deepEqual(await source.poll(500), []);
      await source.committed(new Map([[0, 0]]));
    } finally {
      await source.close();
    }
    await grant([AclOperationTypes.DESCRIBE_CONFIGS, AclResourceTypes.TOPIC, "clicks"]);
  });

  await t.step("reports no fault if there is none, and debugging.md explains every check", async () => {
    await finds(env, [/^! kafka localhost:\d+ certificate: .* expires in/, /^! postgres certificate: .* expires in/]);
    await using collector = startOtlp();
    const { code, lines } = await said({ ...env, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }, true);
    const findings: { check: string; verdict: string }[] = JSON.parse(lines[0]!);
    assert.equal(code, 0);
    assert.ok(findings.length > 20, `${findings.length} checks`);
    // The page explains every check, and no other.
    const page = await Deno.readTextFile(new URL("../../../docs/debugging.md", import.meta.url));
    const explained = page.split("## What doctor says")[1]!.split("\n## ")[0]!.matchAll(/^\| (?!line|-)(.+?) +\|/gm);
    const checks = findings.map(({ check }) => check.replace(/^.* (name|connection|answer|certificate)$/, "… $1"));
    // What this service does not have: several hosts, and a certificate of its own.
    const all = new Set([...checks, "postgres hosts", "… client certificate"]);
    assert.deepEqual([...explained].map(([, line]) => line).sort(), [...all].sort());
  });

  const expired = await showing(folder, "localhost", "-days", "-1");
  const other = await showing(folder, "elsewhere", "-days", "100");
  const nobody = `localhost:${freePort()}`;
  const soon = /certificate: .* expires in \d+ days.* → renew/;
  const way: readonly (readonly [string, Env, readonly RegExp[]])[] = [
    ["a name that cannot be resolved", { ...plain, KAFKA_BROKERS: "kafka.invalid" }, [
      /✗ kafka kafka\.invalid:9092 name: cannot resolve kafka\.invalid.* → check KAFKA_BROKERS, and the DNS/,
    ]],
    ["a collector that is not there", { ...plain, OTEL_EXPORTER_OTLP_ENDPOINT: `http://${nobody}` }, [
      /! telemetry: .* does not take traces: .* → check that the collector runs/,
      /! telemetry: .* does not take metrics: .* → check that the collector runs/,
      /^! postgres certificate: .* expires in/,
    ]],
    ["a port without a listener", { ...plain, KAFKA_BROKERS: nobody }, [
      /✗ kafka .* connection: .* → check that it runs/,
    ]],
    ["an expired certificate", { ...env, KAFKA_BROKERS: expired.broker, KAFKA_TLS_CA: expired.ca }, [
      /✗ .* certificate: .*has expired.* → renew/,
    ]],
    ["a certificate for another name", { ...env, KAFKA_BROKERS: other.broker, KAFKA_TLS_CA: other.ca }, [
      /✗ .* certificate: .*for another name.*elsewhere.* → connect by a name/,
    ]],
    ["an authority that is not trusted", { ...env, KAFKA_TLS_CA: other.ca }, [
      /✗ .* certificate: .*authority that is not trusted.* → set KAFKA_TLS_CA to a file/,
    ]],
    ["a server without TLS", { ...env, KAFKA_BROKERS: broker.bootstrap }, [
      /✗ .* certificate: .*no TLS.* → enable TLS on the server, or unset KAFKA_TLS_CA/,
    ]],
    ["a wrong Kafka password", { ...env, KAFKA_SASL_PASSWORD: "wrong-secret" }, [
      soon,
      /✗ kafka login: .* → check KAFKA_SASL_MECHANISM/,
    ]],
    ["no login although the listener requires one", {
      ...plain,
      KAFKA_BROKERS: broker.secureBootstrap,
      KAFKA_TLS_CA: kafkaCa,
    }, [
      soon,
      /✗ kafka login: .* → check whether the listener requires/,
    ]],
    ["a wrong PostgreSQL password", { ...plain, DATABASE_URL: server.urlFor("service", "wrong-secret", "shop") }, [
      /✗ postgres login: .*password authentication failed.* → check user and password in DATABASE_URL/,
    ]],
    [
      "several hosts of which any may be taken",
      { ...plain, DATABASE_URL: as("service").replace(/@(.+)\//, "@$1,$1/") },
      [
        /! postgres hosts: the first host that answers is used, even if .* → add target_session_attrs=read-write/,
        soon,
      ],
    ],
    ["a database that does not exist", { ...plain, DATABASE_URL: as("service", "none") }, [
      /✗ postgres login: .*"none" does not exist.* → create the database/,
    ]],
    ["a topic that does not exist", { ...plain, KAFKA_TOPIC: "clocks" }, [
      /✗ kafka topic: topic clocks does not exist.* → check KAFKA_TOPIC; create the topic/,
    ]],
    ["a user with read rights only", { ...plain, DATABASE_URL: as("looker") }, [
      /✗ rights: missing: insert on progress, .* and \d+ more → grant clickstream_writer/,
    ]],
    ["a superuser", { ...plain, DATABASE_URL: owner }, [
      /! rights to spare: the user is a superuser.* → let the service log in as a user/,
    ]],
    ["a database without the schema", { ...plain, DATABASE_URL: server.url("postgres") }, [
      /✗ schema: it is missing.* → run: clickstream migrate/,
    ]],
  ];
  for (const [name, settings, expected] of way) {
    // The PostgreSQL server's certificate is valid for two days only, too.
    await t.step(name, () => finds(settings, [...expected, /^! postgres certificate: .* expires in/]));
  }
  await expired.close();
  await other.close();

  /** A fault, how to cause it, what doctor must find, and how to undo it. */
  const made: readonly (readonly [string, () => Promise<unknown>, readonly RegExp[], () => Promise<unknown>])[] = [
    [
      "a revoked right, a short timeout, read-only mode, and days without partitions",
      () =>
        sql(`revoke insert on clickstream.events from clickstream_writer;
          alter role service set statement_timeout = '900ms'; alter role service set default_transaction_read_only = on;
          do $$ declare name text; begin
            for name in select relname from pg_class where relname ~ '^events_2' and relkind = 'r' loop
              execute 'drop table clickstream.' || name; end loop; end $$`),
      [
        /✗ rights: missing: insert on events → grant/,
        /! postgres timeouts: statement_timeout is 900 ms.* → .*alter role/,
        /✗ postgres writable: read only → set default_transaction_read_only = off/,
        /! partitions: .* → run `clickstream maintain`/,
      ],
      async () => {
        await sql(`grant insert on clickstream.events to clickstream_writer; alter role service reset all`);
        await migrate(owner);
      },
    ],
    [
      "a schema that is behind",
      () =>
        sql(
          "create table kept as select * from clickstream.schema_version where name ~ '^0010'; delete from clickstream.schema_version where name ~ '^0010'",
        ),
      [/✗ schema: it is behind: not applied: 0010_topics\.sql → run: clickstream migrate/],
      () => sql("insert into clickstream.schema_version select * from kept"),
    ],
    [
      "a forget that was interrupted",
      () =>
        sql(
          "insert into clickstream.forgotten (user_hash, topic, partitions, below, forgotten_at) values ('', 'clicks', '{}', '{}', '2026-01-01')",
        ),
      [/✗ forgotten users: 1 not fully erased.* → run `clickstream forget/],
      () => sql("delete from clickstream.forgotten"),
    ],
    [
      "no free connection",
      () => sql("alter role service connection limit 0"),
      [/✗ postgres login: .*too many connections.* → raise max_connections/],
      () => sql("alter role service connection limit -1"),
    ],
    [
      "a topic that is compacted and keeps records for one hour only",
      () => configure({ "cleanup.policy": "compact,delete", "retention.ms": "3600000" }),
      [
        /✗ kafka retention: the topic is compacted.* → kafka-configs/,
        /! kafka retention: .* 0\.0 days → keep records for longer/,
      ],
      () => configure({ "cleanup.policy": "delete", "retention.ms": "604800000" }),
    ],
    [
      "a log that ends before the committed offset",
      () => sql(position(5)),
      [/✗ kafka log: partition 0 of clicks was truncated.* it was read up to offset 5 and now ends at 0.* → run: clickstream adopt-topic/],
      () => sql("delete from clickstream.progress"),
    ],
    [
      "a topic that was recreated",
      () => sql(`${position(0)}; update clickstream.progress set topic_id = 'AAAAAAAAAAAAAAAAAAAAAA'`),
      [/✗ kafka log: topic clicks was recreated: its id is [\w-]{22}, and the tables follow A{22}.* → run: clickstream adopt-topic/],
      () => sql("delete from clickstream.progress"),
    ],
    [
      "records that were deleted unread, and counts that don't add up",
      () =>
        sql(`${position(0)};
          insert into clickstream.gaps (topic, partition, from_offset, to_offset) values ('clicks', 0, 3, 7)`),
      [
        /! gaps: Kafka deleted 4 records before they were read: offsets 3 to 6 of partition 0 → .*run `clickstream gaps acknow/,
        /✗ conservation: partition 0: gaps is 0, but its rows in table gaps add up to 4 → somebody changed/,
      ],
      () => sql("delete from clickstream.progress; delete from clickstream.gaps"),
    ],
  ];
  const real = Date.now;
  const now: typeof made = [
    [
      "a clock that is a quarter of an hour behind",
      () => Promise.resolve(Date.now = () => real() - 900_000),
      [/✗ postgres clock: (?:90|89)\d{4} ms ahead of this machine's clock → synchronize the clocks of both machines by NTP/],
      () => Promise.resolve(Date.now = real),
    ],
    [
      "records with timestamps ahead of the clock",
      () => send({ partition: 1, value: "x", timestamp: String(Date.now() + 2_700_000) }),
      [/! kafka clock: the record at offset 0 of partition 1 has a timestamp more than 10 minutes ahead.* → synchronize the clocks of producers, brok/],
      () => admin.deleteTopicRecords({ topic: "clicks", partitions: [{ partition: 1, offset: "1" }] }),
    ],
  ];
  async function send(...messages: Message[]): Promise<void> {
    const producer = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING }).producer();
    await producer.connect();
    await producer.send({ topic: "clicks", messages });
    await producer.disconnect();
  }
  async function configure(values: Readonly<Record<string, string>>): Promise<void> {
    const configEntries = Object.entries(values).map(([name, value]) => ({ name, value }));
    await admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: "clicks", configEntries }],
    });
  }
  for (const [name, make, expected, undo] of [...made, ...now]) {
    await t.step(name, async () => {
      await make();
      try {
        await finds(plain, [...expected, /^! postgres certificate: .* expires in/]);
      } finally {
        await undo();
      }
    });
  }

  await t.step(
    "records that were deleted unread, another program in the group, and another one on the port",
    async () => {
      await send(...Array.from({ length: 9 }, () => ({ partition: 0, value: "x" })));
      const kafka = new Kafka({ clientId: "somebody", brokers: [broker.bootstrap], logLevel: logLevel.NOTHING });
      await admin.deleteTopicRecords({ topic: "clicks", partitions: [{ partition: 0, offset: "7" }] });
      await sql(position(2));
      const consumer = kafka.consumer({ groupId: "clickstream" });
      await consumer.connect();
      await consumer.subscribe({ topics: ["clicks"] });
      const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
      await consumer.run({ eachMessage: () => Promise.resolve() });
      await joined;
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      await finds({ ...plain, HTTP_LISTEN: `127.0.0.1:${listener.addr.port}` }, [
        /✗ kafka log: offsets 2 to 6 of partition 0 were deleted before they were read → these records are lost/,
        /✗ kafka group: .*a member that is not this service: somebody at 127\.0\.0\.1, which reads clicks; .*RoundRobin.* → stop it/,
        /✗ port: another program listens.* → stop it, or set HTTP_LISTEN/,
        /^! postgres certificate: .* expires in/,
      ]);
      listener.close();
      await consumer.disconnect();
      await sql("delete from clickstream.progress");
    },
  );

  await t.step("members that use the newer group protocol", async () => {
    const newer = new Consumer({
      clientId: "newer",
      groupId: "newer",
      bootstrapBrokers: [broker.bootstrap],
      groupProtocol: "consumer",
    });
    newer.on("error", () => {});
    const stream = await newer.consume({ topics: ["clicks"] });
    stream.on("error", () => {});
    await until("it has joined", () => newer.isActive());
    await finds({ ...plain, KAFKA_GROUP_ID: "newer" }, [
      /! kafka group: newer has members that use the newer group protocol.* → .*--describe --group newer --members/,
      /^! postgres certificate: .* expires in/,
    ]);
    await newer.close(true);
  });

  await t.step("a limit of open files that is too low", async () => {
    const limited = ["-c", `ulimit -n 300; exec '${BINARY}' doctor`];
    const { stdout } = await new Deno.Command("sh", { args: limited, env: plain, clearEnv: true }).output();
    const line =
      /✗ open files: only \d+ more files can be opened; the service may need \d+: .* → raise the limit: LimitNOFILE=/;
    assert.match(new TextDecoder().decode(stdout), line);
  });

  await t.step(
    "a server without fsync, autovacuum, TLS, enough connections and UTF-8",
    async () => {
      const settings = { fsync: "off", autovacuum: "off", max_connections: "5", superuser_reserved_connections: "0" };
      await using careless = await startPostgres({ settings });
      const url = await careless.createDatabase();
      await migrate(url);
      const ascii = "create database ascii encoding 'SQL_ASCII' locale 'C' template template0";
      await using(url, (db) => db.exec(ascii));
      const risky = { ...plain, DATABASE_URL: url, DATABASE_TLS_CA: "", KAFKA_BROKERS: nobody };
      const expected = [
        /✗ postgres durability: fsync is off.* → turn both on/,
        /✗ postgres autovacuum: it is off → set autovacuum = on/,
        /✗ postgres connections: -?\d are free; the service needs \d+ → raise max_connections/,
        /✗ kafka .* connection/,
      ];
      await finds({ ...risky, WORKERS: "7" }, [...expected, /! rights to spare/]);
      await finds({ ...risky, WORKERS: "7", DATABASE_URL: careless.url("ascii") }, [
        /✗ postgres encoding: SQL_ASCII → create the database with encoding 'UTF8'/,
        /✗ schema: it is missing/,
        ...expected,
      ]);
      await finds({ ...risky, DATABASE_TLS_CA: env["DATABASE_TLS_CA"]! }, [
        /✗ postgres certificate: .*the server does not support TLS → enable TLS on the server, or unset DATABASE_TLS_CA/,
        /✗ kafka .* connection/,
      ]);
    },
  );
  await admin.disconnect();
  await Deno.remove(folder, { recursive: true });
});

const CAN_MOUNT = await mounted((folder) => Promise.resolve(folder)).then(() => true, () => false);

Deno.test({
  name: `doctor names a disk that is nearly full${
    CAN_MOUNT ? "" : " (not tried: this machine cannot mount a file system)"
  }`,
  ignore: !CAN_MOUNT,
  ...leaky,
  fn: () =>
    mounted(async (folder) => {
      await using server = await startPostgres({ dataDir: `${folder}/data` });
      await migrate(server.url());
      await finds(
        { DATABASE_URL: server.url(), KAFKA_BROKERS: `localhost:${freePort()}`, HTTP_LISTEN: "127.0.0.1:0" },
        [
          /✗ postgres free space: the database uses \d+ \w+, 0\.\d GB are free → enlarge the disk, or keep less/,
          /! rights to spare/,
          /✗ kafka .* connection/,
        ],
      );
    }),
});

/** Mounts a small file system while `body` runs. */
async function mounted<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-disk-", dir: "/tmp" });
  await Deno.chmod(folder, 0o755);
  try {
    await run("mount", ["-t", "tmpfs", "-o", "size=256m", "clickstream", folder]);
    try {
      return await body(folder);
    } finally {
      await run("umount", [folder]);
    }
  } finally {
    await Deno.remove(folder);
  }
}

/** SQL that sets the position of partition 0. */
function position(next: number): string {
  return `insert into clickstream.progress (topic, partition, first_offset, next_offset, replay_offset)
    values ('clicks', 0, ${next}, ${next}, 0)`;
}
