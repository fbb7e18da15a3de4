/**
 * Hostile settings: values of environment variables, connection strings, and the files that they name.
 * @module
 */
import assert from "node:assert/strict";
import { readSettings, type SettingName, SETTINGS, type Settings, WrongSettings } from "../../config/config.ts";
import { type DatabaseAddress, databaseUrl, hostText, parseDatabaseUrl } from "../../config/database_url.ts";
import { SETTING_NAMES, shownSettings } from "../../config/settings_shown.ts";
import { settingsIn } from "../../config/sources.ts";
import { visible } from "../../config/visible.ts";
import type { Random } from "../../../generator/random.ts";
import { mutated, TOKENS } from "./mutate.ts";
import { bytesOf, concat, type Opened, split, type Target, textOf } from "./target.ts";

/** A password that must never be shown. */
const SECRET = "hunter2-hunter2";

const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBYTCCAQegAwIBAgIUQnZ0b3RhbGx5LW5vdC1hLXJlYWwtb25lMAoGCCqGSM49
-----END CERTIFICATE-----
`;

const KEY = `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----\n`;

/** Values of each setting that are allowed, or nearly. */
const VALUES: Readonly<Record<SettingName, readonly string[]>> = {
  KAFKA_BROKERS: ["localhost:9092", "a:1,b:2", "[::1]:9092", "kafka", "a,,b", "a:0", "a:65536", "http://a"],
  KAFKA_TOPIC: ["clicks", "a.b_c-d", "..", "x".repeat(249), "x".repeat(250)],
  KAFKA_PARTITIONS: ["6", "0", "10000", "10001", "1e3", "1.5", "-1", "0x10"],
  KAFKA_GROUP_ID: ["clickstream", "a b", "é", "~".repeat(255)],
  KAFKA_TLS_CA: ["public", "@", "/nowhere", "/dev/null", "/tmp", ""],
  KAFKA_TLS_CERT: ["/nowhere", CERTIFICATE, "x"],
  KAFKA_TLS_KEY: [KEY, "/nowhere", "-----BEGIN PRIVATE KEY-----"],
  KAFKA_TLS_KEY_PASSWORD: [SECRET],
  KAFKA_SASL_MECHANISM: ["PLAIN", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM", "plain", "GSSAPI"],
  KAFKA_SASL_USERNAME: ["me", "ü", "a\nb"],
  KAFKA_SASL_PASSWORD: [SECRET],
  KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: ["https://idp/token", "file:///t", "ftp://x", "http://a:b@c", "https://["],
  KAFKA_SASL_OAUTHBEARER_CLIENT_ID: ["me", "a\0"],
  KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: [SECRET],
  KAFKA_SASL_OAUTHBEARER_SCOPE: ["kafka", "a b", " a", '"'],
  KAFKA_SASL_OAUTHBEARER_EXTENSIONS: ["a=b,c=d", "auth=x", "a", "a=\u0001"],
  DATABASE_AUTH: ["password", "AWS_RDS_IAM", "iam"],
  AWS_REGION: ["eu-west-1", "us-gov-west-1", "EU", "-1"],
  DATABASE_URL: [
    `postgres://me:${SECRET}@db:5432/shop`,
    `postgresql://me:${SECRET}@a,b:1/shop?target_session_attrs=read-write&connect_timeout=3`,
    `postgres:///shop?host=/var/run/postgresql&user=me&password=${SECRET}`,
    `postgres://me:${SECRET}@[::1]:5432/shop?sslmode=verify-full&sslrootcert=/ca.pem`,
    `postgres://me:${SECRET}@db/shop?sslmode=prefer`,
    `postgres://me:${SECRET}@db/shop?sslmode=verify-ca&sslrootcert=/ca.pem&sslcert=/c&sslkey=/k&sslpassword=${SECRET}`,
    `postgres://db/shop?password=${SECRET}`,
  ],
  DATABASE_TLS_CA: ["public", "@", "/nowhere"],
  HTTP_LISTEN: ["127.0.0.1:8080", "[::]:0", "8080", ":8080", "host:99999"],
  HTTP_HOSTS: ["a.example", "A,b", "a/b", "-"],
  WORKERS: ["1", "256", "0", "many"],
  MEMORY_MB: ["300", "512", "299", "65537"],
  COMMIT_EVERY_MS: ["1000", "9", "60000"],
  EVENTS_KEEP_DAYS: ["30", "3650", "0"],
  ROLLUPS_KEEP_DAYS: ["400", "36501"],
  STORE_EVENTS: ["true", "false", "TRUE", "1"],
  HASH_ROUTES: ["true", "no"],
  TIME_ZONE: ["Europe/Berlin", "europe/berlin", "+01:00", "UTC'", "../etc/localtime", "Mars/Phobos"],
  SITE_HOSTS: ["shop.example", "shop.example,www.shop.example", "https://shop.example", "*.shop.example", "a..b", ","],
  VIEWS_FILE: ["/nowhere", "/dev/null", "/tmp", "views: []"],
  CURRENCY: ["EUR", "JPY", "eur", "XXX", "EURO", "__proto__"],
  VIEWS: ["traffic", "traffic,pages", "carts", ",", "__proto__"],
  ALLOW_PLAINTEXT: ["false", "true", "yes"],
  LOG_LEVEL: ["info", "debug", "INFO"],
  LOG_FORMAT: ["json", "text", "xml"],
  OTEL_SDK_DISABLED: ["false", "true", "TRUE"],
  OTEL_EXPORTER_OTLP_ENDPOINT: ["http://a:4318", "https://[::1]/otlp/", "a:4318", "http://a/?b#c", "http://"],
  OTEL_EXPORTER_OTLP_PROTOCOL: ["http/protobuf", "http/json", "grpc"],
  OTEL_EXPORTER_OTLP_HEADERS: [`token=${SECRET}`, `${SECRET}`, `host=${SECRET}`, `a=%0d${SECRET}`, `a=%${SECRET}`],
  OTEL_EXPORTER_OTLP_CERTIFICATE: ["public", "/nowhere"],
  OTEL_EXPORTER_OTLP_COMPRESSION: ["none", "gzip", "zstd"],
  OTEL_EXPORTER_OTLP_TIMEOUT: ["10000", "0", "60001"],
  OTEL_SERVICE_NAME: ["clicks", "a\nb", "é"],
  OTEL_RESOURCE_ATTRIBUTES: ["a=b,c=%2C", "=", "a", "a=%"],
  OTEL_TRACES_EXPORTER: ["otlp", "none", "console"],
  OTEL_METRICS_EXPORTER: ["otlp", "none", "prometheus"],
  OTEL_METRIC_EXPORT_INTERVAL: ["60000", "999"],
  OTEL_TRACES_SAMPLER: ["always_on", "parentbased_traceidratio", "xray"],
  OTEL_TRACES_SAMPLER_ARG: ["0", "1", "0.1", "1.1", "1e-3", "."],
  OTEL_SPAN_LINK_COUNT_LIMIT: ["0", "128", "1025"],
};

/** `NAME=value` between NULs to settings. A value of a CA that begins with `@` stands for a file with what follows. */
export const settings: Target = {
  name: "settings",
  about: "settings are in their bounds, or refused by one error that names them, on visible lines, without a secret",
  open: openSettings,
};

async function openSettings(): Promise<Opened> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-hostile-" });
  const file = `${folder}/ca.pem`;
  return {
    draw: drawSettings,
    check(input) {
      const env = new Map(
        split(input, 0).map((line) => {
          const at = line.indexOf(0x3d);
          return [textOf(line.subarray(0, Math.max(0, at))), line.subarray(at + 1)] as const;
        }),
      );
      return checkSettings((name) => {
        const value = env.get(name);
        if (value === undefined) return undefined;
        if (!name.endsWith("_TLS_CA") || value[0] !== 0x40) return textOf(value);
        Deno.writeFileSync(file, value.subarray(1));
        return file;
      });
    },
    close: () => Deno.remove(folder, { recursive: true }),
  };
}

function checkSettings(env: (name: string) => string | undefined): string {
  const secrets = SETTING_NAMES.filter((name) => "secret" in SETTINGS[name]).map(env);
  const open = SETTING_NAMES.filter((name) => !("secret" in SETTINGS[name])).map((name) => env(name) ?? "").join("\n");
  // A mutation may have moved the secret into a setting that is shown.
  const isSecret = secrets.some((value) => value?.includes(SECRET)) && !open.includes(SECRET);
  try {
    const read = readSettings(SETTING_NAMES, env);
    checkBounds(read);
    const { user, password, database, hosts } = parseDatabaseUrl(read.DATABASE_URL.reveal());
    const isElsewhere = JSON.stringify([user, database, hosts]).includes(SECRET) || password !== SECRET;
    for (const shown of [JSON.stringify(shownSettings(read)), JSON.stringify(read), Deno.inspect(read)]) {
      assert.ok(!isSecret || isElsewhere || !shown.includes(SECRET), `the secret is shown: ${shown}`);
    }
    return "allowed";
  } catch (error) {
    if (!(error instanceof WrongSettings)) throw error;
    const lines = error.message.split("\n");
    assert.match(lines[0]!, /^\d+ settings? (is|are) invalid:$/);
    for (const line of lines.slice(1)) {
      assert.match(line, /^ {2}[A-Z_]+ (is|has) /);
      assert.ok(SETTING_NAMES.some((name) => line.startsWith(`  ${name} `)), line);
      assert.equal(visible(line), line, "a line with invisible characters");
      assert.ok(line.length < 1500, `a line of ${line.length} characters`);
    }
    assert.ok(!isSecret || !error.message.includes(SECRET), `the secret is shown: ${error.message}`);
    return `${lines.length - 1} refused`;
  }
}

function checkBounds(read: Settings): void {
  assert.match(read.KAFKA_TOPIC, /^[a-zA-Z0-9._-]{1,249}$/);
  const numbers: readonly (readonly [number | null, number, number])[] = [
    [read.WORKERS, 1, 256],
    [read.MEMORY_MB, 300, 65_536],
    [read.COMMIT_EVERY_MS, 10, 60_000],
    [read.EVENTS_KEEP_DAYS, 1, 3650],
    [read.ROLLUPS_KEEP_DAYS, 1, 36_500],
    [read.KAFKA_PARTITIONS, 1, 10_000],
    [read.HTTP_LISTEN.port, 0, 65_535],
  ];
  for (const [value, least, most] of numbers) {
    assert.ok(value === null || (Number.isInteger(value) && value >= least && value <= most), String(value));
  }
  assert.ok(read.KAFKA_BROKERS.length > 0 && read.VIEWS.length > 0);
  const texts = [...read.KAFKA_BROKERS, read.HTTP_LISTEN.hostname, ...read.HTTP_HOSTS ?? [], read.KAFKA_GROUP_ID];
  for (const text of texts) assert.equal(visible(text), text, "a setting with invisible characters");
}

function drawSettings(random: Random): Uint8Array {
  const chosen = random.shuffled(SETTING_NAMES).slice(0, random.below(6));
  const names = random.chance(0.8) ? ["DATABASE_URL" as const, ...chosen] : chosen;
  const wrong = random.below(2 * names.length);
  const lines = names.map((name, n) => {
    const usual = random.chance(0.6) ? VALUES[name][0]! : random.pick(VALUES[name]);
    const value = bytesOf(usual === "@" ? `@${CERTIFICATE}` : usual);
    return concat([bytesOf(`${name}=`), n === wrong ? mutated(random, value, 3) : value, Uint8Array.of(0)]);
  });
  const all = concat(lines);
  return random.chance(0.1) ? mutated(random, all, 2) : all;
}

/** The text of a file of settings to the settings in it. */
export const settingsFiles: Target = {
  name: "settings-files",
  about: "every line of a file of settings is a comment or one setting, or an error names it by its number",
  open: openFiles,
};

async function openFiles(): Promise<Opened> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-hostile-" });
  let count = 0;
  return {
    draw: drawSettingsFile,
    check(input) {
      // A file is read once, so each case is another.
      const path = `${folder}/${count++}`;
      Deno.writeFileSync(path, input);
      const lines = textOf(input).split(/\r?\n/).filter((line) => !/^\s*(?:[#;]|$)/.test(line));
      try {
        const found = settingsIn(path);
        assert.equal(found.size, lines.length, "lines that are nothing");
        for (const [name, value] of found) {
          assert.match(name, /^[A-Za-z_]\w*$/);
          assert.ok(lines.some((line) => line.trimStart().startsWith(`${name}=`) && line.includes(value)), name);
        }
        return lines.length === 0 ? "no setting" : "settings";
      } catch (error) {
        if (!(error instanceof WrongSettings)) throw error;
        assert.match(error.message, /: (line \d+ (is not NAME=value|sets \w+ again)(, )?)+ \(put /);
        assert.ok(error.message.length <= 300 + 30 * input.length);
        return "refused";
      } finally {
        Deno.removeSync(path);
      }
    },
    close: () => Deno.remove(folder, { recursive: true }),
  };
}

function drawSettingsFile(random: Random): Uint8Array {
  const quote = random.pick(["", "", '"', "'"]);
  const lines = Array.from({ length: random.below(6) }, () => {
    const name = random.pick(SETTING_NAMES);
    return random.chance(0.2)
      ? random.pick(["# comment", "", "; x", "\t"])
      : `${name}=${quote}${random.pick(VALUES[name])}${quote}`;
  });
  if (random.chance(0.02)) lines.push(`KAFKA_TOPIC=${random.pick(["x", " x", "x "]).repeat(random.below(200_000))}`);
  const bytes = bytesOf(lines.join(random.pick(["\n", "\r\n"])));
  return random.chance(0.6) ? mutated(random, bytes, 3) : bytes;
}

/** A connection string to its parts. */
export const databaseUrls: Target = {
  name: "database-urls",
  about: "a connection string gives whole parts, shown without its password, or an error that shows nothing of it",
  open: (): Opened => ({ draw: drawUrl, check: (input) => checkUrl(textOf(input).trim()) }),
};

function checkUrl(text: string): string {
  let address: DatabaseAddress;
  try {
    address = parseDatabaseUrl(text);
  } catch (error) {
    assert.ok(error instanceof RangeError, `another error: ${error}`);
    assert.equal(visible(error.message), error.message);
    assert.ok(error.message.length < 400 && !error.message.includes(SECRET), error.message);
    return "refused";
  }
  const { hosts, user, password, database, connectTimeoutMs } = address;
  assert.ok(hosts.length > 0 && database !== "" && user !== "" && password !== "");
  for (const { host, port } of hosts) {
    assert.ok(host !== "" && Number.isInteger(port) && port > 0 && port < 65_536, `${host}:${port}`);
    assert.ok(hostText({ host, port }).length <= host.length + 20);
  }
  for (const part of [user, password, database]) assert.ok(!(part ?? "").includes("\0"));
  assert.ok(connectTimeoutMs === null || (connectTimeoutMs >= 2000 && connectTimeoutMs < 1e9));
  const shown = databaseUrl(text).toString();
  const others = [user, database, ...hosts.map(({ host }) => host)].join("\n");
  const isHidden = password === null || !password.includes("hunter") || others.includes(password) ||
    !shown.includes(password);
  assert.ok(isHidden, `the password is shown: ${shown}`);
  assert.equal(parseDatabaseUrl(shown).database, database, "what is shown is another address");
  return "parsed";
}

function drawUrl(random: Random): Uint8Array {
  const usual = bytesOf(random.pick(VALUES.DATABASE_URL));
  if (random.chance(0.1)) return usual;
  const more = random.chance(0.2) ? concat([usual, bytesOf(`&options=${random.pick(TOKENS)}`)]) : usual;
  return mutated(random, more, 3, bytesOf(random.pick(VALUES.DATABASE_URL)));
}
