/**
 * Hostile texts at the outlets of the program: logs and terminals.
 * @module
 */
import assert from "node:assert/strict";
import { jsonLine, visible, visibleJson, visibleLines } from "../../config/visible.ts";
import { openLog } from "../../host/log.ts";
import { printable } from "../../status/text.ts";
import type { Random } from "../../../generator/random.ts";
import { mutated, TOKENS } from "./mutate.ts";
import { bytesOf, concat, type Opened, type Target, textOf } from "./target.ts";

/** What no log line and no terminal may get, but for the line end. */
const RAW = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/** Any text to a log line, a line on a terminal and a line of JSON. */
export const outlets: Target = {
  name: "outlets",
  about: "one message is one line, without a character that a terminal obeys; as JSON its text is the same",
  open: openOutlets,
};

function openOutlets(): Opened {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  const logs = (["json", "text"] as const).map((format) => openLog({ level: "info", format, write }));
  const check = (input: Uint8Array) => {
    const text = textOf(input);
    lines.length = 0;
    for (const log of logs) log.warn(text, { reason: text, list: [text], inner: { [text]: text } });
    assert.equal(lines.length, 2);
    for (const line of lines) {
      assert.ok(line.endsWith("\n") && !RAW.test(line.slice(0, -1)), `a raw line: ${JSON.stringify(line)}`);
    }
    assert.ok(!RAW.test(visible(text)) && !RAW.test(visibleLines(text).replaceAll("\n", "")));
    assert.ok(!RAW.test(printable(input)), "a payload that is not printable");
    assert.equal(visible(visible(text)), visible(text), "what is visible stays as it is");
    const json = jsonLine({ [text]: text });
    assert.ok(!RAW.test(json));
    assert.deepEqual(JSON.parse(json), { [text]: text });
    assert.equal(JSON.parse(visibleJson(JSON.stringify(text))), text);
    return RAW.test(text) ? "hostile" : "plain";
  };
  return { draw, check };
}

function draw(random: Random): Uint8Array {
  const parts = Array.from({ length: random.below(6) }, () => bytesOf(random.pick(TOKENS).slice(0, 40)));
  if (random.chance(0.3)) parts.push(bytesOf(String.fromCodePoint(random.below(0x110000))));
  if (random.chance(0.1)) parts.push(bytesOf("postgres://me:hunter2@db/x?password=hunter2"));
  const all = concat(parts);
  return random.chance(0.3) ? mutated(random, all, 3) : all;
}
