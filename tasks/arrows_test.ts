/**
 * The house's arrows: who may import whom, and where the world may be touched. Read from the source, so that a wrong
 * import fails before anybody has to notice it.
 */
import assert from "node:assert/strict";

/** Source by path, relative to the repository. */
type Files = ReadonlyMap<string, string>;

/** Values of a file's imports are known by where they come from: a path of the repository, or a module's name. */
interface Import {
  readonly of: string;
  readonly typeOnly: boolean;
}

const ROOT = new URL("../", import.meta.url);

/** The core, in the order of its arrows: a file imports values from files before it alone. */
const CORE = [
  ...[
    "event",
    "time",
    "batch",
    "cells",
    "distinct",
    "funnel",
    "measure",
    "view",
    "groups",
    "fold",
    "duplicates",
    "decode",
    "pending",
  ],
  "pipeline",
].map((name) => `processor/${name}.ts`);

/** What stands at the edge of the world, or talks to it. */
const WORLDLY =
  /^(processor\/(io|commands|testing|status)\/|processor\/(config|main|settings_shown)\.ts$|generator\/(aws|kafka|handler|ndjson)\.ts$|tasks\/|.*_test\.ts$)/;

const WORDS =
  /\bDeno\.|\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bconsole\.|\bset(?:Timeout|Interval|Immediate)\b|\bperformance\.|\bcrypto\.|\bprocess\.|\bfetch\(|\bnew Worker\b/;

/** Who may import nothing but what. The first rule that fits a file counts. */
const RULES: readonly { readonly who: RegExp; readonly may: RegExp; readonly say: string }[] = [
  { who: /_test\.ts$|^processor\/testing\//, may: /./, say: "" },
  { who: /^processor\/event\.ts$/, may: /^$/, say: "the event imports nothing" },
  {
    who: /^processor\/views\/mod\.ts$/,
    may: /^processor\/(view\.ts$|views\/)/,
    say: "the list of views imports views",
  },
  {
    who: /^processor\/views\//,
    may: /^processor\/(measure|view)\.ts$/,
    say: "views import measure and view, nothing else",
  },
  {
    who: /^processor\/translate\//,
    may: /^processor\/((event|batch|cells|measure|view|fold)\.ts$|translate\/)/,
    say: "a translation knows views, and nothing of the world",
  },
  {
    who: /^processor\/io\//,
    may: /^(?!processor\/(commands|testing)\/|processor\/main\.ts|generator\/)/,
    say: "io implements what pipeline owns; commands use it",
  },
  {
    who: /^processor\/commands\//,
    may: /^(?!processor\/(testing\/|main\.ts))/,
    say: "commands are used by main alone",
  },
  {
    who: /^processor\/(config|settings_shown|main)\.ts$/,
    may: /^(?!processor\/testing\/)/,
    say: "nothing but tests imports testing",
  },
  {
    who: /^processor\/[^/]+\.ts$/,
    may: /^processor\/([^/]+\.ts$|views\/|translate\/)(?<!\/(config|main|settings_shown)\.ts)/,
    say: "what is pure imports what is pure",
  },
  { who: /^generator\/(aws|kafka|handler|ndjson)\.ts$/, may: /^(?!processor\/(commands|testing|views)\/)/, say: "" },
  {
    who: /^generator\//,
    may: /^(generator\/|processor\/event\.ts$)/,
    say: "the generator knows the event, and nothing else",
  },
];

/** Every arrow that points the wrong way, in words. */
function wrongArrows(files: Files): string[] {
  const imports = new Map([...files].map(([path, text]) => [path, importsOf(path, text)]));
  const wrong: string[] = [];
  for (const [path, all] of imports) {
    const rule = RULES.find(({ who }) => who.test(path));
    for (const { of, typeOnly } of all) {
      const here = CORE.indexOf(path);
      if (rule !== undefined && !rule.may.test(of)) wrong.push(`${path} imports ${of}: ${rule.say}`);
      else if (!typeOnly && here >= 0 && CORE.indexOf(of) > here) {
        wrong.push(`${path} imports ${of}, which stands on it`);
      }
    }
  }
  return [...wrong, ...cyclesOf(imports)];
}

/** Every file that touches the world where it should be handed in. */
function worldlyWords(files: Files): string[] {
  return [...files].filter(([path]) => !WORLDLY.test(path)).flatMap(([path, text]) =>
    code(text).split("\n").flatMap((line, n) => {
      const word = WORDS.exec(line.replaceAll(/(["'])(?:\\.|(?!\1)[^\\])*\1/g, '""'))?.[0];
      return word === undefined ? [] : [`${path}:${n + 1} says ${word} outside io, commands, config and entry files`];
    })
  );
}

/** The text without its comments, line for line. */
function code(text: string): string {
  return text
    .replaceAll(/^[ \t]*\/\*[\s\S]*?\*\//gm, (comment) => comment.replaceAll(/[^\n]/g, ""))
    .replaceAll(/(^|\s)\/\/.*$/gm, "$1");
}

function importsOf(path: string, text: string): Import[] {
  const statements = code(text).matchAll(/^(?:import|export)\s+(?:([^;"'()]*?)\sfrom\s+)?"([^"]+)"/gm);
  const dynamic = code(text).matchAll(/\bimport\(\s*"([^"]+)"/g);
  return [
    ...[...statements].map(([, what = "", of]) => ({ of: resolved(path, of!), typeOnly: isTypeOnly(what) })),
    ...[...dynamic].map(([, of]) => ({ of: resolved(path, of!), typeOnly: false })),
  ];
}

function isTypeOnly(what: string): boolean {
  if (/^type\s/.test(what)) return true;
  const names = /^\{([\s\S]*)\}$/.exec(what.trim())?.[1]?.split(",").map((name) => name.trim()).filter((name) =>
    name !== ""
  );
  return names !== undefined && names.length > 0 && names.every((name) => name.startsWith("type "));
}

function resolved(path: string, of: string): string {
  return of.startsWith(".") ? new URL(of, `file:///${path}`).pathname.slice(1) : of;
}

function cyclesOf(imports: ReadonlyMap<string, readonly Import[]>): string[] {
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, above: readonly string[]): void => {
    if (above.includes(path)) cycles.push(`a circle: ${[...above.slice(above.indexOf(path)), path].join(" → ")}`);
    if (done.has(path)) return;
    done.add(path);
    for (const { of, typeOnly } of imports.get(path) ?? []) if (!typeOnly) visit(of, [...above, path]);
  };
  for (const path of imports.keys()) visit(path, []);
  return cycles;
}

async function sources(folder: string, files = new Map<string, string>()): Promise<Map<string, string>> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(`${folder}/`, ROOT))) {
    const path = `${folder}/${name}`;
    if (isDirectory) await sources(path, files);
    else if (name.endsWith(".ts")) files.set(path, await Deno.readTextFile(new URL(path, ROOT)));
  }
  return files;
}

async function everything(): Promise<Map<string, string>> {
  return await sources("generator", await sources("processor"));
}

Deno.test("every arrow between files points the way it should", async () => {
  const files = await everything();
  for (const path of CORE) assert.ok(files.has(path), `${path} has moved`);
  assert.deepEqual(wrongArrows(files), []);
});

Deno.test("the world is touched at its edge alone", async () => {
  assert.deepEqual(worldlyWords(await everything()), []);
});

Deno.test("a wrong arrow is seen", () => {
  const planted: readonly (readonly [string, string])[] = [
    ["processor/views/pages.ts", 'import { fold } from "../fold.ts";'],
    ["processor/views/pages.ts", 'import type { Batch } from "../batch.ts";'],
    ["processor/event.ts", 'import "./time.ts";'],
    ["processor/pipeline/fold.ts", 'import type {\n  Sink,\n} from "./io/sql_sink.ts";'],
    ["processor/pipeline/pipeline.ts", 'export { run } from "./commands/run.ts";'],
    ["processor/pipeline/pipeline.ts", 'const io = await import("./io/kafka.ts");'],
    ["processor/measures/measure.ts", 'import { readFileSync } from "node:fs";'],
    ["processor/measures/measure.ts", 'import { type View, view } from "./view.ts";'],
    ["processor/pipeline/supervise.ts", 'import { settings } from "./config.ts";'],
    ["processor/kafka/source.ts", 'import { main } from "../main.ts";'],
    ["processor/kafka/source.ts", 'import { MemorySink } from "../testing/memory.ts";'],
    ["processor/translate/flink.ts", 'import { Pipeline } from "../pipeline.ts";'],
    ["generator/shop.ts", 'import { view } from "../processor/views/view.ts";'],
  ];
  for (const [path, text] of planted) assert.equal(wrongArrows(new Map([[path, text]])).length, 1, `${path}: ${text}`);
  const circle = new Map([["processor/a.ts", 'import "./b.ts";'], ["processor/b.ts", 'import { a } from "./a.ts";']]);
  assert.equal(wrongArrows(circle).length, 1);
  const types = new Map([[
    "processor/decode/json.ts",
    'import type { Records } from "./pipeline.ts";\n// import "./io/log.ts";',
  ]]);
  assert.deepEqual(wrongArrows(types), []);
});

Deno.test("the world is seen where it is touched", () => {
  const touching = [
    "const t = Date.now();",
    "  console.log(1);",
    "x = `${Math.random()}`;",
    'Deno.env.get("A");',
    "new Date()",
  ];
  for (const line of touching) {
    assert.equal(worldlyWords(new Map([["processor/pipeline/fold.ts", line]])).length, 1, line);
  }
  for (const line of ["// Date.now()", "/** `Deno.exit` */", 'const s = "console.log";', "new Date(0)"]) {
    assert.deepEqual(worldlyWords(new Map([["processor/pipeline/fold.ts", line]])), [], line);
  }
  assert.deepEqual(
    worldlyWords(new Map([["processor/host/log.ts", "Date.now()"], ["processor/kafka/producer.ts", "Deno.exit()"]])),
    [],
  );
});

Deno.test("no file's path is taken from its URL, where a blank is %20", async () => {
  const files = new Map<string, string>();
  for (const folder of ["bench", "generator", "grafana", "infra", "migrations", "processor", "tasks"]) {
    await sources(folder, files);
  }
  const wrong = [...files].filter(([, text]) => /\bimport\.meta\.url\)\.pathname/.test(text)).map(([path]) => path);
  assert.deepEqual(wrong, []);
});
