/**
 * `deno task views:check [--events N]`: counts simulated events into twenty declared views with the compiled service, and
 * compares every row with the naive oracle. It needs `deno task build`, and a kilobyte or two of memory for each event.
 * @module
 */
import { parseArgs } from "node:util";
import { formatDifferences } from "../processor/oracle/differences.ts";
import { startKafka } from "../testing/servers/kafka.ts";
import { startPostgres } from "../testing/servers/postgres.ts";
import { countDeclared, TWENTY } from "../testing/service/declared.ts";

/** Event time, so long that windows of each length end in it. */
const SECONDS = 3 * 3600;

const { values } = parseArgs({ options: { events: { type: "string", default: "3000000" } } });
const events = Number(values.events);
const sinceMs = performance.now();
await using broker = await startKafka({ heapMiB: 1024 });
await using server = await startPostgres({ settings: { max_wal_size: "4GB" } });
const load = {
  rate: Math.ceil(events / SECONDS),
  seconds: SECONDS,
  users: Math.ceil(events / 30),
  commitEveryMs: 1000,
};
const { records, stored, rows, seconds, cpuUs, peakMb, differences } = await countDeclared(
  broker,
  server,
  load,
  (what) => console.log(`${what} …`),
);
const all = Object.values(rows).reduce((sum, count) => sum + count, 0);
const said = (count: number) => count.toLocaleString("en");
console.log(
  `${said(records)} records, ${said(stored)} of them events, into ${TWENTY.length} declared views: ${said(all)} rows`,
);
console.log(
  `read in ${seconds.toFixed(0)} s, ${cpuUs.toFixed(2)} CPU µs/record of the service, peak RSS ${peakMb.toFixed(0)} MB`,
);
console.log(formatDifferences(differences));
console.log(`compared after ${((performance.now() - sinceMs) / 60_000).toFixed(1)} min`);
// KafkaJS keeps the process alive even after it has disconnected.
Deno.exit(differences.length === 0 ? 0 : 1);
