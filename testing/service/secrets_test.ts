/**
 * Passwords and the key of hashes are nowhere that anybody else reads: not in logs, pages, output of commands, the
 * process list or the environment of the process.
 */
import assert from "node:assert/strict";
import { BINARY, clickstream } from "../servers/binary.ts";
import { Child, freePort, until } from "../servers/child.ts";
import { startKafka, USER } from "../servers/kafka.ts";
import { startPostgres, using } from "../servers/postgres.ts";

// kafkajs, which the broker's helper uses, leaves timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

const DATABASE_PASSWORD = "correct horse/battery";
const WRONG_PASSWORD = "wrong-Kafka-secret";

/** Every text in which a secret must not be, with what it is. */
type Seen = Map<string, string>;

async function look(seen: Seen, what: string, pid: number, address: string): Promise<void> {
  for (const path of ["", "ready", "health", "metrics", "api/status"]) {
    const response = await fetch(`http://${address}/${path}`);
    seen.set(`${what}: /${path}`, `${JSON.stringify([...response.headers])}${await response.text()}`);
  }
  const stream = await fetch(`http://${address}/api/stream`);
  const reader = stream.body!.getReader();
  seen.set(`${what}: /api/stream`, new TextDecoder().decode((await reader.read()).value));
  await reader.cancel();
  for (const file of ["cmdline", "environ"]) {
    seen.set(`${what}: ${file} of the process`, await Deno.readTextFile(`/proc/${pid}/${file}`));
  }
}

Deno.test("no secret is in logs, pages, output, process list or environment", leaky, async () => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-secrets-" });
  try {
    await using broker = await startKafka({ secure: { tls: true, sasl: "PLAIN" } });
    await using server = await startPostgres({ tls: true });
    await broker.createTopic("clicks", 2);
    await Deno.writeTextFile(`${folder}/kafka.pem`, broker.caPem);
    await Deno.writeTextFile(`${folder}/postgres.pem`, server.caPem);
    const url = await server.createDatabase();
    const login = (password: string) => url.replace("postgres@", `postgres:${encodeURIComponent(password)}@`);
    const credentials = async (name: string, secrets: Readonly<Record<string, string>>) => {
      await Deno.mkdir(`${folder}/${name}`);
      for (const [key, secret] of Object.entries(secrets)) await Deno.writeTextFile(`${folder}/${name}/${key}`, secret);
      return {
        CREDENTIALS_DIRECTORY: `${folder}/${name}`,
        KAFKA_BROKERS: broker.secureBootstrap,
        KAFKA_TOPIC: "clicks",
        KAFKA_TLS_CA: `${folder}/kafka.pem`,
        KAFKA_SASL_MECHANISM: "PLAIN",
        KAFKA_SASL_USERNAME: USER.username,
        DATABASE_TLS_CA: `${folder}/postgres.pem`,
        HTTP_LISTEN: `127.0.0.1:${freePort()}`,
        WORKERS: "1",
        LOG_LEVEL: "debug",
        LOG_FORMAT: "json",
      };
    };
    const right = await credentials("right", {
      KAFKA_SASL_PASSWORD: USER.password,
      DATABASE_URL: login(DATABASE_PASSWORD),
    });
    const seen: Seen = new Map();
    const output = async (what: string, args: readonly string[], env: Readonly<Record<string, string>>) => {
      const { code, out, err } = await clickstream(args, env);
      seen.set(`${what}: ${args.join(" ")}`, out + err);
      return code;
    };
    assert.equal(await output("right", ["migrate"], right), 0);
    const key = await using(url, async (db) => {
      await db.exec(`alter user postgres password '${DATABASE_PASSWORD}'`);
      return (await db.query<{ key: string }>("select encode(key, 'hex') as key from clickstream.hash_key")).rows[0]!
        .key;
    });
    assert.match(key, /^[0-9a-f]{32,}$/);
    {
      await using service = Child.start(BINARY, ["run"], `${folder}/right.log`, right);
      const address = right.HTTP_LISTEN;
      await until(
        "ready",
        () => fetch(`http://${address}/ready`).then((r) => r.text().then(() => r.ok), () => false),
        30_000,
        50,
      );
      await look(seen, "right", service.pid, address);
      for (const command of ["status", "status --json", "doctor", "refusals list", "gaps list", "flink", "maintain"]) {
        await output("right", command.split(" "), right);
      }
      assert.equal(await service.end("SIGTERM"), 0);
    }
    seen.set("right: log", await Deno.readTextFile(`${folder}/right.log`));

    // Passwords that are refused are named in no error.
    const wrong = await credentials("wrong", {
      KAFKA_SASL_PASSWORD: WRONG_PASSWORD,
      DATABASE_URL: login(DATABASE_PASSWORD),
    });
    {
      await using service = Child.start(BINARY, ["run"], `${folder}/wrong.log`, wrong);
      const log = () => Deno.readTextFile(`${folder}/wrong.log`).catch(() => "");
      await until("refused", async () => /uthentication/.test(await log()), 30_000, 50);
      if (!service.ended) await look(seen, "wrong", service.pid, wrong.HTTP_LISTEN);
      await service.end("SIGTERM");
    }
    seen.set("wrong: log", await Deno.readTextFile(`${folder}/wrong.log`));
    await output("wrong", ["doctor"], wrong);

    const secrets = [
      USER.password,
      DATABASE_PASSWORD,
      encodeURIComponent(DATABASE_PASSWORD),
      WRONG_PASSWORD,
      key,
      // PLAIN sends user and password as one text.
      btoa(`\0${USER.username}\0${USER.password}`),
    ];
    assert.ok(seen.size > 20);
    for (const [what, text] of seen) {
      assert.notEqual(text, "", what);
      for (const secret of secrets) assert.ok(!text.includes(secret), `${what} contains ${secret}`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
