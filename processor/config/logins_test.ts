import assert from "node:assert/strict";
import { makeAuthority } from "../../testing/servers/certificates.ts";
import { run } from "../../testing/servers/child.ts";
import { readSettings, type SettingName, WrongSettings } from "./config.ts";
import { keyOf } from "./files.ts";
import { SETTING_NAMES, shownSettings } from "./settings_shown.ts";

const DATABASE_URL = "postgres://clicks@db/shop";
const RDS = "postgres://clicks@shop.abc123.eu-west-1.rds.amazonaws.com/shop";
const MSK = "b-1.clicks.abc123.c2.kafka.eu-west-1.amazonaws.com:9098";

type Variables = Readonly<Partial<Record<SettingName, string>>>;

/** The faults of settings, one on a line; empty if there are none. */
function faults(variables: Variables): string {
  const env = { DATABASE_URL, ...variables };
  try {
    readSettings(SETTING_NAMES, (name) => env[name as SettingName]);
    return "";
  } catch (error) {
    assert.ok(error instanceof WrongSettings);
    return error.message;
  }
}

const OAUTH: Variables = {
  KAFKA_SASL_MECHANISM: "OAUTHBEARER",
  KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: "https://idp.example/token",
  KAFKA_SASL_OAUTHBEARER_CLIENT_ID: "clicks",
  KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: "hunter2",
};
const FILE: Variables = {
  KAFKA_SASL_MECHANISM: "OAUTHBEARER",
  KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: "file:///run/token",
};
const IAM: Variables = { KAFKA_SASL_MECHANISM: "AWS_MSK_IAM", KAFKA_TLS_CA: "public", KAFKA_BROKERS: MSK };
const RDS_IAM: Variables = { DATABASE_AUTH: "AWS_RDS_IAM", DATABASE_URL: RDS, DATABASE_TLS_CA: "public" };

/** Settings of logins, and each fault that they have. */
const CASES: readonly (readonly [Variables, readonly RegExp[]])[] = [
  [OAUTH, []],
  [{ ...OAUTH, KAFKA_SASL_OAUTHBEARER_SCOPE: "kafka", KAFKA_SASL_OAUTHBEARER_EXTENSIONS: "logicalCluster=lkc-1" }, []],
  [FILE, []],
  [IAM, []],
  [{ ...IAM, KAFKA_BROKERS: "kafka.internal:9098", AWS_REGION: "eu-west-1" }, []],
  [RDS_IAM, []],
  [{ ...RDS_IAM, DATABASE_TLS_CA: "", DATABASE_URL: `${RDS}?sslmode=verify-full` }, []],
  [{ KAFKA_SASL_MECHANISM: "OAUTHBEARER" }, [
    /^ {2}KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL is not set; OAUTHBEARER needs it$/m,
    /CLIENT_ID is not set/,
    /CLIENT_SECRET is not set/,
  ]],
  [{ ...OAUTH, KAFKA_SASL_USERNAME: "me" }, [
    /KAFKA_SASL_USERNAME is set, but KAFKA_SASL_MECHANISM is OAUTHBEARER; un/,
  ]],
  [{ ...OAUTH, KAFKA_SASL_MECHANISM: "" }, [
    /TOKEN_ENDPOINT_URL is set, but KAFKA_SASL_MECHANISM is not set; unset it/,
    /CLIENT_ID is set/,
    /CLIENT_SECRET is set/,
  ]],
  [{ ...FILE, KAFKA_SASL_OAUTHBEARER_SCOPE: "a" }, [/_SCOPE is set, but KAFKA_.*_ENDPOINT_URL names a file; unset it/]],
  [{ ...IAM, KAFKA_TLS_CA: "" }, [/KAFKA_TLS_CA is not set; AWS_MSK_IAM needs TLS: set it to 'public'/]],
  [{ ...IAM, KAFKA_BROKERS: "kafka:9098" }, [
    /AWS_REGION is not set, and no host in KAFKA_BROKERS names a region; set/,
  ]],
  [{ ...IAM, KAFKA_SASL_PASSWORD: "hunter2" }, [
    /KAFKA_SASL_PASSWORD is set, but KAFKA_SASL_MECHANISM is AWS_MSK_IAM;/,
  ]],
  [{ ...RDS_IAM, DATABASE_TLS_CA: "" }, [/DATABASE_AUTH is AWS_RDS_IAM, which sends its token as a password; set /]],
  [{ ...RDS_IAM, DATABASE_URL: "postgres://db/shop" }, [
    /DATABASE_URL has no user/,
    /AWS_REGION is not set, and a host/,
  ]],
  [{ ...RDS_IAM, DATABASE_URL: RDS.replace("@", ":hunter2@") }, [/DATABASE_URL has a password, and .*; remove it/]],
  [
    { ...RDS_IAM, AWS_REGION: "eu-west-1", DATABASE_URL: "postgres://u@/shop?host=/run/postgresql" },
    [/DATABASE_URL has a socket, and .*; name the host/],
  ],
  [{ DATABASE_URL: `${DATABASE_URL}?sslmode=verify-full&sslrootcert=/nowhere/hunter2` }, [
    /DATABASE_URL has an sslrootcert that cannot be read: No such file/,
  ]],
  [{ KAFKA_TLS_CERT: "/nowhere", KAFKA_TLS_KEY: "" }, [/TLS_CERT is "\/nowhere" \(cannot read/, /TLS_KEY is not set;/]],
  [{ KAFKA_TLS_KEY_PASSWORD: "hunter2" }, [/KAFKA_TLS_KEY_PASSWORD is set, but KAFKA_TLS_KEY is not set; unset it/]],
];

Deno.test("each fault of a login is named, with its cure and without a secret", () => {
  for (const [variables, expected] of CASES) {
    const said = faults(variables);
    const count = said === "" ? 0 : said.split("\n").length - 1;
    assert.equal(count, expected.length, `${JSON.stringify(variables)}: ${said}`);
    for (const fault of expected) assert.match(said, fault);
    assert.doesNotMatch(said, /hunter2/);
  }
});

Deno.test("a client's key must be that of its certificate, in any format, encrypted or not", async () => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-keys-" });
  try {
    const authority = await makeAuthority(folder);
    const [own, other] = [await authority.issue("clicks"), await authority.issue("other")];
    const [old, encrypted] = [`${folder}/old.key`, `${folder}/encrypted.key`];
    await run("openssl", ["rsa", "-in", own.keyFile, "-traditional", "-out", old]);
    await run("openssl", ["pkcs8", "-topk8", "-in", own.keyFile, "-out", encrypted, "-passout", "pass:hunter2"]);
    const with_ = (key: string, more: Variables = {}) =>
      faults({ KAFKA_TLS_CA: authority.file, KAFKA_TLS_CERT: own.certFile, KAFKA_TLS_KEY: key, ...more });
    for (const key of [own.keyFile, own.key, old]) assert.equal(with_(key), "");
    assert.equal(with_(encrypted, { KAFKA_TLS_KEY_PASSWORD: "hunter2" }), "");
    assert.match(with_(encrypted), /KAFKA_TLS_KEY is encrypted, and its password is not set; check/);
    assert.match(with_(encrypted, { KAFKA_TLS_KEY_PASSWORD: "x" }), /KAFKA_TLS_KEY cannot be decrypted with its pass/);
    assert.match(with_(other.keyFile), /KAFKA_TLS_KEY is the key of another certificate; check/);
    assert.match(with_(own.certFile), /KAFKA_TLS_KEY has a value that is not shown \(it contains no private key\)/);
    assert.match(with_(own.keyFile, { KAFKA_TLS_CA: "" }), /KAFKA_TLS_CA is not set; KAFKA_TLS_CERT needs TLS/);
    // What every client reads, whatever the format of the file.
    const password = "hunter2";
    assert.equal(keyOf(own.cert, await Deno.readTextFile(encrypted), password), keyOf(own.cert, own.key, null));
    const url = (key: string) => `${DATABASE_URL}?sslcert=${own.certFile}&sslkey=${key}`;
    assert.equal(faults({ DATABASE_URL: url(own.keyFile) }), "");
    assert.equal(faults({ DATABASE_URL: `${url(encrypted)}&sslpassword=hunter2` }), "");
    assert.match(faults({ DATABASE_URL: url(other.keyFile) }), /DATABASE_URL has an sslkey that is the key of another/);
    assert.match(faults({ DATABASE_URL: url("/nowhere") }), /DATABASE_URL has an sslkey that cannot be read: No such/);

    const env: Variables = { KAFKA_TLS_CA: authority.pem, KAFKA_TLS_CERT: own.certFile, KAFKA_TLS_KEY: own.key };
    const names = ["KAFKA_TLS_CA", "KAFKA_TLS_CERT", "KAFKA_TLS_KEY"] as const;
    const settings = readSettings(names, (name) => env[name as SettingName]);
    assert.deepEqual(shownSettings(settings), {
      KAFKA_TLS_CA: "(PEM text)",
      KAFKA_TLS_CERT: own.certFile,
      KAFKA_TLS_KEY: "(PEM text)",
    });
    assert.equal(settings.KAFKA_TLS_CA?.pem, authority.pem);
    assert.doesNotMatch(Deno.inspect(settings, { depth: 9, showHidden: true }), /PRIVATE KEY/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Examples of docs/logins.md: the settings of each block, with files that exist here in place of those of a host. */
async function examples(folder: string): Promise<Variables[]> {
  const page = await Deno.readTextFile(new URL("../../docs/logins.md", import.meta.url));
  const authority = await makeAuthority(folder);
  const { certFile, keyFile } = await authority.issue("clicks");
  await Deno.writeTextFile(`${folder}/secret`, "hunter2");
  const here = (text: string) =>
    text.replaceAll("/etc/clickstream/client.pem", certFile).replaceAll("/etc/clickstream/client.key", keyFile)
      .replaceAll(/\/etc\/clickstream\/[\w-]+\.pem/g, authority.file).replaceAll(
        /\/etc\/clickstream\/[\w-]+/g,
        `${folder}/secret`,
      );
  return [...page.matchAll(/```ini\n([\s\S]*?)```/g)].map(([, block]) =>
    Object.fromEntries(
      block!.trim().split("\n").map((line) => {
        const [, name, isFile, value] = /^([A-Z_]+?)(_FILE)?=(.*)$/.exec(here(line))!;
        return [name, isFile === undefined ? value : Deno.readTextFileSync(value!)];
      }),
    )
  );
}

Deno.test("every example of docs/logins.md is valid", async () => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-examples-" });
  try {
    const all = await examples(folder);
    assert.ok(all.length >= 12, `${all.length} examples`);
    for (const each of all) assert.equal(faults(each), "", JSON.stringify(each));
    const used = new Set(all.flatMap((each) => Object.keys(each)));
    const missing = SETTING_NAMES.filter((name) => /^KAFKA_(TLS|SASL)|^DATABASE_/.test(name) && !used.has(name));
    const page = await Deno.readTextFile(new URL("../../docs/logins.md", import.meta.url));
    for (const name of missing) assert.ok(page.includes(name), `${name} is not explained`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
