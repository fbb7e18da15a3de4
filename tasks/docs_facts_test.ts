/**
 * Checks numbers in the documentation that come from constants: every paragraph on a fact must state the value from the
 * source. Paragraphs are found by their topic, so they can be reworded and moved.
 */
import assert from "node:assert/strict";
import { ALERTS } from "../grafana/prometheus/alerts.ts";
import { describeSettings } from "../processor/config/settings_shown.ts";
import { BOT_LIST_VERSION } from "../processor/measures/bot_list.ts";
import { BOT_EVENTS, BOT_EVENTS_A_MINUTE } from "../processor/measures/bots.ts";
import { type Files, readSources } from "./imports.ts";

const ROOT = new URL("../", import.meta.url);

/** Units by dimension, each as a multiple of the smallest. */
const UNITS = {
  milliseconds: { ms: 1, s: 1000, seconds: 1000, second: 1000, minutes: 60_000, minute: 60_000, days: 86_400_000 },
  bytes: { KiB: 1024, MiB: 1024 ** 2, MB: 1e6, "MB/s": 1e6, GB: 1e9 },
  days: { days: 1, day: 1, week: 7 },
  records: { records: 1 },
  pieces: { pieces: 1 },
  users: { "": 1, users: 1 },
  times: { times: 1, "at a time": 1 },
  transactions: { "": 1 },
  percent: { "%": 1 },
  cores: { "for each core": 1 },
} as const satisfies Readonly<Record<string, Readonly<Record<string, number>>>>;

type Unit = keyof typeof UNITS;

const WORDS: Readonly<Record<string, number>> = {
  ...{ half: 0.5, a: 1, an: 1, one: 1, two: 2, three: 3, four: 4, five: 5, ten: 10, twelve: 12, thirteen: 13 },
};

/** Returns every amount of a unit in a text. */
function amounts(text: string, unit: Unit): number[] {
  const units: Readonly<Record<string, number>> = UNITS[unit];
  const names = Object.keys(units).sort((a, b) => b.length - a.length).join("|");
  const words = Object.keys(WORDS).join("|");
  const pattern = new RegExp(
    `(?<![\\w.,-])(\\d[\\d,]*(?:\\.\\d+)?|(?:${words})(?: an?)?)[ -]?(${names})(?![\\w/])`,
    "gi",
  );
  return [...text.matchAll(pattern)].map(([, number, name]) => {
    const factor = units[name!] ?? units[name!.toLowerCase()]!;
    const value = WORDS[number!.toLowerCase().replace(/ an?$/, "")] ?? Number(number!.replaceAll(",", ""));
    return value * factor;
  });
}

/** Paragraphs, list items and table rows, each on one line. */
function paragraphs(text: string): string[] {
  return text.split(/\n\s*\n|\n(?=\s*[-|*] |\d\. )/).map((part) => part.replaceAll(/\s+/g, " "));
}

/** Returns the value of a constant; `within` is a part of the path that distinguishes constants of the same name. */
function constant(files: Files, name: string, within = ""): number {
  const found = [...files].flatMap(([path, text]) => {
    if (path.endsWith("_test.ts") || !path.startsWith("processor/") || !path.includes(within)) return [];
    return [...text.matchAll(new RegExp(`^(?:export )?const ${name}(?:: number)? = ([\\d_e.*+ ]+);`, "gm"))];
  });
  assert.equal(found.length, 1, `${name} is set ${found.length} times`);
  return found[0]![1]!.split("*").map((factor) => Number(factor.replaceAll("_", ""))).reduce((a, b) => a * b);
}

/** Facts that the source decides: a paragraph that matches `about` must state `value` in its unit. */
interface Fact {
  readonly about: RegExp;
  readonly unit: Unit;
  readonly value: number;
}

function factsOf(files: Files): Fact[] {
  const of = (name: string, within?: string) => constant(files, name, within);
  const setting = (name: string) => Number(describeSettings().find((setting) => setting.name === name)!.default);
  const refusals = ALERTS.find(({ name }) => name === "ClickstreamRefusals")!;
  return [
    { about: /tries again .*\bapart/, unit: "milliseconds", value: of("LONGEST_PAUSE_MS", "supervise") },
    { about: /(MB|GiB).* for each worker/, unit: "bytes", value: of("WORKER_BYTES") },
    { about: /`ClickstreamStalled`/, unit: "milliseconds", value: of("STALLS_AFTER_MS") },
    { about: /^\| `not_committed`/, unit: "milliseconds", value: of("COMMIT_STALLS_AFTER_MS") },
    { about: /^\| `rebalancing`/, unit: "milliseconds", value: of("STALLS_AFTER_MS") },
    { about: /^\| `rebalancing`/, unit: "milliseconds", value: of("SESSION_TIMEOUT_MS") },
    { about: /^\| `rebalancing`/, unit: "milliseconds", value: of("REBALANCE_TIMEOUT_MS") },
    { about: /`payload`.*\bfirst\b/, unit: "bytes", value: of("MAX_EVENT_BYTES") },
    { about: /unpack(s|ed)? (in)?to .*MiB/, unit: "bytes", value: of("MAX_UNPACKED_BYTES") },
    { about: /`ClickstreamRefusals`/, unit: "percent", value: refusals.threshold[1] * 100 },
    { about: /^\| postgres clock/, unit: "milliseconds", value: of("CLOCK_MS", "doctor/postgres") },
    { about: /^\| postgres write speed/, unit: "milliseconds", value: of("COMMIT_MS") },
    { about: /^\| postgres write speed/, unit: "bytes", value: of("LEAST_SPEED") },
    { about: /^\| postgres free space/, unit: "bytes", value: of("LEAST_FREE") },
    { about: /^\| partitions .*ahead/, unit: "days", value: of("AHEAD_DAYS", "doctor/postgres") },
    { about: /partitions (for|of) .*week/, unit: "days", value: of("AHEAD_DAYS", "migrate") },
    { about: /waits for `COMMIT_EVERY_MS`/, unit: "milliseconds", value: setting("COMMIT_EVERY_MS") },
    { about: /tries again half a second/, unit: "milliseconds", value: of("PAUSE_MS", "locks") },
    { about: /kafka-topics\.sh --alter|notices .*partitions/, unit: "milliseconds", value: of("COUNT_EVERY_MS") },
    { about: /Only days that have events/, unit: "transactions", value: of("PORTION") },
    {
      about: /ids are kept for/,
      unit: "pieces",
      value: of("DISORDER_MINUTES") + of("WINDOW_MS", "duplicates") / 60_000 + 1,
    },
    { about: /compared with every event of its id/, unit: "milliseconds", value: of("WINDOW_MS", "duplicates") },
    { about: /Kafka timestamps are out of order/, unit: "milliseconds", value: of("DISORDER_MINUTES") * 60_000 },
    { about: /commit is bounded/, unit: "records", value: of("MOST_RECORDS", "config/") },
    { about: /`MEMORY_MB`.*at most/, unit: "bytes", value: of("MOST_MEMORY_MB") * 1e6 },
    { about: /the kernel looks at/, unit: "records", value: of("ROUND", "kernel/") },
    { about: /users (are|is) exact up to/, unit: "users", value: of("EXACT_MEMBERS") },
    { about: /^\| status .*events\/s/, unit: "milliseconds", value: of("STATUS_EVERY_MS") },
    { about: /`WORKERS`.*for each core/, unit: "cores", value: of("WORKERS_A_CORE") },
  ];
}

/** Every document, and the binary's description of its settings. */
async function documents(): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for (const folder of ["", "docs/"]) {
    for await (const { name } of Deno.readDir(new URL(folder || ".", ROOT))) {
      if (!name.endsWith(".md") || name === "CHANGELOG.md") continue;
      texts.set(`${folder}${name}`, await Deno.readTextFile(new URL(`${folder}${name}`, ROOT)));
    }
  }
  const help = describeSettings().map(({ name, allowed, about }) => `\`${name}\`: ${about}; ${allowed}`);
  return texts.set("help run", help.join("\n\n"));
}

/** Wrong statements, and facts that no text states. */
function compared(texts: Files, facts: readonly Fact[]): { wrong: string[]; unsaid: Fact[] } {
  const wrong: string[] = [];
  const unsaid = facts.filter(({ about, unit, value }) => {
    let isSaid = false;
    for (const [path, text] of texts) {
      for (const paragraph of paragraphs(text).filter((paragraph) => about.test(paragraph))) {
        const said = amounts(paragraph, unit);
        if (said.length === 0) continue;
        isSaid = true;
        if (!said.includes(value)) wrong.push(`${path} says ${said.join(", ")} ${unit}, not ${value}: ${paragraph}`);
      }
    }
    return !isSaid;
  });
  return { wrong, unsaid };
}

Deno.test("numbers in the documents are those of the source", async () => {
  const facts = factsOf(await readSources());
  const { wrong, unsaid } = compared(await documents(), facts);
  assert.deepEqual(wrong, []);
  // A fact may be removed from a document, but a check for a fact that nobody states checks nothing.
  const missing = unsaid.map(({ about, value }) => `${about}: ${value}`);
  assert.ok(unsaid.length <= facts.length / 4, `nothing states ${missing.join("; ")}`);
});

Deno.test("a wrong number is found in any unit", () => {
  const about = /tries again/;
  const facts = [{ about, unit: "milliseconds", value: 2000 }] as const;
  const said = (text: string) => compared(new Map([["a.md", text]]), facts);
  assert.equal(said("It tries again\nat most 10 s apart.").wrong.length, 1);
  for (const right of ["2 s", "two seconds", "2,000 ms", "2000 ms"]) {
    assert.deepEqual(said(`It tries again at most ${right} apart.`), { wrong: [], unsaid: [] }, right);
  }
  assert.equal(said("It tries again soon.\n\nOthers wait for 10 s.").unsaid.length, 1);
  assert.deepEqual(amounts("0.3 s, half a second, a minute and 12.5 s; 5 sheep", "milliseconds"), [
    300,
    500,
    60_000,
    12_500,
  ]);
  assert.deepEqual(amounts("at least 5 MB/s of 64 MiB", "bytes"), [5e6, 64 * 1024 ** 2]);
});

Deno.test("versions in the documents are the pinned ones", async () => {
  const own = ["deno", "deno.json", "processor/version.ts", "infra/compose/compose.yaml"];
  const pins = [...own, "bench/peers/spark/pom.xml", "bench/peers/streams/pom.xml"];
  const pinned = (await Promise.all(pins.map((path) => Deno.readTextFile(new URL(path, ROOT))))).join("\n");
  for (const [path, text] of await documents()) {
    // Not IP addresses, which have four numbers.
    const versions = [...text.matchAll(/(?<![\d.])\d+\.\d+\.\d+(?![\d.]*\.\d)/g)].map(([version]) => version);
    assert.deepEqual(versions.filter((version) => !pinned.includes(version)), [], path);
  }
});

/** Returns the fixed text at the start of each message that the service logs. */
function logMessages(files: Files): readonly string[] {
  const calls = [...files].filter(([path]) => /^processor\/(?!testing\/|.*_test\.ts$)/.test(path)).flatMap((
    [, text],
  ) => [...text.matchAll(/\blog(?:\.(?:debug|info|warn|error)|\[[^\]]*\])\(\s*["`]([^"`$;:]*[^"`$;:\s])/g)]);
  return calls.map(([, message]) => message!);
}

Deno.test("docs/debugging.md explains every message of the log", async () => {
  const page = await Deno.readTextFile(new URL("docs/debugging.md", ROOT));
  const table = page.split("## What a log line means")[1]!.split("\n## ")[0]!;
  const messages = logMessages(await readSources());
  assert.ok(messages.length > 10, messages.join());
  assert.deepEqual(messages.filter((message) => !table.includes(`\`${message}`)), []);
});

Deno.test("every task that a document names exists", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT))) as { readonly tasks: object };
  const named = [...await documents()].flatMap(([path, text]) =>
    [...text.matchAll(/deno task ([a-z:]+)/g)].map(([, name]) => ({ path, name: name!.replace(/:$/, "") }))
  );
  assert.ok(named.length > 40);
  assert.deepEqual(named.filter(({ name }) => !Object.hasOwn(tasks, name)), []);
});

Deno.test("docs/questions.md names the version of the list of bots, and the pace by which it tells them", async () => {
  const page = await Deno.readTextFile(new URL("docs/questions.md", ROOT));
  assert.ok(page.includes(`version ${BOT_LIST_VERSION}`), BOT_LIST_VERSION);
  assert.ok(page.includes(`at least ${BOT_EVENTS} events and more than ${BOT_EVENTS_A_MINUTE} per started minute`));
});
