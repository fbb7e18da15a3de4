import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { deploySettings } from "../../infra/settings.ts";
import { put, sumOf } from "./artifacts.ts";
import { judge, type Outputs, plan, type Verdict, waysIn } from "./deploy.ts";
import { farewell } from "./destroy.ts";

const SHA = "a".repeat(64);
const NEW = `/opt/clickstream/store/clickstream-${SHA}/clickstream`;
const OLD = NEW.replaceAll("a", "b");
const status = (state: string, stored: number, reason: string | null = null) =>
  JSON.stringify({ state, reason, totals: { stored } });
const waiting = (why: string): Verdict => ({ done: false, failed: false, why });

const ANSWERS: readonly (readonly [answer: string, verdict: Verdict])[] = [
  [`${NEW}\ntaken\n${status("running", 5)}\n`, { done: true }],
  [`${NEW}\nrefused\n${status("running", 5)}\n`, { done: true }],
  [`${NEW}\ntaken\n${status("running", 0)}\n`, waiting("no event has come yet")],
  [`${NEW}\ntaken\n${status("waiting", 5, "Kafka can't be reached")}`, waiting("Kafka can't be reached")],
  [`${NEW}\ntaken\n{}`, waiting("it is starting")],
  [`${NEW}\ntaken\nnonsense`, waiting("it doesn't say how it is")],
  [`${OLD}\ntaken\n${status("running", 5)}`, waiting("it hasn't taken the new version yet")],
  [`${OLD}\nrefused\n${status("running", 5)}`, {
    done: false,
    failed: true,
    why: "the new version didn't get ready, and the one before runs on",
  }],
  ["none\ntaken\n{}", waiting("it hasn't taken the new version yet")],
  ["", waiting("it hasn't taken the new version yet")],
];

Deno.test("deploy: a host's answer is judged by its version and its events", () => {
  for (const [answer, verdict] of ANSWERS) assert.deepEqual(judge(answer, SHA), verdict, answer);
});

Deno.test("deploy: every way in is a command that forwards a port", () => {
  const outputs: Outputs = {
    stream: { brokers: ["i-1"], processors: ["i-2"] },
    monitoring: { monitoring: "i-3", grafana_password: "arn:secret" },
  };
  const forwards = waysIn(outputs, "eu-central-1").split("\n").filter((line) => line.includes("start-session"));
  assert.deepEqual(
    forwards.map((line) => /--target (\S+).*portNumber=(\d+),localPortNumber=(\d+)$/.exec(line)?.slice(1)),
    [
      ["i-3", "3000", "3000"],
      ["i-3", "9090", "9090"],
      ["i-2", "8080", "8080"],
    ],
  );
});

Deno.test("deploy: first prints what will be created and its cost", () => {
  const said = plan(deploySettings((name) => name === "DEPLOY_SIZE" ? "production" : undefined));
  assert.match(said, /^deployment clickstream, production, in us-east-1\nhosts: 3 of Kafka, 2 of the processor/);
  assert.match(said, /about \d{3,4} dollars a month/);
});

Deno.test("destroy: prints what is kept", () => {
  const choose = (value: string) => deploySettings((name) => name === "DEPLOY_SNAPSHOT" ? value : undefined);
  assert.match(farewell(choose("true")), /what stays: a last snapshot/);
  assert.match(farewell(choose("false")), /what stays: nothing/);
});

Deno.test("destroy: leaves a protected deployment alone, and exits with 2 on wrong settings", async () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  // Stand-ins: only their presence is checked.
  const bin = await Deno.makeTempDir({ prefix: "clickstream-bin-" });
  for (const name of ["npx", "terraform", "aws"]) {
    await Deno.writeTextFile(`${bin}/${name}`, "#!/bin/sh\nexit 9\n", { mode: 0o755 });
  }
  const destroy = async (env: Record<string, string>) => {
    const args = ["run", "--allow-all", "--quiet", "tasks/deploy/destroy.ts", "--yes"];
    const PATH = `${bin}:${Deno.env.get("PATH")}`;
    const { code, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: root, env: { ...env, PATH } })
      .output();
    return { code, said: new TextDecoder().decode(stderr) };
  };
  const kept = await destroy({ DEPLOY_SIZE: "production" });
  assert.deepEqual([kept.code, /is protected/.test(kept.said)], [1, true]);
  assert.equal((await destroy({ DEPLOY_SIZE: "huge" })).code, 2);
  assert.match(
    (await destroy({ DEPLOY_SIZE: "dev" })).said,
    /cdktf-cli@0\.21\.0 destroy \* --auto-approve ended with 9/,
  );
  await Deno.remove(bin, { recursive: true });
});

Deno.test("artifacts: a file's checksum is found in what its maker publishes", () => {
  const list = `${"1".repeat(64)}  a.tar.gz\n${"2".repeat(64)} *b.tar.gz\n`;
  assert.equal(sumOf(list, "a.tar.gz"), "1".repeat(64));
  assert.equal(sumOf(list, "b.tar.gz"), "2".repeat(64));
  assert.equal(sumOf(list, "c.tar.gz"), undefined);
  assert.equal(sumOf(`${"3".repeat(64)}\n`, "c.tar.gz"), "3".repeat(64));
  assert.equal(sumOf(`${"3".repeat(64)}  other\n`, "c.tar.gz"), undefined);
});

Deno.test("artifacts: an empty or an unfinished file never takes its place", async () => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-artifacts-" });
  const path = `${folder}/kafka`;
  try {
    await put(path, async (part) => await Deno.writeTextFile(part, "whole"));
    await assert.rejects(put(path, async (part) => await Deno.writeTextFile(part, "")), /kafka came out empty/);
    const interrupted = async (part: string) => {
      await Deno.writeTextFile(part, "ha");
      throw new Error("interrupted");
    };
    await assert.rejects(put(path, interrupted), /interrupted/);
    assert.equal(await Deno.readTextFile(path), "whole");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
