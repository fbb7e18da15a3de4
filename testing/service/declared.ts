/**
 * Twenty declared views of the compiled service, compared with the naive oracle.
 * @module
 */
import { fileURLToPath } from "node:url";
import { readDeclared } from "../../processor/declared/file.ts";
import { compareStored, type Difference } from "../../processor/oracle/differences.ts";
import { storedIn } from "../../processor/oracle/oracle.ts";
import { rowsOf, shapeOf } from "../../processor/oracle/questions.ts";
import { DatabaseUnavailable } from "../../processor/postgres/database_errors.ts";
import { Child, until } from "../servers/child.ts";
import { consumedBy } from "../servers/databases.ts";
import type { Broker } from "../servers/kafka.ts";
import { type Server, using } from "../servers/postgres.ts";
import twentyViews from "../servers/twenty_views.yaml" with { type: "text" };
import { processCpuSeconds, residentPeakMb } from "../servers/usage.ts";
import { logOf, Shop } from "./shop.ts";

const VIEWS_FILE = fileURLToPath(new URL("../servers/twenty_views.yaml", import.meta.url));

/** The twenty views. */
export const TWENTY = readDeclared(twentyViews, VIEWS_FILE).views;

/** What to count. */
export interface DeclaredLoad {
  /** Simulated events per second of event time. */
  readonly rate: number;
  /** Event time in seconds. */
  readonly seconds: number;
  readonly users: number;
  /** The setting `COMMIT_EVERY_MS`. */
  readonly commitEveryMs: number;
}

/** What was counted. */
export interface DeclaredCounts {
  readonly records: number;
  /** Records that were read when the service was killed. */
  readonly killedAt: number;
  readonly stored: number;
  /** Rows that the oracle expects, by view. */
  readonly rows: Readonly<Record<string, number>>;
  /** From the first record to the last, in seconds; the service is killed once on the way. */
  readonly seconds: number;
  /** CPU time of the service after it was killed, in microseconds per record that it read then. */
  readonly cpuUs: number;
  readonly peakMb: number;
  readonly differences: readonly Difference[];
}

/**
 * Counts a simulated shop into the twenty views, kills the service half-way, and compares every table.
 *
 * @param begins is told what begins, for those who wait
 */
export async function countDeclared(
  broker: Broker,
  server: Server,
  load: DeclaredLoad,
  begins: (what: string) => void = () => {},
): Promise<DeclaredCounts> {
  begins("the shop sends its events");
  const { rate, seconds, users, commitEveryMs } = load;
  await using shop = await Shop.open(broker, server, `declared-${rate}-${seconds}`, [
    ...["--fast", "--rate", String(rate), "--seconds", String(seconds), "--users", String(users)],
    ...["--bad", "0.01", "--duplicates", "0.02", "--late", "0.02"],
  ], { VIEWS_FILE, COMMIT_EVERY_MS: String(commitEveryMs) });
  await shop.does("views", "apply");
  const log = await logOf(shop.env);
  const records = log.partitions.reduce((sum, partition) => sum + partition.length, 0);

  begins(`the service counts ${records} records`);
  const startedMs = performance.now();
  const killed = shop.serve();
  await reached(shop.url, killed, records / 2);
  await killed.end("SIGKILL");
  const killedAt = await consumedBy(shop.url);
  const service = shop.serve();
  await reached(shop.url, service, records);
  const tookMs = performance.now() - startedMs;
  const [cpuSeconds, peakMb] = [await processCpuSeconds(service.pid), await residentPeakMb(service.pid)];
  await shop.rest();

  begins("the oracle counts them");
  // All is computed before the database is asked: a connection would not wait for it.
  const stored = storedIn(log, { keepDays: 30 });
  const expected = TWENTY.map((view) => ({ name: view.name, shape: shapeOf(view), rows: rowsOf(view, stored) }));
  const differences = await using(
    shop.url,
    async (db) => {
      const found: Difference[][] = [];
      for (const table of expected) found.push(await compareStored(db, table));
      return found.flat();
    },
    // After all that, a pause for garbage may be longer than a connection usually waits.
    { connectTimeoutMs: 300_000 },
  );
  const rows = Object.fromEntries(expected.map(({ name, rows }) => [name, rows.length]));
  const cpuUs = cpuSeconds * 1e6 / (records - killedAt);
  return { records, killedAt, stored: stored.length, rows, seconds: tookMs / 1000, cpuUs, peakMb, differences };
}

/** Waits until the service has read so many records; a slow machine is no failure, only a lack of progress is. */
async function reached(url: string, service: Child, records: number): Promise<void> {
  for (let done = 0; done < records;) {
    const before = done;
    await until(
      `more than ${before} of ${records} records are read`,
      async () => {
        if (service.ended) throw new Error(await service.tail());
        done = await consumedBy(url).catch((error: unknown) => {
          if (error instanceof DatabaseUnavailable) return before;
          throw error;
        });
        return done > before || done >= records;
      },
      120_000,
      200,
    );
  }
}
