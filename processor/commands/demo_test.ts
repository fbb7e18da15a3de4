import assert from "node:assert/strict";
import { openEmbedded } from "../io/database.ts";
import { freePort } from "../testing/child.ts";

const BINARY = new URL("../../dist/clickstream", import.meta.url).pathname;

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the demo with no settings at all. */
async function demo(...args: readonly string[]): Promise<Ended> {
  const command = new Deno.Command(BINARY, { args: ["demo", "--port", `${freePort()}`, ...args], clearEnv: true });
  const { code, stdout, stderr } = await command.output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

Deno.test("the demo's tables hold what its shop made, and go on from there next time", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-demo-test-" });
  const args = ["--data", folder, "--rate", "400", "--seconds", "4"];
  let before = 0;

  await t.step("made and stored agree", async () => {
    const { code, out, err } = await demo(...args);
    assert.equal(code, 0, out + err);
    assert.equal(err, "");
    assert.match(out, /^ {3}1 s {2}sent [\d,]+ .*revenue/m);
    assert.match(out, /All \d+ figures agree\./);
    const [, made, stored] = /^records +([\d,]+) +([\d,]+) +✓$/m.exec(out)!;
    assert.equal(made, stored);
    before = Number(made!.replaceAll(",", ""));
    assert.ok(before > 800, `${before} records in 4 s at 400 a second`);
  });

  await t.step("the next time adds to them", async () => {
    const { code, out, err } = await demo(...args, "--seed", "2");
    assert.equal(code, 0, out + err);
    assert.match(out, new RegExp(`goes on after ${before.toLocaleString("en")} records`));
    const [, made] = /^records +([\d,]+)/m.exec(out)!;
    assert.ok(Number(made!.replaceAll(",", "")) > before + 800, out);
  });

  await t.step("a row that is lost is seen", async () => {
    const db = await openEmbedded(`${folder}/postgres`);
    const { rowCount } = await db.query(
      "delete from clickstream.sessions where ctid = (select min(ctid) from clickstream.sessions)",
    );
    await db.close();
    assert.equal(rowCount, 1);
    const { code, out } = await demo(...args, "--seed", "3");
    assert.equal(code, 1, out);
    assert.match(out, /events, by session +[\d,]+ +[\d,]+ +✗/);
    assert.match(out, /\d+ of \d+ figures do not agree\./);
  });

  await Deno.remove(folder, { recursive: true });
});
