import assert from "node:assert/strict";
import { stableParts } from "./parts.ts";

/** A bundle as it is written on a machine whose cache is at `cache`. */
function bundleOf(cache: string, one: string, two: string): ReadonlyMap<string, string> {
  return new Map([
    ["main.js", `// processor/main.ts\nawait import("./run-${one}.js");\nimport { a } from "./chunk-${two}.js";\n`],
    [`run-${one}.js`, `  // ${cache}/pg/8.1.0/lib/a.js\nimport "./chunk-${two}.js";\n`],
    [`chunk-${two}.js`, `var a = __commonJS({\n  "${cache}/@a/b/1.0.0/i.js"(exports) {\nconst url = "x/npm/y/z";\n`],
  ]);
}

Deno.test("bundles of two machines become the same", () => {
  const one = stableParts(bundleOf("../../root/.cache/deno/npm/some.host", "AAAAAAAA", "BBBBBBBB"));
  const two = stableParts(bundleOf("../c/npm/other.host", "CCCCCCCC", "DDDDDDDD"));
  assert.deepEqual(one, two);
  const [main, run, chunk] = [...one];
  assert.equal(main![0], "main.js");
  assert.match(run![0], /^run-[0-9a-f]{8}\.js$/);
  assert.equal(main![1], `// processor/main.ts\nawait import("./${run![0]}");\nimport { a } from "./${chunk![0]}";\n`);
  assert.equal(run![1], `  // npm/pg/8.1.0/lib/a.js\nimport "./${chunk![0]}";\n`);
  assert.equal(chunk![1], `var a = __commonJS({\n  "npm/@a/b/1.0.0/i.js"(exports) {\nconst url = "x/npm/y/z";\n`);
});

Deno.test("a part with another text has another name", () => {
  const parts = bundleOf("c/npm/h", "AAAAAAAA", "BBBBBBBB");
  const changed = new Map(parts).set("run-AAAAAAAA.js", "export {};\n");
  const names = (of: ReadonlyMap<string, string>) => [...stableParts(of).keys()];
  assert.notEqual(names(parts)[1], names(changed)[1]);
  assert.equal(names(parts)[2], names(changed)[2]);
});

Deno.test("parts that cannot be told apart are an error", () => {
  const parts = new Map([["chunk-AAAAAAAA.js", "same"], ["chunk-BBBBBBBB.js", "same"]]);
  assert.throws(() => stableParts(parts), /the same text/);
});
