/**
 * Checks, plans and applies a file of declared views, goals and funnels.
 * @module
 */
import type { Settings } from "../config/config.ts";
import { readText } from "../config/files.ts";
import { inWords } from "../config/secret.ts";
import { find } from "../config/sources.ts";
import { jsonLine, visible } from "../config/visible.ts";
import { countsIn, type DeclaredViews, readDeclared, titleOf, WrongDeclarations } from "../declared/file.ts";
import { jsonSchema, KINDS } from "../declared/schema.ts";
import { retryOnLockTimeout, SHORT_LOCK_TIMEOUT } from "../postgres/locks.ts";
import {
  applyDeclarations,
  type Change,
  changesIn,
  declarationsOf,
  emptied,
  takenNames,
} from "../postgres/operations/declarations.ts";
import { ready } from "../postgres/operations/ready.ts";
import { table } from "../status/text.ts";
import { sessions } from "../views/sessions.ts";
import { connected } from "./cli/connection.ts";
import { EXIT, WrongUse } from "./cli/exit.ts";
import type { Output } from "./cli/progress.ts";
import type { READS } from "./cli/reads.ts";

type ViewsSettings = Settings<typeof READS.views[number]>;

/** Checks a file, and prints every fault; returns the exit code. */
export function checkViews(file: string | undefined, output: Output): number {
  const declared = read(file, output);
  if (declared === null) return EXIT.wrongUse;
  output.print(`${declared.file} declares ${countsIn(declared.declared)}, and has no fault`);
  return EXIT.done;
}

/** Prints what applying a file would change; returns the exit code. */
export async function planViews(
  { file, json }: { readonly file?: string; readonly json: boolean },
  settings: ViewsSettings,
  output: Output,
): Promise<number> {
  const declared = read(file, output);
  if (declared === null) return EXIT.wrongUse;
  return await connected(settings, "views plan", async (db) => {
    if (!await ready(db, output.writeError)) return EXIT.schema;
    const changes = changesIn(await declarationsOf(db), declared);
    if (json) changes.forEach(({ change, kind, name }) => output.print(jsonLine({ change, [kind]: name })));
    else describe(changes, declared, output);
    return faultsOf(await takenNames(db, changes), output);
  });
}

/** Applies a file; returns the exit code. Without `drop` it drops no row. */
export async function applyViews(
  { file, drop }: { readonly file?: string; readonly drop: boolean },
  settings: ViewsSettings,
  output: Output,
): Promise<number> {
  const declared = read(file, output);
  if (declared === null) return EXIT.wrongUse;
  return await connected(settings, "views apply", async (db) => {
    if (!await ready(db, output.writeError)) return EXIT.schema;
    const changes = changesIn(await declarationsOf(db), declared);
    const code = faultsOf(await takenNames(db, changes), output);
    if (code !== EXIT.done) return code;
    const dropped = emptied(changes);
    if (dropped.length > 0 && !drop) {
      describe(changes, declared, output);
      output.writeError(`this drops the counts of ${dropped.join(", ")}: nothing was changed; add --drop to go on\n`);
      return EXIT.failed;
    }
    const say = (line: string) => output.writeError(`${line}\n`);
    const applied = await retryOnLockTimeout(
      "change the declared views",
      say,
      () => applyDeclarations(db, declared, drop),
    );
    describe(applied, declared, output);
    const empty = new Set(
      applied.filter(({ change }) => change === "create" || change === "replace")
        .map(({ kind, name }) => kind === "view" ? name : sessions.name),
    );
    if (applied.length > 0) {
      output.print(
        `Restart every instance of the service with VIEWS_FILE=${declared.file}: others commit nothing now.`,
      );
    }
    for (const name of empty) {
      output.print(`Then fill it from the log: clickstream rebuild --view ${name} --from TIME`);
    }
    return EXIT.done;
  }, SHORT_LOCK_TIMEOUT);
}

/** Lists what was applied; returns the exit code. */
export async function listViews(
  { json }: { readonly json: boolean },
  settings: ViewsSettings,
  { print, writeError }: Output,
): Promise<number> {
  return await connected(settings, "views list", async (db) => {
    if (!await ready(db, writeError)) return EXIT.schema;
    const { declared } = await declarationsOf(db);
    const { views, goals, funnels } = declared;
    if (json) {
      KINDS.forEach((kind) => declared[`${kind}s`].forEach((each) => print(jsonLine({ kind, ...each }))));
      return EXIT.done;
    }
    const tableOf = (titles: readonly string[], cells: readonly (readonly string[])[]) => {
      if (cells.length > 0) table(titles, cells).forEach((line) => print(line));
    };
    tableOf(
      ["view", "window", "by", "description"],
      views.map(({ name, window, keys, description }) => [
        ...[name, typeof window === "string" ? window : `${window.size} every ${window.every}`],
        ...[keys.join(", ") || "–", visible(description)],
      ]),
    );
    tableOf(["goal", "description"], goals.map(({ name, description }) => [name, visible(description)]));
    tableOf(
      ["funnel", "steps", "description"],
      funnels.map(({ name, steps, description }) => [
        ...[name, steps.map((step) => step.name).join(", "), visible(description)],
      ]),
    );
    print(`${countsIn(declared)} declared`);
    return EXIT.done;
  });
}

/** Prints the JSON Schema of a file; returns the exit code. */
export function printSchema({ print }: Pick<Output, "print">): number {
  print(JSON.stringify(jsonSchema(), null, 2));
  return EXIT.done;
}

/** Reads a file, or that of `VIEWS_FILE`; prints its faults and returns null if it has any. */
function read(given: string | undefined, { writeError }: Output): DeclaredViews | null {
  const file = given ?? find("VIEWS_FILE")?.text;
  if (file === undefined) throw new WrongUse("no file is named: add its path, or set VIEWS_FILE");
  let text: string;
  try {
    text = readText(file);
  } catch (error) {
    throw new WrongUse(`could not read ${JSON.stringify(file)}: ${inWords(error)}`);
  }
  try {
    return readDeclared(text, file);
  } catch (error) {
    if (!(error instanceof WrongDeclarations)) throw error;
    for (const { line, column, message } of error.faults) {
      writeError(`${visible(`${file}:${line}:${column}: ${message}`)}\n`);
    }
    return null;
  }
}

const SIGN: { readonly [change in Change["change"]]: string } = { create: "+", describe: "~", replace: "!", drop: "-" };

/** What a change does to the table of a view, and to the columns of a goal or a funnel. */
const IN_WORDS: { readonly [change in Change["change"]]: readonly [ofView: string, ofSessions: string] } = {
  create: [
    "a new table, which counts from the next start of the service on",
    "new columns of sessions, which count from the next start of the service on",
  ],
  describe: ["other comments", "other comments"],
  replace: [
    "its table is dropped with its rows, and created anew",
    "its columns of sessions are dropped with their counts, and created anew",
  ],
  drop: ["its table is dropped with its rows", "its columns of sessions are dropped with their counts"],
};

function describe(changes: readonly Change[], { declared }: DeclaredViews, { print }: Output): void {
  for (const { change, kind, name } of changes) {
    print(`${SIGN[change]} ${titleOf(kind, name)}: ${IN_WORDS[change][kind === "view" ? 0 : 1]}`);
  }
  if (changes.length === 0) print(`nothing changes: the database has ${countsIn(declared)} of this file`);
}

function faultsOf(taken: readonly string[], { writeError }: Output): number {
  for (const name of taken) {
    writeError(`${name}: schema clickstream has a table or an index of this name; choose another name\n`);
  }
  return taken.length === 0 ? EXIT.done : EXIT.failed;
}
