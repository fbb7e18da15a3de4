/**
 * The data folder of a demo.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { WrongUse } from "../cli/exit.ts";

/** Longest wait for another demo to release the folder, in milliseconds. */
const PATIENCE_MS = 500;

/** A folder that only this demo uses. */
export interface Folder {
  readonly path: string;
  /** Releases the folder; removes it if it was created for this demo. */
  close(): Promise<void>;
}

/**
 * Locks the folder at `path`, creating it if necessary; without a path, a temporary one.
 *
 * @throws {WrongUse} if it cannot be written to, or another demo uses it
 */
export async function takeFolder(path: string | null): Promise<Folder> {
  const folder = path ?? await Deno.makeTempDir({ prefix: "clickstream-demo-" });
  const lock = await opened(folder);
  // The end of this process releases the lock too, even after a kill.
  if (!await isLocked(lock)) {
    throw new WrongUse(`another demo uses --data ${folder}; wait until it ends, or choose another folder`);
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
    throw new WrongUse(`cannot write to --data ${folder}: ${reason}; choose a folder that you may write to`);
  }
}

async function isLocked(file: Deno.FsFile): Promise<boolean> {
  const over = new AbortController();
  const late = setTimeout(PATIENCE_MS, false, { signal: over.signal });
  const locked = await Promise.race([file.lock(true).then(() => true), late]);
  over.abort();
  return locked;
}
