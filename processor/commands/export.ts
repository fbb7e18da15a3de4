/**
 * Writes a report or a table to a file.
 * @module
 */
import { type Format, FORMATS, writerOf } from "../export/format.ts";
import type { Write } from "../export/rows.ts";
import { isTerminal, writeBytes } from "../host/terminal.ts";
import type { Database } from "../postgres/database.ts";
import { type Exportable, exportables, readExport } from "../postgres/operations/export.ts";
import { withCommas } from "../status/text.ts";
import { connected, type DatabaseSettings } from "./cli/connection.ts";
import { EXIT, WrongUse } from "./cli/exit.ts";
import { type Output, Progress } from "./cli/progress.ts";
import { suggestion } from "./cli/similar.ts";
import { ready } from "../postgres/operations/ready.ts";

/** What to export. */
export interface ExportOptions {
  readonly name: string;
  /** Epoch milliseconds. */
  readonly from: number;
  /** Epoch milliseconds; not in it. */
  readonly to: number;
  /** Whether a report counts bots too. */
  readonly bots?: boolean;
  readonly format?: Format;
  /** File; without it, standard output. */
  readonly out?: string;
}

/** Exports a report or a table; returns the exit code. */
export async function exportCommand(
  options: ExportOptions,
  settings: DatabaseSettings,
  output: Output,
): Promise<number> {
  const { writeError } = output;
  const { name, from, to, bots = false, out } = options;
  if (from >= to) {
    const [start, end] = [from, to].map((ms) => new Date(ms).toISOString());
    throw new WrongUse(`--from is ${start}, which is not before --to, ${end}`);
  }
  const format = options.format ?? FORMATS.find((ending) => out?.endsWith(`.${ending}`)) ?? "csv";
  if (format === "parquet" && out === undefined && isTerminal()) {
    throw new WrongUse("Parquet is not for a terminal: name a file with --out, or redirect standard output");
  }
  return await connected(settings, "export", async (db) => {
    if (!await ready(db, writeError)) return EXIT.schema;
    const exported = await find(db, name);
    if (bots && !exported.countsPeople) {
      throw new WrongUse(`--bots is for reports that count people only; ${name} has everything without it`);
    }
    const progress = new Progress(output);
    let rows = 0;
    await writing(out, async (write) => {
      const writer = await writerOf(format, exported.columns, write);
      await readExport(db, exported, { fromMs: from, toMs: to, bots }, async (piece) => {
        await writer.rows(piece);
        rows += piece.length;
        progress.at(rows);
      });
      await writer.end();
    });
    if (out !== undefined) writeError(`${withCommas(rows)} rows of ${name} are in ${out}\n`);
    return EXIT.done;
  });
}

async function find(db: Database, name: string): Promise<Exportable> {
  const all = await exportables(db);
  const found = all.get(name);
  if (found !== undefined) return found;
  throw new WrongUse(
    `${JSON.stringify(name)} is no report or table that this login may read${suggestion(name, [...all.keys()])}`,
  );
}

/** Gives `body` a way to write; a file appears under its name when it is whole. */
async function writing(out: string | undefined, body: (write: Write) => Promise<void>): Promise<void> {
  if (out === undefined) {
    await body((bytes) => {
      writeBytes(bytes);
      return Promise.resolve();
    });
    return;
  }
  const part = `${out}.part`;
  try {
    {
      using file = await Deno.open(part, { write: true, create: true, truncate: true });
      await body(async (bytes) => {
        for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
      });
      await file.sync();
    }
    await Deno.rename(part, out);
  } catch (error) {
    await Deno.remove(part).catch(() => {});
    throw error;
  }
}
