import assert from "node:assert/strict";
import { type Outcome, outcomeOf } from "./test.ts";

/** What the report says of tests with this code. */
async function outcome(code: string): Promise<Outcome | null> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/some_test.ts`, code);
    const command = new Deno.Command(Deno.execPath(), {
      args: ["test", "--no-check", "--no-config", "--junit-path=report.xml", "some_test.ts"],
      cwd: folder,
      stdout: "null",
      stderr: "null",
    });
    await command.output();
    return outcomeOf(await Deno.readTextFile(`${folder}/report.xml`).catch(() => ""));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("each failed test and step is named with its file and message; skipped ones don't count", async () => {
  const code = `
    Deno.test("good", () => {});
    Deno.test("skipped", { ignore: true }, () => {});
    Deno.test("<steps> & more", async (t) => {
      await t.step("first", () => { throw new Error('one is "two"'); });
      await t.step("second", () => {});
    });`;
  assert.deepEqual(await outcome(code), {
    passed: 2,
    failures: [
      "./some_test.ts: <steps> & more: 1 test step failed",
      './some_test.ts: <steps> & more > first: Uncaught Error: one is "two"',
    ],
  });
});

Deno.test("a run that ends early has no outcome", async () => {
  assert.equal(await outcome('import "./missing.ts"; Deno.test("good", () => {});'), null);
  assert.equal(outcomeOf('<testsuites tests="1"><testsuite>'), null);
});
