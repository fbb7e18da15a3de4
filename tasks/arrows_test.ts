/**
 * The house: which room may import which, and where the outside world may be used. Reads the source of every folder, so
 * that a wrong import fails at once. Type imports count as well.
 */
import assert from "node:assert/strict";
import { type Files, FOLDERS, importsOf, readSources, withoutComments } from "./imports.ts";

/**
 * The rooms by floor, from the ground up. A room is a folder or a file; a file belongs to the longest name that
 * matches. It may import its own room and the rooms on lower floors.
 */
const FLOORS: readonly (readonly string[])[] = [
  [
    ...["processor/event.ts", "processor/records.ts", "processor/version.ts", "processor/columns"],
    ...["processor/kafka/unpack", "processor/oracle", "processor/kernel/assembly"],
    ...["migrations", "generator/random.ts", "grafana/prometheus", "infra/hosts", "infra/aws.ts", "testing/effort.ts"],
    ...["tasks/bundle"],
  ],
  ["processor/refusal.ts", "processor/currency.ts", "processor/measures", "processor/export", "grafana"],
  ["processor/decode", "processor/views", "processor/aws"],
  ["processor/declared"],
  ["processor/pipeline", "processor/kernel", "processor/translate", "processor/config", "processor/kafka/login"],
  ["processor/status", "processor/kafka", "processor/postgres", "processor/host", "infra", "processor/testing/fakes"],
  [
    ...["processor/postgres/sink", "processor/postgres/operations", "processor/embedded", "processor/http"],
    "processor/telemetry",
    ...["processor/commands/cli", "generator", "processor/testing"],
  ],
  [
    ...["processor/commands/demo", "processor/commands/doctor", "processor/commands/run"],
    ...["processor/commands/report", "processor/commands/rebuild"],
    ...["processor/testing/contracts", "testing/servers"],
  ],
  [
    ...["processor/commands", "processor/testing/simulation", "testing/service", "infra/testing"],
    ...["testing/chaos", "testing/drawing", "testing/overload", "testing/soak", "infra/compose"],
  ],
  ["processor/main.ts", "tasks", "processor/testing/hostile", "testing/releases"],
  ["bench", "tasks/hostile.ts", "tasks/fuzz.ts", "tasks/deploy", "tasks/release", "tasks/release/testing"],
];

/** Rooms that may import less than everything below them, and why. */
const NARROW: readonly { readonly room: string; readonly may: readonly string[]; readonly why: string }[] = [
  { room: "processor/event.ts", may: [], why: "the event imports nothing" },
  { room: "processor/currency.ts", may: ["processor/event.ts"], why: "currencies know numbers alone" },
  { room: "processor/columns", may: [], why: "columns know bytes and numbers alone" },
  { room: "processor/measures", may: ["processor/columns"], why: "a measure adds columns up" },
  {
    room: "processor/views",
    may: ["processor/measures", "processor/columns"],
    why: "a view says what it measures, and nothing else",
  },
  {
    room: "processor/decode",
    may: [
      "processor/columns",
      "processor/currency.ts",
      "processor/event.ts",
      "processor/records.ts",
      "processor/refusal.ts",
    ],
    why: "decoding knows records, columns, currencies and refusals",
  },
  {
    room: "processor/kernel",
    may: [
      "processor/decode",
      "processor/columns",
      "processor/currency.ts",
      "processor/event.ts",
      "processor/records.ts",
      "processor/refusal.ts",
    ],
    why: "the kernel knows records, columns, currencies and refusals",
  },
  { room: "processor/kernel/assembly", may: [], why: "it is compiled by itself, from its own files" },
  {
    room: "processor/translate",
    may: [
      "processor/views",
      "processor/measures",
      "processor/columns",
      "processor/currency.ts",
      "processor/event.ts",
    ],
    why: "a translation knows views, and nothing of the world",
  },
  {
    room: "generator",
    may: ["generator/random.ts", "processor/event.ts", "processor/kafka", "processor/config", "processor/decode"],
    why: "the simulator knows the event and how to send it",
  },
  { room: "grafana", may: ["processor/event.ts", "grafana/prometheus"], why: "dashboards are written, not run" },
  { room: "processor/oracle", may: [], why: "the oracle shares no code with what it judges" },
];

/** Rooms that only tests and test helpers may import. */
const FOR_TESTS = /(^|\/)testing(\/|$)/;
const OF_TESTS = /_test\.ts$|(^|\/)testing\/|^(tasks|bench)\//;

/** The processor must not know the oracle that checks it; the demo uses it to show that both count the same. */
const ORACLE = /^processor\/oracle\//;
const JUDGES = /^processor\/(oracle|commands\/demo)\//;

/**
 * Rooms without access to the outside world: no clock, randomness, files or packages. They get time and randomness as
 * arguments.
 */
const PURE =
  /^processor\/(event\.ts|currency\.ts|records\.ts|refusal\.ts|(columns|decode|kernel|measures|views|pipeline|translate|status|oracle)\/)|^generator\/(?!aws|handler|ndjson)/;

/** Accepted exceptions: the page's files are read when the program is built, and `isbot` is a list. */
const PACKAGES_OF_PURE = /^(uplot\/|isbot(\/|$)|node:(buffer|util)$)/;

const WORLD =
  /\bDeno\.|\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bconsole\.|\bset(?:Timeout|Interval|Immediate)\b|\bperformance\.|\bcrypto\.|\bprocess\.|\bfetch\(|\bnew Worker\b/;

/** Most source files in a room, and most lines in a source file. */
const MOST_FILES = 20;
const MOST_LINES = 400;

function roomOf(path: string): string {
  const rooms = FLOORS.flat().filter((room) => path === room || path.startsWith(`${room}/`));
  return rooms.sort((a, b) => b.length - a.length)[0] ?? "";
}

function floorOf(room: string): number {
  return FLOORS.findIndex((rooms) => rooms.includes(room));
}

const isTest = (path: string) => path.endsWith("_test.ts");

/** Describes every wrong import. */
function wrongArrows(files: Files): string[] {
  const imports = new Map([...files].map(([path, text]) => [path, importsOf(path, text)]));
  const wrong: string[] = [];
  for (const [path, all] of imports) {
    const room = roomOf(path);
    if (room === "") wrong.push(`${path} is in no room`);
    for (const of of all) wrong.push(...faultsOf(path, room, of));
  }
  return [...wrong, ...circlesOf(imports)];
}

function faultsOf(path: string, room: string, of: string): string[] {
  const isOurs = FOLDERS.some((folder) => of.startsWith(`${folder}/`));
  if (isTest(path)) return [];
  if (!isOurs) {
    const isAllowed = !PURE.test(path) || PACKAGES_OF_PURE.test(of);
    return isAllowed ? [] : [`${path} imports ${of}: a pure room imports no package`];
  }
  if (isTest(of)) return [`${path} imports ${of}, which is a test`];
  if (FOR_TESTS.test(of) && !OF_TESTS.test(path)) return [`${path} imports ${of}, which is for tests`];
  if (ORACLE.test(of) && !OF_TESTS.test(path) && !JUDGES.test(path)) return [`${path} imports ${of}, which judges it`];
  const other = roomOf(of);
  if (other === room) return [];
  const narrow = NARROW.find((rule) => rule.room === room);
  if (narrow !== undefined && !narrow.may.includes(other)) return [`${path} imports ${of}: ${narrow.why}`];
  if (floorOf(other) >= floorOf(room)) return [`${path} imports ${of}, which does not stand below it`];
  return [];
}

/** Describes every use of the outside world in a pure room. */
function worldlyWords(files: Files): string[] {
  return [...files].filter(([path]) => PURE.test(path) && !isTest(path)).flatMap(([path, text]) =>
    withoutComments(text).split("\n").flatMap((line, n) => {
      const word = WORLD.exec(line.replaceAll(/(["'])(?:\\.|(?!\1)[^\\])*\1/g, '""'))?.[0];
      return word === undefined ? [] : [`${path}:${n + 1} says ${word} in a pure room`];
    })
  );
}

function circlesOf(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, above: readonly string[]): void => {
    if (above.includes(path)) circles.push(`a circle: ${[...above.slice(above.indexOf(path)), path].join(" → ")}`);
    if (done.has(path)) return;
    done.add(path);
    for (const of of imports.get(path) ?? []) visit(of, [...above, path]);
  };
  for (const path of imports.keys()) visit(path, []);
  return circles;
}

Deno.test("every import between files goes to an allowed room", async () => {
  const files = await readSources();
  const used = new Set([...files.keys()].map(roomOf));
  assert.deepEqual(FLOORS.flat().filter((room) => !used.has(room)), [], "rooms that are empty");
  assert.ok(FLOORS.length <= 11);
  assert.deepEqual(wrongArrows(files), []);
});

Deno.test("only the edge rooms use the outside world", async () => {
  assert.deepEqual(worldlyWords(await readSources()), []);
});

Deno.test("no room and no file is too large", async () => {
  const files = [...await readSources()].filter(([path]) => !isTest(path));
  const rooms = Map.groupBy(files, ([path]) => roomOf(path));
  const large = [...rooms].filter(([, inside]) => inside.length > MOST_FILES).map(([room]) => room);
  const long = files.filter(([, text]) => text.split("\n").length - 1 > MOST_LINES).map(([path]) => path);
  assert.deepEqual([...large, ...long], []);
});

Deno.test("a wrong import is found", () => {
  const planted: readonly (readonly [string, string])[] = [
    ["processor/views/pages.ts", 'import { fold } from "../pipeline/fold.ts";'],
    ["processor/views/pages.ts", 'import type { ClickEvent } from "../event.ts";'],
    ["processor/event.ts", 'import "./records.ts";'],
    ["processor/pipeline/fold.ts", 'import type {\n  SqlSink,\n} from "../postgres/sink/sql_sink.ts";'],
    ["processor/pipeline/pipeline.ts", 'export { run } from "../commands/run/run.ts";'],
    ["processor/pipeline/pipeline.ts", 'const io = await import("../kafka/source.ts");'],
    ["processor/measures/measure.ts", 'import { readFileSync } from "node:fs";'],
    ["processor/measures/measure.ts", 'import { type View, view } from "../views/view.ts";'],
    ["processor/pipeline/supervise.ts", 'import { settings } from "../config/config.ts";'],
    ["processor/kafka/source.ts", 'import { main } from "../main.ts";'],
    ["processor/kafka/source.ts", 'import { MemorySink } from "../testing/fakes/memory.ts";'],
    ["processor/kafka/source.ts", 'import type { Database } from "../postgres/database.ts";'],
    ["processor/translate/flink.ts", 'import type { Pipeline } from "../pipeline/pipeline.ts";'],
    ["processor/http/http.ts", 'import { helper } from "./http_test.ts";'],
    ["processor/pipeline/fold.ts", 'import { sessionsOf } from "../oracle/sessions.ts";'],
    ["processor/oracle/oracle.ts", 'import { VIEWS } from "../views/mod.ts";'],
    ["generator/simulator.ts", 'import { view } from "../processor/views/view.ts";'],
    ["infra/stack.ts", 'import { freePort } from "../testing/servers/child.ts";'],
    ["processor/stray.ts", ""],
  ];
  for (const [path, text] of planted) assert.equal(wrongArrows(new Map([[path, text]])).length, 1, `${path}: ${text}`);
  const circle = new Map([
    ["processor/columns/a.ts", 'import "./b.ts";'],
    ["processor/columns/b.ts", 'import type { A } from "./a.ts";'],
  ]);
  assert.equal(wrongArrows(circle).length, 1);
  const comment = new Map([["processor/decode/json.ts", '// import "../kafka/source.ts";']]);
  assert.deepEqual(wrongArrows(comment), []);
});

Deno.test("a use of the outside world is found", () => {
  const touching = [
    "const t = Date.now();",
    "  console.log(1);",
    "x = `${Math.random()}`;",
    'Deno.env.get("A");',
    "new Date()",
  ];
  const path = "processor/pipeline/fold.ts";
  for (const line of touching) assert.equal(worldlyWords(new Map([[path, line]])).length, 1, line);
  for (const line of ["// Date.now()", "/** `Deno.exit` */", 'const s = "console.log";', "new Date(0)"]) {
    assert.deepEqual(worldlyWords(new Map([[path, line]])), [], line);
  }
  const edge = new Map([["processor/host/log.ts", "Date.now()"], ["generator/handler.ts", "Deno.exit()"]]);
  assert.deepEqual(worldlyWords(edge), []);
});

Deno.test("no file path is taken from a URL's pathname, which encodes a blank as %20", async () => {
  const wrong = [...await readSources()].filter(([, text]) => /\bimport\.meta\.url\)\.pathname/.test(text));
  assert.deepEqual(wrong.map(([path]) => path), []);
});
