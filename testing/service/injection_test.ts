/**
 * Injection: SQL, markup, log lines, escape sequences, labels and formulas in every field of an event, in keys, headers,
 * names of a group member, requests and arguments, seen at every outlet: tables, page, API, metrics, logs, and commands
 * on a terminal and in a pipe. Nothing is executed, and no control character comes out raw.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { AssignerProtocol, type Consumer, Kafka, logLevel, type PartitionAssigner } from "kafkajs";
import { type FieldRule, FIELDS } from "../../processor/event.ts";
import { BrokerConnection } from "../../processor/kafka/broker.ts";
import { batchBytes, type BatchRecord, produce } from "../../processor/testing/batches.ts";
import { BINARY, clickstream, type Env } from "../servers/binary.ts";
import { startBrowser } from "../servers/browser.ts";
import { Child, freePort, run, until } from "../servers/child.ts";
import { consumedBy } from "../servers/databases.ts";
import { type Broker, startKafka } from "../servers/kafka.ts";
import { startPostgres, using } from "../servers/postgres.ts";

// kafkajs leaves timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

/** What an attacker would send. Whatever is executed says `pwned`. */
const HOSTILE: readonly string[] = [
  "');drop table clickstream.progress;--",
  "\\'; select pg_sleep(99); --",
  "${pwned}{{7*7}}%s%n$(touch pwned)`id`",
  "\x1b]0;pwned\x07\x1b[2J\x1b[31m",
  "\u009b2J\u009d0;pwned\u009c\x7f",
  `x\r\n{"level":"error","msg":"pwned"}\n`,
  "\u202e\u2066denwp\u2069\u200b\ufeff\u2028",
  `"} 1\nclickstream_pwned{x="`,
  `=HYPERLINK("http://pwned.example")`,
  "\n\nevent: status\ndata: {}\n\n",
  "../../../../etc/passwd",
  `"><svg/onload=pwned=3>`,
  // The last one is on the page, which shows the latest.
  `<img src=x onerror="globalThis.pwned=1"><script>pwned=2</script>`,
];

/** What no terminal and no log may get, besides line ends. */
const RAW = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

const PARTITIONS = 2;
const TOPIC = "injection";
const TIME = Date.now();
const utf8 = new TextEncoder();

/** Fields in which any text is an event, and fields in which it is refused, and shown with the refusal. */
const FREE = [
  "eventId",
  "userId",
  "sessionId",
  "page",
  "device",
  "region",
  "referrer",
  "productId",
  "campaign",
  "userAgent",
  "orderId",
] as const;
const CHECKED = ["eventType", "timestamp", "price", "quantity", "currency"] as const;

/** A hostile text in a field, as long as it may be. */
const fitting = (name: keyof typeof FIELDS, text: string) => {
  const rule: FieldRule = FIELDS[name];
  return text.slice(0, rule.maxLength);
};

function event(fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ userId: "ann", eventType: "page_view", page: "/", timestamp: TIME, ...fields });
}

/** Each hostile text in each field, alone, and as a record. */
function records(): BatchRecord[] {
  const values = HOSTILE.flatMap((text, n) => [
    ...FREE.map((name) => event({ eventId: `${name}-${n}`, [name]: fitting(name, text) })),
    ...CHECKED.map((name) => event({ [name]: text })),
    event({ [text]: text }),
    JSON.stringify(text),
    text,
  ]);
  return values.map((value, n) => ({
    ...{ key: utf8.encode(HOSTILE[n % HOSTILE.length]), headers: 2, time: TIME, value: utf8.encode(value) },
  }));
}

/** Fails if a text has a character that a terminal obeys, or that hides what it says. */
function assertPlain(what: string, text: string): void {
  assert.notEqual(text, "", `${what} says nothing`);
  const found = RAW.exec(text.replaceAll(/\r?\n/g, ""));
  const at = found === null ? "" : JSON.stringify(text.slice(Math.max(0, found.index - 100), found.index + 50));
  assert.equal(found, null, `${what} has a raw character near ${at}`);
}

async function send(broker: Broker, all: readonly BatchRecord[]): Promise<void> {
  const connection = await BrokerConnection.open("127.0.0.1", broker.port, { clientId: "test" });
  for (let code = -1; code !== 0;) ({ errorCode: code } = await produce(connection, TOPIC, 0, batchBytes(all)));
  connection.close();
}

/** A member of the service's group whose names are hostile. */
async function hostileMember(broker: Broker): Promise<Consumer> {
  const name = HOSTILE.join(" ").replaceAll("\0", "").slice(0, 500);
  const encode = { version: 1, topics: [name], userData: Buffer.alloc(0) };
  const assigner: PartitionAssigner = () => ({
    ...{ name, version: 1, assign: () => Promise.resolve([]) },
    protocol: () => ({ name, metadata: AssignerProtocol.MemberMetadata.encode(encode) }),
  });
  const kafka = new Kafka({ clientId: name, brokers: [broker.bootstrap], logLevel: logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId: TOPIC, partitionAssigners: [assigner] });
  await consumer.connect();
  await consumer.subscribe({ topics: [`${TOPIC}-other`] });
  const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
  await consumer.run({ eachMessage: () => Promise.resolve() });
  await joined;
  return consumer;
}

/** The output of a command on a terminal of its own. */
async function onTerminal(args: readonly string[], env: Env): Promise<string> {
  const quoted = [BINARY, ...args].map((arg) => `'${arg.replaceAll("'", `'\\''`)}'`).join(" ");
  const child = new Deno.Command("script", {
    args: ["-qec", quoted, "/dev/null"],
    env: { PATH: "/usr/bin:/bin", TERM: "xterm", ...env },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
  });
  return new TextDecoder().decode((await child.output()).stdout);
}

/** Sends bytes to the service and reads its answer. */
async function asked(listen: string, bytes: string): Promise<string> {
  const [hostname = "", port = ""] = listen.split(":");
  const client = await Deno.connect({ hostname, port: Number(port) });
  await client.write(utf8.encode(bytes));
  await client.closeWrite();
  const text = await new Response(client.readable).text();
  return text;
}

async function checkHttp(listen: string): Promise<void> {
  for (const text of HOSTILE) {
    const path = encodeURIComponent(text);
    for (const head of [`GET /${path}?${path} HTTP/1.1`, `GET ${text} HTTP/1.1`, `${text} / HTTP/1.1`]) {
      for (const header of ["Host: localhost", `Host: ${text}`, `Host: localhost\r\nUser-Agent: ${text}`]) {
        const [, status, body = ""] = /^HTTP\/1\.1 (\d+)[^]*?\r\n\r\n([^]*)$/.exec(
          await asked(listen, `${head}\r\n${header}\r\nConnection: close\r\n\r\n`),
        ) ?? [];
        assert.match(status ?? "", /^(400|404|421)$/);
        assertPlain("an answer", body);
        assert.doesNotMatch(body, /pwned|<script|onerror/);
      }
    }
  }
  const metrics = await (await fetch(`http://${listen}/metrics`)).text();
  assertPlain("metrics", metrics);
  for (const line of metrics.trimEnd().split("\n")) {
    assert.match(line, /^(|# (HELP|TYPE) [a-z_]+ .*|[a-z_]+(\{[a-z]+="[\w.+]*"\})? (-?[\d.]+(e[-+]\d+)?|\+Inf|NaN))$/);
    assert.doesNotMatch(line, /pwned/);
  }
  const stream = await fetch(`http://${listen}/api/stream`);
  const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  await until("refusals come by the stream", async () => {
    text += (await reader.read()).value ?? "";
    return /event: shop\n.*onerror.*\n\n/.test(text);
  });
  await reader.cancel();
  for (const sent of text.slice(0, text.lastIndexOf("\n\n")).split("\n\n").slice(1)) {
    assert.match(sent, /^event: (status|history|point|front|shop|events|recent|trouble|missed)\ndata: .*$/);
    JSON.parse(sent.slice(sent.indexOf("data: ") + 6));
  }
}

async function checkPage(listen: string): Promise<void> {
  await using browser = await startBrowser();
  const { page, wrong, close } = await browser.open(`http://${listen}/`);
  await page.locator("#refusals .what", { hasText: "onerror" }).first().waitFor();
  await page.locator("#pages li").first().waitFor();
  for (const summary of await page.locator("#refusals summary").all()) await summary.click();
  const seen = await page.locator("body").innerText();
  assertPlain("the page", seen.replaceAll("\t", " "));
  const markup = page.locator("main img, main script, svg[onload], [onerror], a[href*=pwned]");
  assert.deepEqual(await markup.evaluateAll((all) => all.map((element) => String(Object(element).outerHTML))), []);
  assert.equal(await page.evaluate("typeof globalThis.pwned"), "undefined");
  assert.doesNotMatch(await page.title(), /pwned/);
  assert.deepEqual(wrong, []);
  await close();
}

/** The tables hold each text as it was sent, and are all there. */
async function checkTables(url: string, tables: readonly string[]): Promise<void> {
  await using(url, async (db) => {
    assert.deepEqual(await tablesOf(url), tables);
    const columns = { user_id: "userId", session_id: "sessionId", page: "page", region: "region" } as const;
    const more = { referrer: "referrer", product_id: "productId", campaign: "campaign" } as const;
    const last = { user_agent: "userAgent", order_id: "orderId" } as const;
    for (const [column, name] of Object.entries({ ...columns, ...more, ...last })) {
      const { rows } = await db.query<{ value: string }>(
        `select ${column} as value from clickstream.events where event_id like '${name}-%'
          order by substr(event_id, ${name.length + 2})::int`,
      );
      assert.deepEqual(rows.map(({ value }) => value), HOSTILE.map((text) => fitting(name, text)), name);
    }
    const { rows: refused } = await db.query<{ n: string }>("select count(*)::text as n from clickstream.refusals");
    assert.equal(Number(refused[0]!.n), HOSTILE.length * (CHECKED.length + 2));
  });
}

async function tablesOf(url: string): Promise<string[]> {
  return await using(url, async (db) => {
    const { rows } = await db.query<{ name: string }>(
      "select relname::text as name from pg_class where relnamespace = 'clickstream'::regnamespace order by 1",
    );
    return rows.map(({ name }) => name);
  });
}

async function checkCommands(env: Env, folder: string): Promise<void> {
  const file = `${folder}/events.ndjson`;
  const lines = [...HOSTILE, ...HOSTILE.flatMap((text) => CHECKED.map((name) => event({ [name]: text })))];
  await Deno.writeTextFile(file, lines.map((line) => `${line}\n`).join(""));
  const commands: readonly (readonly string[])[] = [
    ...[["refusals", "list", "--limit", "1000"], ["refusals", "list", "--json", "--limit", "1000"], ["gaps", "list"]],
    ...[["status", "--once"], ["status", "--json"], ["doctor"], ["doctor", "--json"]],
    ...[["produce", "--check", file], ["produce", "--check", "--json", file]],
    ...[["forget", HOSTILE.join(" ")], [HOSTILE.join(" ")], ["status", `--${HOSTILE.join(" ")}`]],
    ...[6, 7, 42, 43, 49, 57].flatMap((id) => [["refusals", "show", `${id}`], ["refusals", "show", "--json", `${id}`]]),
  ];
  for (const args of commands) {
    const { out, err } = await clickstream(args, env);
    assertPlain(args.join(" "), out + err);
    if (args.includes("--json")) {
      for (const line of out.trimEnd().split("\n")) JSON.parse(line);
    }
  }
  for (const args of commands.slice(0, 10)) assertPlain(`${args.join(" ")} on a terminal`, await onTerminal(args, env));
  // What is shown is there after all: the values themselves, escaped.
  const { out } = await clickstream(["refusals", "list", "--json", "--limit", "1000"], env);
  const list = await clickstream(["refusals", "list", "--limit", "1000"], env);
  assert.equal(list.out.trimEnd().split("\n").length, out.trimEnd().split("\n").length + 2, "a text began a line");
  const payloads = out.trimEnd().split("\n").map((line) => JSON.parse(line).payload);
  for (const text of HOSTILE) assert.ok(payloads.includes(text), text);
}

Deno.test("nothing that is sent is executed, or reaches a terminal, a log or the page raw", leaky, async () => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-injection-" });
  await using broker = await startKafka();
  await using server = await startPostgres();
  for (const name of [TOPIC, `${TOPIC}-other`]) await broker.createTopic(name, PARTITIONS).catch(() => {});
  const listen = `127.0.0.1:${freePort()}`;
  const env = {
    ...{ KAFKA_BROKERS: broker.bootstrap, KAFKA_TOPIC: TOPIC, KAFKA_GROUP_ID: TOPIC, HTTP_LISTEN: listen },
    ...{ DATABASE_URL: await server.createDatabase(), WORKERS: "1", LOG_LEVEL: "debug" },
  };
  await run(BINARY, ["migrate"], env);
  const tables = await tablesOf(env.DATABASE_URL);
  const all = records();
  for (const format of ["text", "json"]) {
    const log = `${folder}/${format}.log`;
    const member = format === "json" ? await hostileMember(broker) : null;
    const service = Child.start(BINARY, ["run"], log, { ...env, LOG_FORMAT: format });
    try {
      if (member === null) {
        await send(broker, all);
        await until("all is read", async () => await consumedBy(env.DATABASE_URL) === all.length);
        await checkTables(env.DATABASE_URL, tables);
        await checkHttp(listen);
        await checkPage(listen);
        await checkCommands(env, folder);
      } else {
        const ready = () => fetch(`http://${listen}/ready`).then((response) => response.text(), () => "");
        await until("the hostile member is named", async () => (await ready()).includes("pwned"));
        for (const path of ["ready", "api/status"]) {
          assertPlain(path, await (await fetch(`http://${listen}/${path}`)).text());
        }
        for (const args of [["status", "--once"], ["status", "--json"], ["doctor"], ["doctor", "--json"]]) {
          const { out } = await clickstream(args, env);
          assert.match(out, /pwned/, args.join(" "));
          assertPlain(args.join(" "), out);
          assertPlain(`${args.join(" ")} on a terminal`, await onTerminal(args, env));
        }
      }
    } finally {
      await member?.disconnect();
      const code = await service.end("SIGTERM");
      assert.equal(code, 0, await service.tail());
    }
    const logged = await Deno.readTextFile(log);
    assertPlain(`the log as ${format}`, logged);
    const lines = logged.trimEnd().split("\n");
    if (format === "json") {
      assert.match(logged, /pwned/);
      for (const line of lines) assert.notEqual(JSON.parse(line).msg, "pwned");
    } else for (const line of lines) assert.match(line, /^\[\d\d:\d\d:\d\d\.\d{3}\] [A-Z]+: /);
  }
  await Deno.remove(folder, { recursive: true });
});
