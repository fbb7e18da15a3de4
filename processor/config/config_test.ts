import assert from "node:assert/strict";
import { inspect } from "node:util";
import fc from "fast-check";
import {
  defaultMemoryMb,
  defaultWorkers,
  mostWorkers,
  readSettings,
  type SettingName,
  type Settings,
  viewsOf,
  WrongSettings,
} from "./config.ts";
import { databaseUrl, hostText, parseDatabaseUrl } from "./database_url.ts";
import { memoryLimits } from "./machine.ts";
import { withoutPasswords } from "./secret.ts";
import { describeSettings, runningSettings, SETTING_NAMES, shownSettings } from "./settings_shown.ts";

const DATABASE_URL = "postgres://writer:hunter2@db:5432/clickstream";

type Variables = Readonly<Partial<Record<SettingName, string>>>;

function readFrom<N extends SettingName>(names: readonly N[], variables: Variables): Settings<N> {
  return readSettings(names, (name) => variables[name as SettingName]);
}

function messageOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    assert.ok(error instanceof WrongSettings);
    return error.message;
  }
  throw new assert.AssertionError({ message: "these settings should have been refused" });
}

const GOOD: readonly (readonly [SettingName, string, unknown])[] = [
  ["KAFKA_BROKERS", "a:1, [::1]:9093,b", ["a:1", "[::1]:9093", "b:9092"]],
  ["KAFKA_TOPIC", "a.b_c-D", "a.b_c-D"],
  ["KAFKA_PARTITIONS", "1", 1],
  ["KAFKA_GROUP_ID", "team/clicks", "team/clicks"],
  ["KAFKA_SASL_MECHANISM", "", null],
  ["HTTP_LISTEN", "[::]:0", { hostname: "::", port: 0 }],
  ["HTTP_LISTEN", "0.0.0.0:65535", { hostname: "0.0.0.0", port: 65_535 }],
  ["WORKERS", "256", 256],
  ["COMMIT_EVERY_MS", "10", 10],
  ["COMMIT_EVERY_MS", "", 1000],
  ["EVENTS_KEEP_DAYS", "3650", 3650],
  ["ROLLUPS_KEEP_DAYS", "36500", 36_500],
  ["STORE_EVENTS", "false", false],
  ["HASH_ROUTES", "false", false],
  ["HASH_ROUTES", "", true],
  ["SITE_HOSTS", "Shop.example., www.shop.co.uk,localhost", ["shop.example", "shop.co.uk", "localhost"]],
  ["SITE_HOSTS", "", null],
  ["CURRENCY", "JPY", "JPY"],
  ["TIME_ZONE", "Europe/Berlin", "Europe/Berlin"],
  ["TIME_ZONE", "Asia/Kathmandu", "Asia/Kathmandu"],
  ["TIME_ZONE", "", null],
  ["LOG_LEVEL", "debug", "debug"],
  ["LOG_FORMAT", "", null],
  ["LOG_FORMAT", "text", "text"],
];

Deno.test("parses valid values, and uses the default for an absent or empty one", () => {
  for (const [name, value, expected] of GOOD) {
    assert.deepEqual(readFrom([name], { [name]: value })[name], expected, `${name}=${value}`);
  }
  assert.deepEqual(readFrom(["VIEWS"], { VIEWS: "pages, sessions" }).VIEWS.map(({ name }) => name), [
    "sessions",
    "pages",
  ]);
});

const BAD: readonly (readonly [SettingName, string])[] = [
  ["KAFKA_BROKERS", ","],
  ["KAFKA_BROKERS", "a:b"],
  ["KAFKA_BROKERS", "a:65536"],
  ["KAFKA_BROKERS", "kafka://a:9092"],
  ["KAFKA_TOPIC", "../.."],
  ["KAFKA_TOPIC", "a b"],
  ["KAFKA_PARTITIONS", "0"],
  ["KAFKA_PARTITIONS", "0x10"],
  ["KAFKA_GROUP_ID", "two words"],
  ["KAFKA_TLS_CA", "/nowhere/ca.pem"],
  ["DATABASE_TLS_CA", "/dev/null"],
  ["KAFKA_SASL_MECHANISM", "GSSAPI"],
  ["KAFKA_TLS_CERT", "/nowhere/client.pem"],
  ["KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL", "idp.example/token"],
  ["KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL", "https://me:secret@idp.example/token"],
  ["KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL", "file://token"],
  ["KAFKA_SASL_OAUTHBEARER_EXTENSIONS", "auth=x"],
  ["KAFKA_SASL_OAUTHBEARER_EXTENSIONS", "a-b=x"],
  ["KAFKA_SASL_OAUTHBEARER_SCOPE", "a  b"],
  ["DATABASE_AUTH", "iam"],
  ["AWS_REGION", "Ireland"],
  ["HTTP_LISTEN", "8080"],
  ["HTTP_LISTEN", ":8080"],
  ["HTTP_LISTEN", "localhost"],
  ["WORKERS", "-1"],
  ["WORKERS", "257"],
  ["COMMIT_EVERY_MS", "9"],
  ["COMMIT_EVERY_MS", "1e3"],
  ["COMMIT_EVERY_MS", " 1000"],
  ["EVENTS_KEEP_DAYS", "0.5"],
  ["STORE_EVENTS", "yes"],
  ["SITE_HOSTS", "https://shop.example"],
  ["SITE_HOSTS", "*.shop.example"],
  ["TIME_ZONE", "+01:00"],
  ["TIME_ZONE", "Europe/Berlim"],
  ["SITE_HOSTS", ","],
  ["CURRENCY", "eur"],
  ["CURRENCY", "XXX"],
  ["VIEWS", "pages,nothing"],
  ["LOG_LEVEL", "loud"],
  ["LOG_FORMAT", "xml"],
];

Deno.test("an invalid value is reported with its name, value and what is allowed", () => {
  for (const [name, value] of BAD) {
    const message = messageOf(() => readFrom([name], { [name]: value }));
    const { allowed } = describeSettings([name])[0]!;
    const shown = JSON.stringify(withoutPasswords(value));
    for (const said of [name, shown, allowed]) assert.ok(message.includes(said), message);
  }
});

Deno.test("one error names every invalid setting", () => {
  const variables = { WORKERS: "0", VIEWS: "nothing", KAFKA_SASL_USERNAME: "me", HTTP_LISTEN: "here" };
  const message = messageOf(() => readFrom(SETTING_NAMES, variables));
  const wrong = ["WORKERS", "VIEWS", "HTTP_LISTEN", "DATABASE_URL", "KAFKA_SASL_MECHANISM", "KAFKA_SASL_PASSWORD"];
  assert.match(message, /^6 settings are invalid:\n/);
  for (const name of wrong) assert.match(message, new RegExp(`^  ${name} `, "m"));
});

Deno.test("goals and funnels need the view of sessions", async () => {
  const VIEWS_FILE = await Deno.makeTempFile({ suffix: ".yaml" });
  const read = (VIEWS: string) => viewsOf(readFrom(["VIEWS", "VIEWS_FILE"], { VIEWS, VIEWS_FILE }));
  await Deno.writeTextFile(VIEWS_FILE, "goals: [{ name: order, description: Bought., filter: { event: purchase } }]");
  assert.ok("goal_order" in read("pages,sessions").find(({ name }) => name === "sessions")!.measures);
  assert.match(
    messageOf(() => read("pages,traffic")),
    /VIEWS is "traffic,pages"; it must have sessions, which count the goals and funnels of VIEWS_FILE/,
  );
  assert.match(messageOf(() => read("nothing")), /^1 setting is invalid:\n {2}VIEWS is "nothing"/);
  await Deno.writeTextFile(VIEWS_FILE, "views: []");
  assert.deepEqual(read("pages").map(({ name }) => name), ["pages"]);
  await Deno.writeTextFile(VIEWS_FILE, "goals: 1");
  assert.match(messageOf(() => read("pages")), /^1 setting is invalid:\n {2}VIEWS_FILE is /);
  await Deno.remove(VIEWS_FILE);
});

Deno.test("reads only the requested settings", () => {
  assert.deepEqual(readFrom(["WORKERS"], { WORKERS: "3", VIEWS: "nothing" }), { WORKERS: 3 });
  assert.match(messageOf(() => readFrom(["DATABASE_URL"], {})), /DATABASE_URL is not set; it must be postgres:/);
});

Deno.test("reads certificates from a file, and the public ones", () => {
  const file = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(file, "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n");
    const { KAFKA_TLS_CA, DATABASE_TLS_CA } = readFrom(["KAFKA_TLS_CA", "DATABASE_TLS_CA"], {
      KAFKA_TLS_CA: file,
      DATABASE_TLS_CA: "public",
    });
    assert.match(KAFKA_TLS_CA!.pem, /MII=/);
    assert.ok(DATABASE_TLS_CA!.pem.split("BEGIN CERTIFICATE").length > 50);
    assert.deepEqual(shownSettings({ KAFKA_TLS_CA }), { KAFKA_TLS_CA: file });
  } finally {
    Deno.removeSync(file);
  }
});

Deno.test("every setting is described, and every default is valid", () => {
  for (const { name, default: fallback, required, about } of describeSettings()) {
    assert.ok(about.length > 0);
    if (required) assert.equal(fallback, null);
    if (fallback !== null) assert.ok(readFrom([name], { [name]: fallback })[name] !== undefined);
  }
  assert.deepEqual(describeSettings().filter(({ required }) => required).map(({ name }) => name), ["DATABASE_URL"]);
});

/** Any text between two marker words, which reveal any part of it in an output. */
const password = fc.string({ unit: "grapheme", maxLength: 40 }).map((text) => `hunter2${text}hunter2`);

Deno.test("no way of printing settings shows a secret", () => {
  fc.assert(fc.property(password, password, (kafka, database) => {
    const variables = {
      DATABASE_URL: `postgres://writer:${encodeURIComponent(database)}@db/clickstream?password=${
        encodeURIComponent(kafka)
      }`,
      KAFKA_SASL_MECHANISM: "PLAIN",
      KAFKA_SASL_USERNAME: "me",
      KAFKA_SASL_PASSWORD: kafka,
    };
    const settings = readFrom(SETTING_NAMES, variables);
    assert.equal(settings.KAFKA_SASL_PASSWORD?.reveal(), kafka);
    assert.equal(settings.DATABASE_URL.reveal(), variables.DATABASE_URL);
    const printed = [
      JSON.stringify(settings),
      Deno.inspect(settings, { depth: 9, showHidden: true }),
      inspect(settings, { depth: 9, showHidden: true }),
      `${settings.DATABASE_URL}${settings.KAFKA_SASL_PASSWORD}`,
      JSON.stringify(shownSettings(settings)),
    ].join("\n");
    assert.doesNotMatch(printed, /hunter2/);
  }));
});

Deno.test("no error about a setting shows a secret, even in an unencoded DATABASE_URL", () => {
  fc.assert(fc.property(password, (secret) => {
    const url = `postgres://writer:${secret}@db:5432/clickstream`;
    try {
      const shown = databaseUrl(url).toString();
      assert.doesNotMatch(shown, /hunter2/);
      assert.equal(shown, "postgres://writer@db:5432/clickstream");
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      assert.doesNotMatch(messageOf(() => readFrom(["DATABASE_URL"], { DATABASE_URL: url })), /hunter2/);
    }
  }));
  const odd = [
    "postgres://writer:12/hunter2@db/clickstream",
    "postgres://writer:12?hunter2@db/x",
    "hunter2",
    "://hunter2",
  ];
  for (const url of [...odd, DATABASE_URL.replace("hunter2", "hunter2%zz"), DATABASE_URL.replace("@", "#@")]) {
    assert.doesNotMatch(messageOf(() => readFrom(["DATABASE_URL"], { DATABASE_URL: url })), /hunter2/);
  }
});

Deno.test("removes passwords from addresses in messages of other programs", () => {
  const said = withoutPasswords(`could not reach ${DATABASE_URL} or http://a:hunter2@b?password=hunter2&x=1`);
  assert.equal(said, "could not reach postgres://writer@db:5432/clickstream or http://a@b?password=…&x=1");
});

Deno.test("a file without an end is not read for ever", () => {
  for (const file of ["/dev/zero", "/dev/urandom"]) {
    const env = (name: string) => name === "KAFKA_TLS_CA" ? file : undefined;
    assert.throws(() => readSettings(["KAFKA_TLS_CA"], env), /KAFKA_TLS_CA is "\/dev\/.*more than 4194304 bytes/);
  }
});

Deno.test("reads a setting from a credential file if its variable is not set", () => {
  const folder = Deno.makeTempDirSync();
  Deno.writeTextFileSync(`${folder}/DATABASE_URL`, `${DATABASE_URL}\n`);
  Deno.writeTextFileSync(`${folder}/KAFKA_TOPIC`, "of the file");
  const before = Deno.env.get("CREDENTIALS_DIRECTORY");
  Deno.env.set("CREDENTIALS_DIRECTORY", folder);
  Deno.env.set("KAFKA_TOPIC", "of.the.variable");
  try {
    const settings = readSettings(["DATABASE_URL", "KAFKA_TOPIC", "WORKERS"]);
    assert.equal(settings.DATABASE_URL.reveal(), DATABASE_URL);
    assert.equal(settings.KAFKA_TOPIC, "of.the.variable");
    assert.equal(settings.WORKERS, null);
    Deno.removeSync(`${folder}/DATABASE_URL`);
    Deno.mkdirSync(`${folder}/DATABASE_URL`);
    assert.match(messageOf(() => readSettings(["DATABASE_URL"])), /^cannot read the credential .*\/DATABASE_URL: /);
  } finally {
    Deno.env.delete("KAFKA_TOPIC");
    if (before === undefined) Deno.env.delete("CREDENTIALS_DIRECTORY");
    else Deno.env.set("CREDENTIALS_DIRECTORY", before);
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("bounds the workers by cores and memory", () => {
  const most = (cores: number, gigabytes: number) => mostWorkers({ cores, memoryBytes: gigabytes * 1e9 });
  assert.deepEqual([most(2, 24), most(2, 1), most(1, 0.1), most(128, 1000)], [8, 5, 1, 256]);
});

Deno.test("starts one worker for each two cores by default, as far as memory allows, and at least one", () => {
  const workers = (cores: number, gigabytes: number) => defaultWorkers({ cores, memoryBytes: gigabytes * 1e9 });
  assert.deepEqual([1, 2, 3, 4, 16].map((cores) => workers(cores, 24)), [1, 1, 1, 2, 8]);
  assert.deepEqual([workers(16, 1), workers(2, 0.1)], [5, 1]);
});

Deno.test("reads the memory limits of a control group and its parents, in both versions", () => {
  const folder = Deno.makeTempDirSync();
  const write = (file: string, text: string) => {
    Deno.mkdirSync(`${folder}/${file}`.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeTextFileSync(`${folder}/${file}`, text);
  };
  write("of", "12:cpu,memory:/job\n3:pids:/x\n0::/system.slice/clickstream.service\n");
  write("fs/system.slice/memory.max", "2000\n");
  write("fs/system.slice/clickstream.service/memory.max", "max\n");
  write("fs/memory/memory.limit_in_bytes", "3000\n");
  write("fs/memory/job/memory.limit_in_bytes", "1000\n");
  assert.deepEqual(memoryLimits(`${folder}/of`, `${folder}/fs`), [3000, 1000, 2000]);
  assert.deepEqual(memoryLimits(`${folder}/none`, `${folder}/fs`), []);
  Deno.removeSync(folder, { recursive: true });
});

/** Addresses of databases, their servers, their other parts, and how they are shown. */
const ADDRESSES: readonly (readonly [string, string, Partial<ReturnType<typeof parseDatabaseUrl>>, string])[] = [
  [DATABASE_URL, "db:5432", {
    user: "writer",
    password: "hunter2",
    database: "clickstream",
    tls: "prefer",
    wants: "any",
  }, "postgres://writer@db:5432/clickstream"],
  [`  ${DATABASE_URL} \n`, "db:5432", { password: "hunter2" }, "postgres://writer@db:5432/clickstream"],
  ["postgresql://u@h1:5432,h2:5433,[::1]/db?target_session_attrs=read-write", "h1:5432 h2:5433 [::1]:5432", {
    user: "u",
    password: null,
    wants: "read-write",
  }, "postgresql://u@h1:5432,h2:5433,[::1]:5432/db"],
  [
    "postgres://u@%2Fvar%2Frun%2Fpostgresql/db",
    "/var/run/postgresql/.s.PGSQL.5432",
    {},
    "postgres://u@%2Fvar%2Frun%2Fpostgresql/db",
  ],
  ["postgres:///db?host=/var/run/postgresql&port=5433&user=me&password=hunter2", "/var/run/postgresql/.s.PGSQL.5433", {
    user: "me",
    password: "hunter2",
  }, "postgres://me@%2Fvar%2Frun%2Fpostgresql:5433/db"],
  ["postgres://u@?host=a,b&port=1,2&dbname=db", "a:1 b:2", { database: "db" }, "postgres://u@a:1,b:2/db"],
  ["postgres://u@a,b/db?port=7", "a:7 b:7", {}, "postgres://u@a:7,b:7/db"],
  ["postgres://wri%40ter:hun%40ter2@db/my%20shop", "db:5432", {
    user: "wri@ter",
    password: "hun@ter2",
    database: "my shop",
  }, "postgres://wri%40ter@db/my%20shop"],
  ["postgres://u@h/db?sslmode=verify-full&sslrootcert=/etc/hostname&connect_timeout=1&application_name=x", "h:5432", {
    tls: "verify-full",
    connectTimeoutMs: 2000,
    applicationName: "x",
    files: { ca: "/etc/hostname", cert: null, key: null, keyPassword: null },
  }, "postgres://u@h/db"],
  ["postgres://u@h/db?ssl=true&gssencmode=disable", "h:5432", { tls: "require" }, "postgres://u@h/db"],
  ["postgres://u@h/db?sslmode=allow", "h:5432", { tls: "allow" }, "postgres://u@h/db"],
  ["postgres://u@h/db?sslmode=require&sslrootcert=/etc/hostname", "h:5432", { tls: "verify-ca" }, "postgres://u@h/db"],
  ["postgres://u@h/db?sslrootcert=system", "h:5432", { tls: "verify-full" }, "postgres://u@h/db"],
];

Deno.test("parses DATABASE_URL like libpq, and shows it without its password", () => {
  for (const [url, hosts, expected, shown] of ADDRESSES) {
    const secret = readFrom(["DATABASE_URL"], { DATABASE_URL: url }).DATABASE_URL;
    const address = parseDatabaseUrl(secret.reveal());
    assert.equal(address.hosts.map(hostText).join(" "), hosts, url);
    assert.deepEqual({ ...address, ...expected }, address, url);
    assert.equal(String(secret), shown);
  }
});

/** Invalid addresses, and the reason. */
const NO_ADDRESSES: readonly (readonly [string, RegExp])[] = [
  ["", /is not set/],
  [`database=${DATABASE_URL}`, /not a postgres:\/\/ address/],
  [`"${DATABASE_URL}"`, /not a postgres:\/\/ address/],
  ["host=db user=writer password=hunter2", /not a postgres:\/\/ address/],
  ["mysql://writer:hunter2@db/x", /not a postgres:\/\/ address/],
  ["postgres://writer:hunter2@/x", /names no host; for a socket/],
  ["postgres://writer:hunter2@db", /names no database/],
  ["postgres://writer:hunter2@a,/x", /names no host/],
  ["postgres://writer:hunter2@a b/x", /a host is not a name/],
  ["postgres://writer:hunter2@a:0/x", /a port is not/],
  ["postgres://writer:hunter2@a:1,b:2,c:3/x?port=1,2", /different number of ports/],
  ["postgres://writer:hunter2@db/x?hostaddr=10.0.0.1", /parameter hostaddr is not supported/],
  ["postgres://writer:12?hunter2@db/x", /one of its parameters is not supported/],
  [
    "postgres://writer:hunter2@db/x?sslmode=hunter2",
    /sslmode may only be disable, allow, prefer, require, verify-ca, verify-full/,
  ],
  ["postgres://writer:hunter2@db/x?sslrootcert=/hunter2", /sslmode must be require, verify-ca or verify-full/],
  ["postgres://writer:hunter2@db/x?sslmode=prefer&sslrootcert=/hunter2", /sslmode must be require, verify-ca or/],
  ["postgres://writer:hunter2@db/x?sslmode=require&sslrootcert=system", /sslmode must be verify-full/],
  ["postgres://writer:hunter2@db/x?sslmode=verify-ca", /sslrootcert must name the file/],
  ["postgres://writer:hunter2@db/x?sslcert=/hunter2", /sslcert and sslkey need each other/],
  ["postgres://writer:hunter2@db/x?sslpassword=hunter2", /sslpassword needs sslkey/],
  ["postgres://writer:hunter2@db/x?sslmode=disable&sslcert=/hunter2&sslkey=/k", /need an sslmode with TLS/],
  ["postgres://writer:hunter2@db/x?target_session_attrs=standby", /may only be any, read-write, primary/],
  ["postgres://writer:hunter2%zz@db/x", /write %25/],
];

Deno.test("reports why DATABASE_URL is invalid, without showing any part of it", () => {
  for (const [url, why] of NO_ADDRESSES) {
    const message = messageOf(() => readFrom(["DATABASE_URL"], { DATABASE_URL: url }));
    assert.match(message, why, url);
    assert.doesNotMatch(message, /hunter2/);
    assert.match(message, /DATABASE_URL .*it must be postgres:\/\/user:password@host:port\/database/);
  }
});

Deno.test("uses a quarter of the machine's memory by default, within limits", () => {
  const memory = (gigabytes: number) => defaultMemoryMb({ cores: 2, memoryBytes: gigabytes * 1e9 });
  assert.deepEqual([0.5, 1, 1.5, 24].map(memory), [300, 300, 375, 1024]);
});

Deno.test("shows what WORKERS and MEMORY_MB came to where the machine decides, and the value where it was set", () => {
  const decided = runningSettings(readFrom(["WORKERS", "MEMORY_MB", "KAFKA_TOPIC"], {}));
  assert.deepEqual(decided, {
    WORKERS: `auto: ${defaultWorkers()}`,
    MEMORY_MB: `auto: ${defaultMemoryMb()}`,
    KAFKA_TOPIC: "clickstream-events",
  });
  const set = runningSettings(readFrom(["WORKERS", "MEMORY_MB"], { WORKERS: "1", MEMORY_MB: "900" }));
  assert.deepEqual(set, { WORKERS: "1", MEMORY_MB: "900" });
});
