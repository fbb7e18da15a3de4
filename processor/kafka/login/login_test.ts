/** Logins to a real broker: by certificate, and by tokens of a real provider and of AWS's rules. */
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { CONTAINER_TOKEN, REGION, startAws, WEB_IDENTITY } from "../../../testing/servers/aws.ts";
import { makeAuthority } from "../../../testing/servers/certificates.ts";
import { CLIENT, startIdentity, trusting } from "../../../testing/servers/identity.ts";
import { brokerClasses, startKafka } from "../../../testing/servers/kafka.ts";
import { clusterOf } from "../../commands/cli/cluster.ts";
import { READS } from "../../commands/cli/reads.ts";
import { readSettings } from "../../config/config.ts";
import { inWords } from "../../config/secret.ts";
import { Admin } from "../admin.ts";
import { askBroker } from "../bootstrap.ts";
import { BrokerConnection } from "../broker.ts";
import { type ClusterAccess, retrying } from "../client.ts";
import { describeGroup } from "../group.ts";
import { Member } from "../member.ts";
import { produce } from "../producer.ts";
import { Resender } from "../resend.ts";

// The clients, and kafkajs of the broker's helper, leave timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

const TOPIC = "clicks";
/** The broker ends a connection that has not logged in again after this time. */
const SESSION_MS = 3500;

type Env = Readonly<Record<string, string>>;

/** How the service connects with these settings. */
function accessOf(env: Env): ClusterAccess & { readonly topic: string } {
  const settings = { DATABASE_URL: "postgres://u@db/shop", KAFKA_TOPIC: TOPIC, ...env } as Env;
  return clusterOf(readSettings(READS.replay, (name) => settings[name]));
}

function connection(access: ClusterAccess): Promise<BrokerConnection> {
  const [host, port] = access.brokers[0]!.split(":");
  return BrokerConnection.open(host!, Number(port), { ...access, clientId: "test" });
}

/** Every client of the program logs in and does something that the broker answers. */
const CLIENTS: Readonly<Record<string, (access: ClusterAccess) => Promise<unknown>>> = {
  "the connection that fetches": async (access) => {
    const opened = await connection(access);
    await describeGroup(opened, "nobody").finally(() => opened.close());
  },
  "the question whether a broker answers": (access) => askBroker(access.brokers[0]!, access),
  "the administrative client": async (access) => {
    await using admin = new Admin(access, "test", retrying(0, 0, 0));
    await admin.connect();
    assert.equal(await admin.hasTopic(TOPIC), true);
  },
  "the producer": async (access) => {
    const records = [{ key: "a", value: Uint8Array.of(1) }];
    assert.equal((await produce(records, { ...access, topic: TOPIC, partitions: 1 })).sent, 1);
  },
  "the member of a group": async (access) => {
    const member = new Member({ ...access, topic: TOPIC, groupId: "tests", clientId: "test" }, () => {});
    assert.deepEqual(await member.assigned(), [0, 1]);
    await member.close();
  },
  "the sender of refused records": async (access) => {
    const sender = await Resender.open({ ...access, topic: TOPIC, name: "resend" });
    await sender.send([{ partition: 0, key: "a", value: Uint8Array.of(1) }], "1");
    await sender.close();
  },
};

async function refused(access: ClusterAccess): Promise<string> {
  const error = await CLIENTS["the connection that fetches"]!(access).then(() => null, (error) => error);
  assert.ok(error !== null, "it should be refused");
  return inWords(error);
}

/** Runs `body` with these environment variables. */
async function withEnv<T>(env: Env, body: () => T | Promise<T>): Promise<T> {
  for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
  try {
    return await body();
  } finally {
    for (const name of Object.keys(env)) Deno.env.delete(name);
  }
}

Deno.test("logins to Kafka", leaky, async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-logins-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const authority = await makeAuthority(folder, "identity");
  const identity = stack.use(await startIdentity(await authority.issue("idp", ["DNS:localhost"])));
  const aws = stack.use(startAws());
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
  await broker.createTopic(TOPIC, 2);
  // One file with the authorities of both: the token endpoint is verified with it too.
  await Deno.writeTextFile(`${folder}/authorities.pem`, `${broker.caPem}${authority.pem}`);
  const tls = { KAFKA_TLS_CA: `${folder}/authorities.pem` };

  await t.step("by a certificate of the client", async (t) => {
    const certificate = await broker.authority!.issue("clickstream");
    const own = { KAFKA_TLS_CERT: certificate.certFile, KAFKA_TLS_KEY: certificate.keyFile };
    const access = accessOf({ ...tls, ...own, KAFKA_BROKERS: broker.mutualBootstrap });
    for (const [name, client] of Object.entries(CLIENTS)) await t.step(name, () => client(access).then(() => {}));
    const foreign = await authority.issue("clickstream");
    const other = { KAFKA_TLS_CERT: foreign.certFile, KAFKA_TLS_KEY: foreign.keyFile };
    for (const wrong of [{}, other]) {
      const said = await refused(accessOf({ ...tls, ...wrong, KAFKA_BROKERS: broker.mutualBootstrap }));
      assert.match(said, /^Kafka at localhost:\d+: .*KAFKA_TLS_CERT/s);
      const asking = askBroker(broker.mutualBootstrap, accessOf({ ...tls, ...wrong }));
      await assert.rejects(asking, /KAFKA_TLS_CERT/);
    }
  });

  const oauth = (more: Env = {}): Env => ({
    ...tls,
    KAFKA_BROKERS: broker.secureBootstrap,
    KAFKA_SASL_MECHANISM: "OAUTHBEARER",
    KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: identity.tokenUrl,
    KAFKA_SASL_OAUTHBEARER_CLIENT_ID: CLIENT.id,
    KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: CLIENT.secret,
    KAFKA_SASL_OAUTHBEARER_SCOPE: "clicks",
    KAFKA_SASL_OAUTHBEARER_EXTENSIONS: "logicalCluster=lkc-1",
    ...more,
  });

  await t.step("by tokens of a provider", async (t) => {
    const access = accessOf(oauth());
    for (const [name, client] of Object.entries(CLIENTS)) await t.step(name, () => client(access).then(() => {}));
    const secret = "another secret/%";
    const said = await refused(accessOf(oauth({ KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: secret })));
    assert.match(
      said,
      /cannot get a token from https:.*HTTP status 401 \(invalid_client.*check KAFKA_SASL_OAUTHBEARER_/,
    );
    for (const form of [secret, encodeURIComponent(secret), secret.replace("/", "%2F").replace(" ", "+")]) {
      assert.ok(!said.includes(form), said);
    }
    const untrusted = accessOf(oauth({ KAFKA_TLS_CA: broker.authority!.file }));
    assert.match(await refused(untrusted), /cannot get a token from .*that KAFKA_TLS_CA contains the endpoint's/);
  });

  await t.step("by tokens in a file, which is read again for each login", async () => {
    const file = `${folder}/token`;
    const access = accessOf({
      ...tls,
      KAFKA_BROKERS: broker.secureBootstrap,
      KAFKA_SASL_MECHANISM: "OAUTHBEARER",
      KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: `file://${file}`,
    });
    assert.match(
      await refused(access),
      /cannot read a token from file:.*No such file.*check KAFKA_SASL_OAUTHBEARER_TOK/,
    );
    await Deno.writeTextFile(file, await identity.token("clicks", -60));
    const said = await refused(access);
    assert.match(said, /refused|SASL_AUTHENTICATION_FAILED|uthentication/);
    await Deno.writeTextFile(file, `${await identity.token("clicks")}\n`);
    (await connection(access)).close();
  });

  const iam = {
    ...tls,
    KAFKA_BROKERS: broker.secureBootstrap,
    KAFKA_SASL_MECHANISM: "AWS_MSK_IAM",
    AWS_REGION: REGION,
  };
  await Deno.writeTextFile(`${folder}/web-identity`, WEB_IDENTITY);
  await Deno.writeTextFile(`${folder}/container`, CONTAINER_TOKEN);
  /** Where credentials may be, as the environment names it. */
  const places: Readonly<Record<string, Env>> = {
    "the environment": { AWS_ACCESS_KEY_ID: aws.keys.accessKeyId, AWS_SECRET_ACCESS_KEY: aws.keys.secretAccessKey },
    "a web identity": {
      AWS_ROLE_ARN: "arn:aws:iam::123456789012:role/clicks",
      AWS_WEB_IDENTITY_TOKEN_FILE: `${folder}/web-identity`,
      AWS_ENDPOINT_URL_STS: aws.url,
    },
    "a container": {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${aws.url}/container`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: `${folder}/container`,
    },
    "an instance": { AWS_EC2_METADATA_SERVICE_ENDPOINT: aws.url },
  };
  await t.step("by requests signed with AWS credentials", async (t) => {
    const access = await withEnv(places["an instance"]!, () => accessOf(iam));
    for (const [name, client] of Object.entries(CLIENTS)) await t.step(name, () => client(access).then(() => {}));
    assert.equal(aws.given, 1, "the credentials are kept");
    for (const [name, env] of Object.entries(places)) {
      await t.step(`of ${name}`, async () => (await connection(await withEnv(env, () => accessOf(iam)))).close());
    }
    const wrong = { ...places["the environment"], AWS_SECRET_ACCESS_KEY: "wrong" };
    const said = await refused(await withEnv(wrong, () => accessOf(iam)));
    assert.match(said, /invalid_token|uthentication/);
    const none = await withEnv({ AWS_EC2_METADATA_DISABLED: "true" }, () => accessOf(iam));
    assert.match(
      await refused(none),
      /cannot find AWS credentials: .*give the host.* a role, or set AWS_ACCESS_KEY_ID/,
    );
  });

  await t.step("again before the session ends, with a new token", async () => {
    identity.lifeSeconds = 5;
    const access = accessOf(oauth());
    const asked = identity.asked;
    const fetching = await connection(access);
    const member = new Member({ ...access, topic: TOPIC, groupId: "long", clientId: "test" }, () => {});
    await member.assigned();
    const endMs = Date.now() + 2.2 * SESSION_MS;
    while (Date.now() < endMs) {
      await member.commit(new Map([[0, 0]]));
      await setTimeout(20);
    }
    assert.equal(member.lost, false);
    assert.ok(identity.asked > asked + 1, "the token was renewed");
    await member.close();
    // The source opens another connection in time; the broker ends one that stays.
    assert.equal(fetching.isStale, true);
    await assert.rejects(describeGroup(fetching, "long"), /has closed the connection|Connection reset/);
    const next = await connection(access);
    assert.equal(next.isStale, false);
    await describeGroup(next, "long");
    next.close();
  });
});
