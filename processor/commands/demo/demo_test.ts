import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { openEmbedded } from "../../embedded/embedded.ts";
import { Child, until } from "../../../testing/servers/child.ts";

const BINARY = fileURLToPath(new URL("../../../dist/clickstream", import.meta.url));

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the demo without any settings, on a free port. */
async function demo(...args: readonly string[]): Promise<Ended> {
  const command = new Deno.Command(BINARY, { args: ["demo", "--port", "0", ...args], clearEnv: true });
  const { code, stdout, stderr } = await command.output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

Deno.test("the demo's tables agree with its shop, and the next run continues from them", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-demo-test-" });
  const args = ["--data", folder, "--rate", "400", "--seconds", "4"];
  let before = 0;

  await t.step("generated and stored numbers agree", async () => {
    const { code, out, err } = await demo(...args);
    assert.equal(code, 0, out + err);
    assert.equal(err, "");
    assert.match(out, /^ {3}1 s {2}sent [\d,]+ .*revenue/m);
    assert.match(out, /All \d+ figures agree\./);
    assert.match(out, /^status page: http:\/\/127\.0\.0\.1:[1-9]\d+\/$/m);
    for (const what of ["events, mobile", "sessions", "funnel, step 1"]) {
      assert.match(out, new RegExp(`^${what} +[1-9][\\d,]* +[1-9][\\d,]* +✓$`, "m"), what);
    }
    const [, made, stored] = /^records +([\d,]+) +([\d,]+) +✓$/m.exec(out)!;
    assert.equal(made, stored);
    before = Number(made!.replaceAll(",", ""));
    assert.ok(before > 800, `${before} records in 4 s at 400 a second`);
  });

  await t.step("the next run adds to them", async () => {
    const { code, out, err } = await demo(...args, "--seed", "2");
    assert.equal(code, 0, out + err);
    assert.match(out, new RegExp(`continuing after ${before.toLocaleString("en")} records`));
    const [, made] = /^records +([\d,]+)/m.exec(out)!;
    assert.ok(Number(made!.replaceAll(",", "")) > before + 800, out);
  });

  await t.step("two demos cannot share a folder", async () => {
    const log = `${folder}/first`;
    // The first must still run when the second starts; at a low rate a shop without visitors may close early.
    await using first = Child.start(BINARY, ["demo", "--port", "0", "--rate", "50", ...args.slice(0, 2)], log);
    await until("the first demo has started", async () => /status page/.test(await first.tail()));
    const { code, out, err } = await demo(...args);
    assert.deepEqual([code, out], [2, ""]);
    assert.match(err, new RegExp(`^clickstream: another demo uses --data ${folder}; wait until it ends`));
    assert.equal(await first.end("SIGTERM"), 0, await first.tail());
  });

  await t.step("a lost row is detected", async () => {
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

  await t.step("a schema of a later version is not changed", async () => {
    const db = await openEmbedded(`${folder}/postgres`);
    await db.query("insert into clickstream.schema_version (name, checksum) values ('9999_future.sql', '')");
    await db.close();
    const { code, err } = await demo(...args);
    assert.equal(code, 3, err);
    assert.match(err, /schema clickstream is ahead: .*9999_future\.sql.* or choose another folder than --data/);
  });

  await Deno.remove(folder, { recursive: true });
});

Deno.test("the demo names an invalid option and what is allowed", async (t) => {
  await t.step("a folder without write access", async () => {
    const { code, out, err } = await demo("--data", `${BINARY}/folder`);
    assert.deepEqual([code, out], [2, ""]);
    assert.match(
      err,
      /^clickstream: cannot write to --data \/.*\/folder: .*; choose a folder that you may write to\n$/,
    );
  });

  await t.step("a port in use", async () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    const { code, err } = await demo("--port", `${port}`, "--seconds", "1");
    listener.close();
    assert.equal(code, 1);
    assert.match(err, new RegExp(`^clickstream: could not listen on --port ${port}: another program listens there`));
    assert.doesNotMatch(err, /HTTP_LISTEN/);
  });
});
