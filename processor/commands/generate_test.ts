import assert from "node:assert/strict";
import type { KafkaSettings } from "../kafka/producer.ts";
import { Simulator } from "../../generator/simulator.ts";
import type { Counts } from "../../generator/records.ts";
import { startKafka } from "../../testing/servers/kafka.ts";
import { readTopic, writtenTo } from "../testing/fakes/log.ts";
import { WrongUse } from "./cli/exit.ts";
import { generate, type GenerateOptions } from "./generate.ts";
import { GENERATE_DEFAULTS } from "./cli/options.ts";
import { produceFile } from "./produce.ts";
import type { Output } from "./cli/progress.ts";

// kafkajs leaves timers behind when it disconnects.
const leaky = { sanitizeOps: false, sanitizeResources: false };

const NOWHERE: KafkaSettings = { brokers: ["127.0.0.1:1"], topic: "t", partitions: 2 };
const DAY_MS = 86_400_000;
const FROM_MS = Date.UTC(2026, 10, 2, 9);

/** An output that collects its lines. */
function kept(): Output & { readonly lines: string[]; readonly errors: string[] } {
  const [lines, errors]: [string[], string[]] = [[], []];
  return { lines, errors, print: (line) => lines.push(line), writeError: (text) => errors.push(text) };
}

async function counted(options: Partial<GenerateOptions>, settings = NOWHERE): Promise<Counts> {
  const output = kept();
  assert.equal(await generate({ ...GENERATE_DEFAULTS, json: true, ...options }, settings, output), 0);
  assert.equal(output.lines.length, 1);
  return JSON.parse(output.lines[0]!) as Counts;
}

async function inFolder(body: (file: (name: string) => string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-" });
  try {
    await body((name) => `${folder}/${name}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("writes one line per record to a file, the same for the same seed", async () => {
  await inFolder(async (file) => {
    const options = { fromMs: FROM_MS, seconds: 5, rate: 300, users: 50 };
    const counts = await counted({ ...options, out: file("a") });
    await counted({ ...options, out: file("b") });
    await counted({ ...options, seed: 2, out: file("c") });
    const [a, b, c] = await Promise.all(["a", "b", "c"].map((name) => Deno.readFile(file(name))));
    assert.deepEqual(a, b);
    assert.notDeepEqual(a, c);
    const { rate, users, ...shares } = { ...GENERATE_DEFAULTS, ...options };
    const simulator = new Simulator({ ...shares, rate, users, fromMs: FROM_MS, toMs: FROM_MS + 5000 });
    const values = [...simulator].flatMap(({ value }) => [...value ?? [], 10]);
    assert.deepEqual([...a!], values);
    const { records, refusals, users: shoppers } = simulator.counts;
    assert.deepEqual([counts.records, counts.refusals, counts.users], [records, refusals, shoppers]);
  });
});

Deno.test("expired records are older than the retention of events", async () => {
  await inFolder(async (file) => {
    for (const keepDays of [30, 1000]) {
      const out = file(String(keepDays));
      const { refusals } = await counted({ fromMs: FROM_MS, seconds: 60, rate: 200, bad: 0.3, keepDays, out });
      const times = (await Deno.readTextFile(out)).matchAll(/"timestamp":(\d{12,})\b/g);
      const old = [...times].filter(([, time]) => Number(time) < FROM_MS - keepDays * DAY_MS);
      assert.ok(refusals.expired > 0);
      assert.equal(old.length, refusals.expired, `${keepDays} days`);
    }
  });
});

Deno.test("prints the counts as a table", async () => {
  await inFolder(async (file) => {
    const output = kept();
    const options = { ...GENERATE_DEFAULTS, rate: 2000, seconds: 10, fromMs: FROM_MS, out: file("table") };
    await generate(options, NOWHERE, output);
    const number = (what: string) => {
      const line = output.lines.find((each) => each.trim().startsWith(`${what} `)) ?? "";
      return Number(line.split(/\s{2,}/).at(-1)!.replaceAll(",", ""));
    };
    assert.equal(number("records"), number("events") + number("duplicates") + number("refused"));
    for (const what of ["page_view", "purchase", "not_utf8", "late events", "users", "revenue"]) {
      assert.ok(number(what) > 0, `${what} in\n${output.lines.join("\n")}`);
    }
    assert.match(
      output.errors.at(-1)!,
      /table: 1\d,\d{3} records in .* seed 1\n$|table: 2\d,\d{3} records in .* seed 1\n$/,
    );
  });
});

Deno.test("reports invalid options as wrong use", async () => {
  const refused = (options: Partial<GenerateOptions>, message: RegExp) =>
    assert.rejects(() => counted(options), (error) => {
      assert.ok(error instanceof WrongUse);
      assert.match(error.message, message);
      return true;
    });
  await refused({ rate: 0, seconds: 1, out: "/dev/null" }, /^rate is 0; allowed: /);
  await refused({ bad: 2, seconds: 1, out: "/dev/null" }, /^bad is 2; allowed: a share from 0 to 0.5/);
  await refused({ fast: true }, /^--fast and --out need an end: set --seconds or --from/);
  await refused({ fromMs: Date.now() + 1e6, fast: true }, /^toMs is \d+; allowed: later than fromMs/);
  await assert.rejects(() => counted({ seconds: 1, out: "/nowhere/file" }), {
    message: /^cannot write \/nowhere\/file: No such file .*; choose another file$/,
  });
  await assert.rejects(() => produceFile({ file: "/nowhere/file", keepDays: 30 }, NOWHERE, kept()), {
    message: /^cannot read \/nowhere\/file: No such file .*; pass a file, or - for standard input$/,
  });
});

Deno.test("generate and produce send to Kafka", leaky, async (t) => {
  await using broker = await startKafka();
  const settings = (topic: string): KafkaSettings => ({ brokers: [broker.bootstrap], topic, partitions: 2 });

  /** Number of records in a topic. */
  const sizeOf = (topic: string) => writtenTo([broker.bootstrap], topic);

  /** The values of all records of a topic, in order. */
  async function valuesOf(topic: string): Promise<string[]> {
    const { partitions } = await readTopic({ brokers: [broker.bootstrap], topic });
    return partitions.flat().map(({ value }) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(value!)).sort();
  }

  await t.step("sends records of the past at once", async () => {
    const output = kept();
    const options = { ...GENERATE_DEFAULTS, json: true, rate: 5, seconds: 3600, fast: true };
    assert.equal(await generate(options, settings("fast"), output), 0);
    const { records } = JSON.parse(output.lines[0]!) as Counts;
    assert.ok(records > 15_000 && records < 21_000, `${records}`);
    assert.deepEqual(output.errors.filter((line) => line.startsWith("created")), [
      "created topic fast with 2 partitions\n",
    ]);
  });

  await t.step("sends records of the present in real time", async () => {
    const startMs = performance.now();
    const { records } = await counted({ rate: 500, seconds: 2 }, settings("live"));
    const tookMs = performance.now() - startMs;
    assert.ok(records > 850 && records < 1150, `${records}`);
    assert.ok(tookMs > 1900, `${tookMs} ms`);
  });

  await t.step("stops at a signal if it has no end, and has sent every counted record", async () => {
    const stop = new AbortController();
    const output = kept();
    const stopping = { ...output, writeError: (text: string) => (output.writeError(text), stop.abort()) };
    const options = { ...GENERATE_DEFAULTS, json: true, rate: 200, signal: stop.signal };
    assert.equal(await generate(options, settings("stopped"), stopping), 0);
    const { records } = JSON.parse(output.lines[0]!) as Counts;
    assert.equal(await sizeOf("stopped"), records);
  });

  await t.step("sends a file line by line, and judges each line like the service", async () => {
    await inFolder(async (file) => {
      const good = { userId: "ann", eventType: "page_view", timestamp: new Date().toISOString(), page: "/" };
      const lines = [
        ...[good, { ...good, timestamp: "yesterday" }].map((event) => JSON.stringify(event)),
        ...["", "nonsense", "[]", '{"userId":"ann"}'],
        ...[{ ...good, timestamp: 0 }, { ...good, quantity: 0 }, good].map((event) => JSON.stringify(event)),
      ];
      await Deno.writeTextFile(file("mine"), `\ufeff${lines.join("\r\n")}`);
      const options = { file: file("mine"), keepDays: 30 };
      const refused = [
        'line 2: bad_timestamp: "yesterday" is not a time',
        "line 4: not_json: ",
        "line 5: not_an_object: ",
        "line 6: missing_field: eventType ",
        "line 7: expired: ",
        "line 8: bad_value: quantity is 0; ",
      ];
      const summary = [
        "6 of 8 lines will be refused: 1 not_json, 1 not_an_object, 1 missing_field, 1 bad_value, 1 bad_timestamp, 1 expired",
        "skipped 1 empty line and 1 byte-order mark (not part of any event)",
      ];
      for (const check of [true, false]) {
        const output = kept();
        assert.equal(await produceFile({ ...options, check }, settings("mine"), output), 1);
        for (const [i, line] of refused.entries()) assert.equal(output.lines[i]!.slice(0, line.length), line);
        const done = check
          ? `checked 8 lines of ${file("mine")}; nothing was sent`
          : `sent 8 lines of ${file("mine")} to topic mine`;
        assert.deepEqual(output.lines.slice(refused.length), [done, ...summary]);
        // A check needs no topic.
        assert.deepEqual(output.errors, check ? [] : ["created topic mine with 2 partitions\n"]);
      }
      assert.deepEqual(await valuesOf("mine"), lines.filter((line) => line !== "").sort());

      const output = kept();
      assert.equal(await produceFile({ ...options, json: true, check: true }, NOWHERE, output), 1);
      const { first, ...counts } = JSON.parse(output.lines[0]!);
      const reasons = { not_json: 1, not_an_object: 1, missing_field: 1, bad_value: 1, bad_timestamp: 1, expired: 1 };
      assert.deepEqual(counts, { lines: 8, sent: 0, refused: 6, reasons, emptyLines: 1, byteOrderMarks: 1 });
      assert.deepEqual(first.map(({ line }: { line: number }) => line), [2, 4, 5, 6, 7, 8]);

      await Deno.writeTextFile(file("good"), `${JSON.stringify(good)}\n`.repeat(2));
      const silent = kept();
      assert.equal(await produceFile({ ...options, file: file("good"), check: true }, NOWHERE, silent), 0);
      assert.deepEqual(silent.lines, [`checked 2 lines of ${file("good")}; nothing was sent`]);
      await Deno.writeTextFile(file("many"), "?\n".repeat(1234));
      const many = kept();
      assert.equal(await produceFile({ ...options, file: file("many"), check: true }, NOWHERE, many), 1);
      assert.deepEqual(many.lines.slice(9).map((line) => line.replace(/^(line \d+): .*/, "$1")), [
        "line 10",
        "… and 1,224 more",
        `checked 1,234 lines of ${file("many")}; nothing was sent`,
        "1,234 of 1,234 lines will be refused: 1,234 not_json",
      ]);

      await Deno.writeTextFile(file("long"), `${JSON.stringify(good)}\n${"x".repeat(2 ** 20)}\n`);
      await assert.rejects(() => produceFile({ ...options, file: file("long") }, settings("mine"), kept()), {
        message: /^line 2 is longer than 1047552 bytes/,
      });
      assert.equal(await sizeOf("mine"), 9);
    });
  });
});
