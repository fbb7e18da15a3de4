import assert from "node:assert/strict";
import { readSources } from "./imports.ts";
import { whyNotUnit } from "./unit.ts";

Deno.test("two of five tests are unit tests, and tests that need a server are not", async () => {
  const why = whyNotUnit(await readSources());
  const units = [...why].filter(([, why]) => why === null).map(([path]) => path);
  const rooms = ["columns", "decode", "measures", "pipeline", "translate", "views"];
  const pure = [...why.keys()].filter((path) => rooms.some((room) => path.startsWith(`processor/${room}/`)));
  assert.deepEqual(pure.filter((path) => !units.includes(path)), [], "tests of pure rooms");
  assert.ok(units.length * 5 > why.size * 2, `${units.length} of ${why.size} files`);
  assert.match(why.get("processor/kafka/kafka_test.ts")!, /^it imports testing\/servers\//);
  assert.match(why.get("processor/postgres/reports_test.ts")!, /^it imports testing\/servers\//);
  assert.match(why.get("processor/http/http_test.ts")!, /^it says /);
});

Deno.test("a test that starts something, even indirectly, is no unit test", () => {
  const planted: readonly (readonly [text: string, why: string | null])[] = [
    ['import "./fold.ts";', null],
    ['// new Deno.Command("ls")\nconst s = "fetch(x)";', null],
    ['import { startKafka } from "../testing/servers/kafka.ts";', "it imports testing/servers/kafka.ts"],
    ['import type { Broker } from "../testing/servers/kafka.ts";', "it imports testing/servers/kafka.ts"],
    ['import { embedded } from "./embedded.ts";', "it imports @electric-sql/pglite"],
    ['import { build } from "./build.ts";', "processor/build.ts starts a process"],
    ['import { execFile } from "node:child_process";', "it imports node:child_process"],
    ['new Deno.Command("ls");', "processor/a_test.ts starts a process"],
    ["Deno.listen({ port: 0 });", "it says Deno.listen"],
    ["await fetch(url);", "it says fetch("],
  ];
  const others: readonly (readonly [string, string])[] = [
    ["processor/embedded.ts", 'export * from "./deeper.ts";'],
    ["processor/deeper.ts", 'const { PGlite } = await import("@electric-sql/pglite");'],
    ["processor/build.ts", 'export const build = () => new Deno.Command("deno");'],
    ["processor/fold.ts", ""],
  ];
  for (const [text, expected] of planted) {
    const why = whyNotUnit(new Map([...others, ["processor/a_test.ts", text]]));
    assert.deepEqual([...why], [["processor/a_test.ts", expected]], text);
  }
});
