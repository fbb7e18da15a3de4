import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { VERSION } from "../version.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const NOWHERE = "postgres://writer:hunter2@127.0.0.1:1/clickstream";

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the program to its end, with these settings only. */
async function clickstream(args: readonly string[], settings: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "--allow-all", MAIN, ...args],
    clearEnv: true,
    env: { ...kept("PATH", "HOME", "DENO_DIR", "XDG_CACHE_HOME"), NO_COLOR: "1", ...settings },
  });
  const { code, stdout, stderr } = await command.output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

function kept(...names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  }));
}

/**
 * A command line, its settings, the exit code, and a pattern of its output: stdout for exit code 0, otherwise stderr.
 */
const SCENES: readonly (readonly [string, Readonly<Record<string, string>>, number, RegExp])[] = [
  ["--version", {}, 0, new RegExp(`^${VERSION}\n$`)],
  ["--help", {}, 0, /run +Run the service[\s\S]*Exit codes: 0 success/],
  ["help migrate", {}, 0, /--check[\s\S]*DATABASE_URL/],
  ["run --help", {}, 0, /COMMIT_EVERY_MS[\s\S]*default: 1000[\s\S]*from 10 to 60000/],
  ["", {}, 2, /Usage: clickstream/],
  ["rum", {}, 2, /unknown command 'rum'[\s\S]*Did you mean run\?/],
  ["migrate --chek", {}, 2, /unknown option '--chek'[\s\S]*Did you mean --check\?/],
  ["migrate now", {}, 2, /too many arguments/],
  ["demo --rate fast", {}, 2, /'--rate <records>'.*'fast'.*a number from 1 to/],
  ["demo --rate 0", {}, 2, /'0' is invalid.*a number from 1 to/],
  ["migrate", {}, 2, /DATABASE_URL is not set; it must be postgres:/],
  ["run", { DATABASE_URL: NOWHERE, WORKERS: "many", VIEWS: "x" }, 2, /2 settings[\s\S]*WORKERS is "many"[\s\S]*VIEWS/],
  ["run", { DATABASE_URL: "postgres://writer:hunter2@db" }, 2, /DATABASE_URL has a value that is not shown/],
  [
    "run",
    { DATABASE_URL: NOWHERE, WORKERS: "256" },
    2,
    /WORKERS is "256"; this machine has \d+ cores? .* from 1 to \d+\n/,
  ],
  [
    "migrate",
    { DATABASE_URL: ` ${NOWHERE}\n` },
    1,
    /connect to PostgreSQL at 127.0.0.1:1, database clickstream, as writer:/,
  ],
  [
    "migrate",
    { DATABASE_URL: `url=${NOWHERE}` },
    2,
    /DATABASE_URL has a value that is not shown .*it must be postgres:/,
  ],
  [
    "migrate --check",
    { DATABASE_URL: `${NOWHERE}?sslmode=verify` },
    2,
    /sslmode may only be disable, allow, prefer, require, verify-ca, verify-full/,
  ],
  ["doctor", { DATABASE_URL: `x ${NOWHERE}`, LOG_LEVEL: "debug" }, 2, /DATABASE_URL has a value that is not shown/],
  ["migrate", { DATABASE_URL: NOWHERE }, 1, /could not connect to PostgreSQL at 127.0.0.1:1/],
  [
    "flink",
    { DATABASE_URL: NOWHERE },
    0,
    /'jdbc:postgresql:\/\/127.0.0.1:1\/clickstream'[\s\S]*INSERT INTO `sessions`/,
  ],
  ["config check", { DATABASE_URL: NOWHERE }, 0, /^All settings are valid\.\n$/],
  [
    "config check",
    { WORKERS: "many" },
    2,
    /2 settings are invalid:\n {2}DATABASE_URL is not set.*\n {2}WORKERS is "many"/,
  ],
  [
    "config show",
    { DATABASE_URL: NOWHERE },
    0,
    /KAFKA_TOPIC +clickstream-events +default\n[\s\S]*DATABASE_URL .*environment/,
  ],
  ["config show --json", {}, 0, /^\{"name":"KAFKA_BROKERS","value":"localhost:9092","source":"default"\}\n/],
  ["--config /nowhere run", {}, 2, /cannot read --config \/nowhere/],
  ["version", {}, 0, /^\d+\.\d+\.\d+\n$/],
  [
    "version --json",
    {},
    0,
    /^\{"version":"[^"]+","deno":"[^"]+","v8":"[^"]+","target":"[^"]+","isbot":"\d+\.\d+\.\d+"\}\n$/,
  ],
  ["completions ksh", {}, 2, /'ksh' is invalid.*Allowed choices are bash, zsh, fish/],
  [
    "migrate",
    { DATABASE_URL: "postgres://writer:hunter2@8.8.8.8/shop?sslmode=require" },
    2,
    /names the public address 8\.8\.8\.8.*nobody verifies/,
  ],
  ["flink", { VIEWS: "carts" }, 2, /VIEWS is "carts"/],
  ["migrate --check", { DATABASE_URL: NOWHERE, LOG_LEVEL: "debug" }, 1, /could not connect[\s\S]*\n +at /],
];

Deno.test("runs each command, and reports its outcome by exit code", async (t) => {
  for (const [typed, settings, code, said] of SCENES) {
    await t.step(typed === "" ? "nothing" : typed, async () => {
      const ended = await clickstream(typed.split(" ").filter((arg) => arg !== ""), settings);
      assert.equal(ended.code, code, JSON.stringify(ended));
      assert.match(code === 0 ? ended.out : ended.err, said);
      assert.equal(code === 0 ? ended.err : ended.out, "");
      assert.doesNotMatch(ended.out + ended.err, /hunter2/);
      if (settings["LOG_LEVEL"] !== "debug") assert.doesNotMatch(ended.err, /^ +at /m);
    });
  }
});

Deno.test("no argument and no setting reaches the terminal raw", async () => {
  const hostile = "\x1b[2J\u009b31m\u202e\x07";
  const lines: readonly (readonly [readonly string[], Readonly<Record<string, string>>])[] = [
    [[hostile], {}],
    [["migrate", `--${hostile}`], {}],
    [["demo", "--rate", hostile], {}],
    [["refusals", "list", "--reason", hostile], {}],
    [["migrate"], { DATABASE_URL: NOWHERE, EVENTS_KEEP_DAYS: hostile }],
    [["migrate"], { DATABASE_URL: NOWHERE, DATABASE_TLS_CA: `/tmp/${hostile}` }],
    [["produce", "--check", `/tmp/${hostile}`], {}],
    [["migrate"], { DATABASE_URL: NOWHERE, CREDENTIALS_DIRECTORY: `/dev/null/${hostile}`, DATABASE_TLS_CA: "" }],
  ];
  for (const [args, settings] of lines) {
    const { code, out, err } = await clickstream(args, settings);
    assert.ok(code === 1 || code === 2, err);
    assert.match(err, /^(?:\n|[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}])+$/u);
    assert.match(err, /\\u\{1b\}|\\u001b/);
    assert.equal(out, "");
  }
});

Deno.test("ends without an error when the reader of its output closes the pipe", async () => {
  const program = `'${Deno.execPath()}' run --quiet --no-check --allow-all '${MAIN}'`;
  const command = new Deno.Command("bash", {
    args: ["-c", `(${program} run --help; echo "code $?" >&2) | true`],
  });
  const { stderr } = await command.output();
  assert.equal(new TextDecoder().decode(stderr), "code 0\n");
});

Deno.test("takes settings from a file, and names what is no setting", async () => {
  const file = await Deno.makeTempFile({ prefix: "clickstream-", suffix: ".env" });
  try {
    await Deno.writeTextFile(file, `DATABASE_URL=${NOWHERE}\nKAFKA_TOPIC='clicks'\n`);
    const shown = await clickstream(["config", "show", "--config", file], { KAFKA_TOPIC: "" });
    assert.match(shown.out, new RegExp(`KAFKA_TOPIC +clicks +${file}\n`));
    assert.doesNotMatch(shown.out, /hunter2/);
    await Deno.writeTextFile(file, "KAFKA_TOPICS=clicks\n");
    const wrong = await clickstream(["--config", file, "config", "check"], { DATABASE_URL: NOWHERE });
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /sets what is no setting: KAFKA_TOPICS \(did you mean KAFKA_TOPIC\?\)/);
    const nearly = await clickstream(["config", "check"], { DATABASE_URL: NOWHERE, KAFKA_BROKER: "kafka:9092" });
    assert.equal(nearly.code, 0);
    assert.match(nearly.err, /variable KAFKA_BROKER \(did you mean KAFKA_BROKERS\?\) is no setting/);
  } finally {
    await Deno.remove(file);
  }
});
