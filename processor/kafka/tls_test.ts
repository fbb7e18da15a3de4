/** No client sends a byte, let alone a login, to a server whose certificate it does not trust. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { run } from "../../testing/servers/child.ts";
import { Admin } from "./admin.ts";
import { askBroker } from "./bootstrap.ts";
import { BrokerConnection } from "./broker.ts";
import { type ClusterAccess, quiet } from "./client.ts";
import { produce } from "./producer.ts";
import { Kafka } from "kafkajs";
import { configOf } from "./resend.ts";

// The clients retry in the background for a moment.
const leaky = { sanitizeOps: false, sanitizeResources: false };

const SASL = { mechanism: "PLAIN", username: "shop", password: "secret" } as const;
const NO_RETRY = { retries: 0, retryDelay: () => 0 };

/** Every way in which the program connects to a broker. */
const CLIENTS: Readonly<Record<string, (access: ClusterAccess, port: number) => Promise<unknown>>> = {
  "the connection that fetches": (access, port) =>
    BrokerConnection.open("localhost", port, { ...access, clientId: "test" }),
  "the question whether a broker answers": (access, port) => askBroker(`localhost:${port}`, access),
  "the administrative client": async (access) => {
    await using admin = new Admin(access, "test", NO_RETRY);
    await admin.connect();
  },
  "the producer": (access) => produce([], { ...access, topic: "clicks", partitions: 1 }),
  "the sender of refused records": (access) =>
    new Kafka({ ...configOf(access), retry: { retries: 0 } }).admin().connect(),
};

/** The key and certificate of a server, signed by an authority of its own. */
async function certificate(
  folder: string,
  name: string,
  host: string,
): Promise<{ key: string; cert: string; ca: string }> {
  const at = (file: string) => `${folder}/${name}-${file}`;
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  await run("openssl", ["req", "-x509", ...key, "-subj", `/CN=${name}`, "-keyout", at("ca.key"), "-out", at("ca.crt")]);
  await run("openssl", [
    ...["req", "-x509", ...key, "-subj", `/CN=${host}`, "-keyout", at("key"), "-out", at("crt"), "-CA", at("ca.crt")],
    ...["-CAkey", at("ca.key"), "-addext", `subjectAltName=DNS:${host}`, "-addext", "basicConstraints=CA:FALSE"],
  ]);
  const [keyPem, cert, ca] = await Promise.all(["key", "crt", "ca.crt"].map((file) => Deno.readTextFile(at(file))));
  return { key: keyPem!, cert: cert!, ca: ca! };
}

/** Lets a client connect to a server that never answers; returns its error, and the bytes that it sent inside TLS. */
async function tried(
  client: (access: ClusterAccess, port: number) => Promise<unknown>,
  server: { readonly key: string; readonly cert: string },
  tlsCa: string,
): Promise<{ error: string; connections: number; bytes: number }> {
  let bytes = 0;
  const listener = Deno.listenTls({ hostname: "localhost", port: 0, ...server });
  const { port } = listener.addr as Deno.NetAddr;
  const answered: Promise<void>[] = [];
  const serving = (async () => {
    for await (const conn of listener) {
      answered.push(
        conn.read(new Uint8Array(1024)).then((read) => {
          bytes += read ?? 0;
        }, () => {}).finally(() => conn.close()),
      );
    }
  })();
  try {
    const error = await client({ brokers: [`localhost:${port}`], tlsCa, sasl: SASL }, port).then(() => "", String);
    return { error, connections: answered.length, bytes };
  } finally {
    listener.close();
    await serving;
    await Promise.all(answered);
  }
}

Deno.test("a broker's certificate is verified before anything is sent", leaky, async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-tls-" });
  try {
    const [own, foreign, misnamed] = await Promise.all([
      certificate(folder, "own", "localhost"),
      certificate(folder, "foreign", "localhost"),
      certificate(folder, "misnamed", "kafka.example"),
    ]);
    for (const [name, client] of Object.entries(CLIENTS)) {
      await t.step(name, async () => {
        assert.ok((await tried(client, own, own.ca)).bytes > 0, "a trusted server gets bytes");
        for (const [server, ca] of [[foreign, own.ca], [misnamed, misnamed.ca]] as const) {
          const { error, connections, bytes } = await tried(client, server, ca);
          assert.ok(connections > 0 && error !== "", error);
          assert.equal(bytes, 0);
          assert.doesNotMatch(error, /secret/);
        }
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a connection that fails in its login more than once ends nothing", () => {
  const [client, connection] = [new EventEmitter(), new EventEmitter()];
  assert.throws(() => connection.emit("error", new Error("again")), /again/);
  quiet(client);
  client.emit("client:broker:failed", { connection });
  connection.emit("error", new Error("again"));
  client.emit("error", new Error("again"));
});
