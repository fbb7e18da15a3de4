/**
 * The folder that a demo keeps everything in.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { WrongUse } from "../cli/exit.ts";

/** Longest wait for another demo to let go of it, in milliseconds. */
const PATIENCE_MS = 500;

/** A folder that is this demo's alone. */
export interface Folder {
  readonly path: string;
  /** Lets go of it; one that was made for this demo is removed. */
  close(): Promise<void>;
}

/**
 * Takes the folder at `path`, and makes it if there is none; without a path, one that is removed at the end.
 *
 * @throws {WrongUse} if it can't be written to, or another demo has it
 */
export async function takeFolder(path: string | null): Promise<Folder> {
  const folder = path ?? await Deno.makeTempDir({ prefix: "clickstream-demo-" });
  const lock = await opened(folder);
  // It is let go of by the end of this process too, however that comes.
  if (!await isLocked(lock)) {
    throw new WrongUse(`another demo is at work in --data ${folder}; wait for its end, or choose another folder`);
  }
  return {
    path: folder,
    async close() {
      lock.close();
      if (path === null) await Deno.remove(folder, { recursive: true });
    },
  };
}

async function opened(folder: string): Promise<Deno.FsFile> {
  try {
    await Deno.mkdir(`${folder}/log`, { recursive: true });
    return await Deno.open(`${folder}/lock`, { write: true, create: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new WrongUse(`could not write to --data ${folder}: ${reason}; choose a folder that you may write to`);
  }
}

async function isLocked(file: Deno.FsFile): Promise<boolean> {
  const over = new AbortController();
  const late = setTimeout(PATIENCE_MS, false, { signal: over.signal });
  const locked = await Promise.race([file.lock(true).then(() => true), late]);
  over.abort();
  return locked;
}
