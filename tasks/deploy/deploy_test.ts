import assert from "node:assert/strict";
import { recordOf } from "../../infra/record.ts";
import { deploySettings, WrongSettings } from "../../infra/settings.ts";
import { EMAIL } from "../../infra/testing/synth.ts";
import { dataElsewhere, describeChanges, describeDeployment } from "./deploy.ts";
import { identity, readOptions, ROOT } from "./deployment.ts";
import { farewell, settingsToDestroy } from "./destroy.ts";
import { judge, type Outputs, type Verdict, waysIn } from "./hosts.ts";

const SHA = "a".repeat(64);
const NEW = `/opt/clickstream/store/clickstream-${SHA}/clickstream`;
const OLD = NEW.replaceAll("a", "b");
const VIEWS = "c".repeat(64);
const DECLARED = `/opt/clickstream/store/views-${VIEWS}/views`;
const status = (state: string, stored: number, reason: string | null = null) =>
  JSON.stringify({ state, reason, totals: { stored } });
const waiting = (why: string): Verdict => ({ done: false, failed: false, why });

const REFUSED: Verdict = {
  done: false,
  failed: true,
  why: "the new version didn't get ready, and the one before runs on",
};

const ANSWERS: readonly (readonly [answer: string, verdict: Verdict, views?: string])[] = [
  [`${NEW}\nnone\ntaken\n${status("running", 5)}\n`, { done: true }],
  [`${NEW}\nnone\nrefused\n${status("running", 5)}\n`, { done: true }],
  [`${NEW}\nnone\ntaken\n${status("running", 0)}\n`, waiting("no event has come yet")],
  [`${NEW}\nnone\ntaken\n${status("waiting", 5, "Kafka can't be reached")}`, waiting("Kafka can't be reached")],
  [`${NEW}\nnone\ntaken\n{}`, waiting("it is starting")],
  [`${NEW}\nnone\ntaken\nnonsense`, waiting("it doesn't say how it is")],
  [`${OLD}\nnone\ntaken\n${status("running", 5)}`, waiting("it hasn't taken the new version yet")],
  [`${OLD}\nnone\nrefused\n${status("running", 5)}`, REFUSED],
  ["none\nnone\ntaken\n{}", waiting("it hasn't taken the new version yet")],
  ["", waiting("it hasn't taken the new version yet")],
  // Declared views are a part of the version.
  [`${NEW}\n${DECLARED}\ntaken\n${status("running", 5)}`, { done: true }, VIEWS],
  [`${NEW}\nnone\ntaken\n${status("running", 5)}`, waiting("it hasn't taken the new version yet"), VIEWS],
  [
    `${NEW}\nnone\nundeclared\n${status("running", 5)}`,
    waiting("it could not apply the declared views, and tries again: journalctl -u clickstream-views says why"),
    VIEWS,
  ],
  // They were left out, and the database has them.
  [`${NEW}\n${DECLARED}\nrefused\n${status("running", 5)}`, REFUSED],
];

Deno.test("deploy: a host's answer is judged by its version, its views and its events", () => {
  const file = (sha256: string) => ({ path: "", sha256 });
  for (const [answer, verdict, views] of ANSWERS) {
    const files = { clickstream: file(SHA), ...views === undefined ? {} : { views: file(views) } };
    assert.deepEqual(judge(answer, files), verdict, answer);
  }
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

const choose = (choices: Readonly<Record<string, string>>) => (name: string) => choices[name];

Deno.test("deploy: first prints what a deployment consists of, its cost, and settings that change", () => {
  const items = [{ what: "hosts", dollars: 1000.4 }, { what: "disks", dollars: 200.4 }];
  const said = describeDeployment(deploySettings(choose({ ...EMAIL, DEPLOY_SIZE: "production" })), items);
  assert.match(said, /^deployment clickstream, production, in us-east-1\nhosts: 3 of Kafka, 2 of the processor/);
  assert.match(said, /about 1201 dollars a month, .*\n +1000 +hosts\n +200 +disks$/);
  const changes = [{ name: "DEPLOY_ALARM_EMAIL", deployed: "", wanted: "a@example.org" }];
  assert.equal(
    describeChanges(changes),
    "settings that change:\n  DEPLOY_ALARM_EMAIL: not set → a@example.org",
  );
});

Deno.test("deploy: the region must be named, and options are settings", () => {
  assert.throws(() => identity(choose({})), WrongSettings);
  assert.equal(identity(choose({ AWS_REGION: "eu-central-1" })).DEPLOY_NAME, "clickstream");
  const args = ["--yes", "--change", "DEPLOY_SIZE", "--destroy=stream/kafka-3/data"];
  const { yes, env } = readOptions(args, ["change", "destroy"], choose({ DEPLOY_CHANGE: "DEPLOY_RATE", OTHER: "1" }));
  assert.deepEqual(
    [yes, env("DEPLOY_CHANGE"), env("DEPLOY_DESTROY"), env("OTHER")],
    [true, "DEPLOY_RATE,DEPLOY_SIZE", "stream/kafka-3/data", "1"],
  );
  assert.throws(() => readOptions(["--chnage", "x"], ["change"]), WrongSettings);
});

const PRODUCTION = recordOf(
  deploySettings(choose({ ...EMAIL, AWS_REGION: "eu-central-1", DEPLOY_SIZE: "production" })),
);

Deno.test("destroy: goes by what is recorded, and not by the environment", () => {
  // Neither forgetting the size nor taking off the protection in the environment alone opens a deployment.
  for (
    const env of [{}, { DEPLOY_SIZE: "dev" }, { DEPLOY_PROTECTED: "false" }, { DEPLOY_CHANGE: "DEPLOY_PROTECTED" }]
  ) {
    const given = choose({ AWS_REGION: "eu-central-1", ...env });
    assert.throws(() => settingsToDestroy(PRODUCTION, given), /clickstream is protected/, JSON.stringify(env));
  }
  const open = { ...PRODUCTION, settings: { ...PRODUCTION.settings, DEPLOY_PROTECTED: "false" } };
  const settings = settingsToDestroy(open, choose({ AWS_REGION: "eu-central-1", DEPLOY_SNAPSHOT: "false" }));
  assert.deepEqual([settings.DEPLOY_SNAPSHOT, settings.DEPLOY_DESTROY], [true, ["clickstream"]]);
  assert.match(
    farewell(settings),
    /what stays: a last snapshot of the database, clickstream-last-…, and of 4 data vol/,
  );
  assert.match(farewell({ ...settings, DEPLOY_SNAPSHOT: false }), /what stays: nothing/);
  // A first deployment that failed has no record.
  assert.equal(settingsToDestroy(null, choose({ AWS_REGION: "eu-central-1" })).DEPLOY_SIZE, "dev");
});

Deno.test("deploy and destroy: exit with 2 on wrong settings and unknown options, before anything else", async () => {
  const code = async (task: string, args: readonly string[], env: Record<string, string>) => {
    const all = ["run", "--allow-all", "--quiet", `tasks/deploy/${task}.ts`, ...args];
    return (await new Deno.Command(Deno.execPath(), { args: all, cwd: ROOT, env }).output()).code;
  };
  assert.equal(await code("deploy", [], { AWS_REGION: "" }), 2);
  assert.equal(await code("destroy", ["--yes=all"], { AWS_REGION: "eu-central-1" }), 2);
});

/** Options of each task. */
const OPTIONS = { deploy: ["change", "destroy"], destroy: ["confirm"], artifacts: [], roll: ["image"] } as const;

Deno.test("docs/aws.md: every command has settings and options that exist", async () => {
  const page = await Deno.readTextFile(`${ROOT}docs/aws.md`);
  const lines = [...page.matchAll(/^```sh\n([^`]*)^```$/gm)].flatMap(([, block]) => block!.trim().split("\n"));
  const seen = lines.map((line) => {
    const words = line.replace(/^export /, "").split(" ");
    const settings = words.filter((word) => /^[A-Z_]+=/.test(word)).map((word) => word.split("=") as [string, string]);
    const [program, ...rest] = words.slice(settings.length);
    const given: Readonly<Record<string, string>> = Object.fromEntries(settings);
    if (program !== "./deno") {
      deploySettings(choose(given));
      return program ?? "export";
    }
    const [task, ...args] = rest.slice(1);
    const { env } = readOptions(args, OPTIONS[task as keyof typeof OPTIONS], choose(given));
    deploySettings(env);
    return task;
  });
  assert.deepEqual(new Set(seen), new Set(["export", "deploy", "destroy", "artifacts", "npx", "roll"]));
  assert.ok(seen.length >= 8);
});

Deno.test("deploy: volumes that other zones would leave behind are named before anything is done", () => {
  const settings = (zones: string, brokers: string) =>
    deploySettings((name) =>
      ({ AWS_REGION: "eu-central-1", DEPLOY_ZONES: zones, DEPLOY_BROKERS: brokers } as Record<string, string>)[name]
    );
  const zones = (deployed: string, wanted: string) => ({ name: "DEPLOY_ZONES" as const, deployed, wanted });
  const monitoring = "monitoring/monitoring-1/data";
  assert.deepEqual(dataElsewhere([], settings("a,b", "1")), []);
  assert.deepEqual(dataElsewhere([zones("a,b", "b,a")], settings("b,a", "1")), ["stream/kafka-1/data", monitoring]);
  assert.deepEqual(dataElsewhere([zones("a,b", "a,b,c")], settings("a,b,c", "3")), ["stream/kafka-3/data"]);
  const more = { name: "DEPLOY_BROKERS" as const, deployed: "1", wanted: "3" };
  assert.deepEqual(dataElsewhere([zones("a,b", "a,b,c"), more], settings("a,b,c", "3")), []);
});
