import assert from "node:assert/strict";
import { inWords, Secret } from "../config/secret.ts";
import { type Log, type LogOptions, openLog } from "./log.ts";

function written(options: Pick<LogOptions, "level" | "format">, body: (log: Log) => void): string[] {
  const lines: string[] = [];
  body(openLog({ ...options, write: (line) => lines.push(line) }));
  return lines;
}

Deno.test("writes one JSON object per line, with the level as a word and the time in UTC", () => {
  const [line, ...others] = written({ level: "info", format: "json" }, (log) => {
    log.debug("too much");
    log.warn("two\nlines", { records: 5 });
  });
  assert.equal(others.length, 0);
  assert.match(line!, /^[^\n]+\n$/);
  const { time, ...rest } = JSON.parse(line!);
  assert.deepEqual(rest, { level: "warn", msg: "two\nlines", records: 5 });
  assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

Deno.test("writes lines of text", () => {
  const lines = written({ level: "debug", format: "text" }, (log) => {
    log.debug("looking");
    log.error("it failed", { reason: "no idea" });
  });
  assert.match(lines[0]!, /DEBUG.*looking/);
  assert.match(lines[1]!, /ERROR.*it failed.*no idea/);
});

Deno.test("a text can neither begin a line nor change a terminal, wherever it stands", () => {
  const hostile = 'one\n{"level":"info"}\r\x1b[2J\x07\u009b31m\u202e\u2028\ufeff';
  for (const format of ["json", "text"] as const) {
    const lines = written({ level: "info", format }, (log) => {
      log.warn(hostile, { reason: hostile, [hostile]: [hostile] });
    });
    assert.equal(lines.length, 1);
    assert.match(lines[0]!, /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+\n$/u);
    if (format === "json") {
      assert.deepEqual([JSON.parse(lines[0]!).msg, JSON.parse(lines[0]!).reason], [hostile, hostile]);
    }
  }
});

Deno.test("logs no secret, wherever it occurs", () => {
  for (const format of ["json", "text"] as const) {
    const lines = written({ level: "debug", format }, (log) => {
      log.info("could not reach postgres://me:hunter2@db/clickstream", { url: "postgres://me:hunter2@db/x" });
      log.info("options", { password: "hunter2", sasl: { password: "hunter2", username: "me" } });
      log.info("deep", { kafka: { sasl: { password: "hunter2" } }, DATABASE_URL: new Secret("hunter2", "shown") });
      log.info(inWords(new Error("postgres://me:hunter2@db/x is down"), true));
    });
    assert.equal(lines.length, 4);
    assert.doesNotMatch(lines.join(""), /hunter2/);
    assert.match(lines.join(""), /postgres:\/\/me@db\/clickstream.*shown/s);
  }
});

Deno.test("describes an error without a message by its cause or name", () => {
  assert.equal(inWords(new Error("", { cause: new Error("inner") })), "inner");
  assert.equal(inWords(new TypeError("")), "TypeError");
  assert.equal(inWords("text"), "text");
  assert.match(inWords(new Error("outer"), true), /outer\n\s+at /);
});
