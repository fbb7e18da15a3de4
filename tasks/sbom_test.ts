import assert from "node:assert/strict";
import { ALLOWED_LICENSES, components, packagesIn, SBOM, sbomText } from "./sbom.ts";

Deno.test("the list of components is what the binary contains, under licences that allow it", async () => {
  const all = await components();
  assert.equal(await Deno.readTextFile(SBOM), sbomText(all), "run deno task build && deno task sbom");
  assert.ok(all.length > 50);
  for (const name of ["pg", "@platformatic/kafka", "@electric-sql/pglite", "deno"]) {
    assert.ok(all.some((component) => component.name === name), name);
  }
  for (const { name, licenses } of all) {
    for (const { license } of licenses) assert.ok(ALLOWED_LICENSES.includes(license.id), `${name}: ${license.id}`);
  }
  // What only tests use is not in it.
  for (const name of ["fast-check", "playwright-core", "cdktf"]) assert.ok(all.every((one) => one.name !== name), name);
});

Deno.test("finds the packages in a bundle", () => {
  const part = [
    "// npm/pg/8.1.0/lib/a.js",
    "  // npm/@a/b/1.0.0-rc.1/index.js",
    "// npm/pg/8.1.0/lib/b.js",
    "// processor/main.ts",
    'const text = "// npm/no/1.0.0/x.js";',
  ];
  assert.deepEqual(packagesIn(part.join("\n")), ["pg@8.1.0", "@a/b@1.0.0-rc.1"]);
});

Deno.test("SECURITY.md names every package that is chosen directly, and tests that exist", async () => {
  const root = new URL("../", import.meta.url);
  const page = await Deno.readTextFile(new URL("SECURITY.md", root));
  const { imports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root))) as {
    readonly imports: Readonly<Record<string, string>>;
  };
  const used = new Set((await components()).map(({ name }) => name));
  const chosen = new Set(Object.keys(imports).map((name) => name.replace(/\/$/, "")));
  const direct = [...chosen].filter((name) => used.has(name));
  const [, table = ""] = page.split("These are chosen directly:");
  const told = [...table.matchAll(/^\| (`.*?) *\|/gm)].flatMap(([, names]) => names!.split(", "));
  assert.deepEqual(told.map((name) => name.replaceAll("`", "")).sort(), direct.sort());
  const paths = [...page.matchAll(/`([a-z]+\/[\w/.]+)`/g)].map(([, path]) => path!);
  assert.ok(paths.length > 10);
  for (const path of paths) assert.ok((await Deno.stat(new URL(path, root))).isFile, path);
});
