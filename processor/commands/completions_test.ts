/** The completions in real shells, and the manual in a real reader. */
import assert from "node:assert/strict";
import { run } from "../../testing/servers/child.ts";
import { completionScript, type Shell, SHELLS } from "./completions.ts";
import { manualPage } from "./manual.ts";
import { program } from "./program.ts";

/** How each shell tells what it offers for words, of which the last is completed; one word a line. */
const ASK: Readonly<Record<Shell, (script: string, words: readonly string[]) => [string, ...string[]]>> = {
  bash: (script, words) => [
    "bash",
    "-c",
    `source '${script}'; COMP_WORDS=(clickstream "$@"); COMP_CWORD=$#; _clickstream; printf '%s\\n' "\${COMPREPLY[@]}"`,
    "bash",
    ...words,
  ],
  zsh: (script, words) => [
    "zsh",
    "-fc",
    // _describe is the part of zsh that shows what it is given.
    `compdef() { :; }; _files() { :; }; _describe() { print -l -- \${\${(P)2}%%:*}; }
     source '${script}'; words=(clickstream "$@"); CURRENT=$#words; _clickstream`,
    "zsh",
    ...words,
  ],
  fish: (script, words) => [
    "fish",
    "--no-config",
    "-c",
    `source '${script}'; complete -C "$argv" | string split -f1 \\t`,
    ["clickstream", ...words].join(" "),
  ],
};

/** Words typed so far, and some that must be offered, and one that must not be. */
const TYPED: readonly (readonly [words: readonly string[], offered: readonly string[], not: string])[] = [
  [[""], ["run", "refusals", "config"], "list"],
  [["refusals", ""], ["list", "show", "replay"], "run"],
  [["refusals", "list", "--"], ["--json", "--config", "--help"], "--yes"],
  [["forget", "u-17", "--"], ["--yes"], "--json"],
  [["--config", "x.env", "gaps", ""], ["list", "acknowledge"], "run"],
];

for (const shell of SHELLS) {
  const has = await run("sh", ["-c", `command -v ${shell}`]).then(() => true, () => false);
  Deno.test({
    name: `${shell} completes commands and options${has ? "" : ` (ignored without ${shell})`}`,
    ignore: !has,
    fn: async () => {
      const script = await Deno.makeTempFile({ prefix: "clickstream-" });
      try {
        await Deno.writeTextFile(script, completionScript(program(() => {}), shell));
        for (const [words, offered, not] of TYPED) {
          const [command, ...args] = ASK[shell](script, words);
          const found = (await run(command, args)).split("\n");
          // Some shells leave it to the reader to choose those that begin as the last word does.
          for (const word of offered) {
            assert.ok(found.includes(word), `${words.join(" ")}: ${word}, of ${found.join(" ")}`);
          }
          assert.ok(!found.includes(not), `${words.join(" ")}: ${not}`);
        }
      } finally {
        await Deno.remove(script);
      }
    },
  });
}

Deno.test("the manual has every command and setting, and a reader of manuals finds no fault", async () => {
  const page = manualPage(program(() => {}));
  for (const part of ["SS refusals replay", "SS completions SHELL", "B KAFKA_BROKERS", "\\-\\-config"]) {
    assert.ok(page.includes(part), part);
  }
  const has = await run("sh", ["-c", "command -v mandoc"]).then(() => true, () => false);
  if (!has) return;
  const file = await Deno.makeTempFile({ prefix: "clickstream-" });
  try {
    await Deno.writeTextFile(file, page);
    await run("mandoc", ["-Tlint", "-W", "error", file]);
    assert.match(await run("mandoc", ["-Tutf8", file]), /clickstream/);
  } finally {
    await Deno.remove(file);
  }
});
