import assert from "node:assert/strict";
import { readSettings, WrongSettings } from "./config.ts";
import { assertLoginsProtected, isPublic } from "./plaintext.ts";

const NAMES = [
  ...["KAFKA_BROKERS", "KAFKA_TLS_CA", "KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"],
  ...["KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL", "KAFKA_SASL_OAUTHBEARER_CLIENT_ID"],
  ...["KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET", "DATABASE_URL", "DATABASE_TLS_CA"],
  ...["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"],
] as const;

const LOGIN = { KAFKA_SASL_MECHANISM: "PLAIN", KAFKA_SASL_USERNAME: "shop", KAFKA_SASL_PASSWORD: "hunter2" };
const OAUTH = {
  KAFKA_SASL_MECHANISM: "OAUTHBEARER",
  KAFKA_SASL_OAUTHBEARER_CLIENT_ID: "shop",
  KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: "hunter2",
};
const DATABASE_URL = "postgres://writer:hunter2@10.0.0.5/shop";

/** Names with private, public and no addresses. */
const HOSTS: Readonly<Record<string, readonly string[]>> = {
  "kafka.internal": ["10.1.2.3", "fd00::1"],
  "kafka.example": ["10.1.2.3", "8.8.8.8"],
  "db.example": ["2600:1f18::7"],
};

async function refused(env: Readonly<Record<string, string>>): Promise<string> {
  const settings = readSettings(NAMES, (name) => ({ DATABASE_URL, ...env })[name]);
  try {
    await assertLoginsProtected(settings, (host) => {
      const found = HOSTS[host];
      return found === undefined ? Promise.reject(new Error("no such host")) : Promise.resolve(found);
    });
    return "";
  } catch (error) {
    assert.ok(error instanceof WrongSettings);
    return error.message;
  }
}

Deno.test("tells public addresses from those that the internet does not reach", () => {
  const inside = ["127.0.0.1", "::1", "10.255.255.255", "172.31.0.1", "192.168.1.1", "100.100.0.1", "169.254.169.254"];
  for (const address of [...inside, "fd12::1", "fe80::1", "::ffff:10.0.0.1", "203.0.113.9", "2001:db8::1"]) {
    assert.equal(isPublic(address), false, address);
  }
  const outside = ["8.8.8.8", "172.32.0.1", "172.15.255.255", "11.0.0.1", "100.128.0.1", "192.0.1.1", "2600:1f18::7"];
  for (const address of [...outside, "::ffff:8.8.8.8", "fec0::1"]) assert.equal(isPublic(address), true, address);
});

Deno.test("sends no login to a public address without verified TLS", async () => {
  const brokers = { ...LOGIN, KAFKA_BROKERS: "kafka.internal:9092,kafka.example:9092" };
  const said = await refused(brokers);
  assert.match(said, /KAFKA_BROKERS names kafka\.example, which has the public address 8\.8\.8\.8/);
  assert.match(said, /set KAFKA_TLS_CA/);
  assert.doesNotMatch(said, /kafka\.internal/);
  assert.match(await refused({ ...LOGIN, KAFKA_BROKERS: "[2600:1f18::7]:9092" }), /the public address 2600:1f18::7/);
  assert.equal(await refused({ ...brokers, KAFKA_TLS_CA: "public" }), "");
  assert.equal(await refused({ KAFKA_BROKERS: "kafka.example:9092" }), "", "without a login");
  assert.equal(await refused({ ...LOGIN, KAFKA_BROKERS: "kafka.internal:9092,nowhere:9092" }), "");

  const endpoint = (url: string) => refused({ ...OAUTH, KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: url });
  assert.match(await endpoint("http://kafka.example/token"), /TOKEN_ENDPOINT_URL names kafka\.example.*use https/);
  assert.match(await endpoint("http://[2600:1f18::7]/token"), /the public address 2600:1f18::7/);
  for (const url of ["https://kafka.example/t", "http://kafka.internal/t"]) {
    assert.equal(await endpoint(url), "", url);
  }

  const url = (rest: string) => refused({ DATABASE_URL: `postgres://writer:hunter2@${rest}` });
  assert.match(await url("db.example/shop"), /DATABASE_URL names db\.example, which has the public .* unencrypted/);
  assert.match(await url("10.0.0.1,8.8.8.8/shop?sslmode=require"), /address 8\.8\.8\.8.* that nobody verifies/);
  assert.doesNotMatch(await url("8.8.8.8/shop"), /hunter2|writer/);
  assert.equal(await url("db.example/shop?sslmode=verify-full"), "");
  assert.equal(await url("localhost,127.0.0.1/shop"), "");
  assert.equal(await url("?host=/run/postgresql&dbname=shop"), "");
  const verified = { DATABASE_URL: "postgres://writer@8.8.8.8/shop", DATABASE_TLS_CA: "public" };
  assert.equal(await refused(verified), "");
});

Deno.test("no header for the collector crosses the internet unencrypted", async () => {
  const OTEL_EXPORTER_OTLP_HEADERS = "authorization=Basic%20aHVudGVyMg==";
  const headed = (OTEL_EXPORTER_OTLP_ENDPOINT: string) =>
    refused({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS });
  const said = await headed("http://kafka.example:4318/otlp");
  assert.match(said, /^OTEL_EXPORTER_OTLP_ENDPOINT names kafka\.example, which has the public address 8\.8\.8\.8;/);
  assert.match(said, /use https:\/\//);
  assert.doesNotMatch(said, /aHVudGVyMg/);
  assert.match(await headed("http://[2600:1f18::7]:4318"), /the public address 2600:1f18::7/);
  for (const at of ["https://kafka.example:4318", "http://kafka.internal:4318", "http://127.0.0.1:4318"]) {
    assert.equal(await headed(at), "", at);
  }
  assert.equal(await refused({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://kafka.example:4318" }), "");
});
