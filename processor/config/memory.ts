/**
 * How much memory the service may use, and how large its commits may be for that.
 * @module
 */
import type { View } from "../views/view.ts";

/** Megabytes of the program, and of a worker besides its commits and remembered ids: heap and fetched batches. */
const PROGRAM_MB = 100;
const WORKER_MB = 150;

/** Part of a worker's other memory that is for its commits. The rest is for ids. */
const FOR_COMMITS = 1 / 3;

/**
 * Megabytes that commits have at least: below that, PostgreSQL would be written to so often that the service falls
 * behind, and needs no less memory. And those that ids have at least.
 */
const LEAST_FOR_COMMITS_MB = 30;
const LEAST_FOR_IDS_MB = 16;

/**
 * Bytes for each record of a commit, measured as the difference of the peaks of two commit sizes. They are for two
 * commits: while one is written, the next is filled.
 */
const WINDOW_BYTES = 150;
const BY_USER_BYTES = 500;
const EVENT_BYTES = 300;

/** Most records in one commit: from here on, larger ones hardly cost less. */
const MOST_RECORDS = 524_288;

/** Most bytes of texts in one commit of any worker: more could fill the kernel's memory, whose size is not a setting. */
const MOST_TEXT_BYTES = 64e6;

/** What a worker may take of the memory. */
export interface WorkerLimits {
  /** Most records in a commit. */
  readonly records: number;
  /** Bytes of distinct texts, which are few in ordinary records. */
  readonly textBytes: number;
  /** Bytes of remembered ids; beyond that, the oldest are forgotten early. */
  readonly idsBytes: number;
}

/** What a worker is made for. */
export interface Working {
  /** Memory of the service, in MB. */
  readonly memoryMb: number;
  readonly workers: number;
  readonly views: readonly View[];
  readonly storeEvents: boolean;
}

/** The limits of a worker, so that the service stays within its memory. */
export function workerLimits({ memoryMb, workers, views, storeEvents }: Working): WorkerLimits {
  const freeMb = (memoryMb - PROGRAM_MB) / workers - WORKER_MB;
  const commitMb = Math.max(LEAST_FOR_COMMITS_MB, freeMb * FOR_COMMITS);
  const bytes = commitMb * 1e6;
  const isByUser = views.some(({ by }) => by.includes("user"));
  const each = (isByUser ? BY_USER_BYTES : WINDOW_BYTES) + (storeEvents ? EVENT_BYTES : 0);
  // Each worker has a share of the users, so a commit with a share of the events updates as many rows per user.
  const most = Math.ceil(MOST_RECORDS / workers);
  return {
    records: Math.min(most, Math.floor(bytes / each)),
    textBytes: Math.min(bytes / 4, MOST_TEXT_BYTES),
    idsBytes: Math.max(LEAST_FOR_IDS_MB, freeMb - commitMb) * 1e6,
  };
}
