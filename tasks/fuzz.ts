/**
 * `deno task fuzz [--records N] [--seed N]`: sends odd records through a real broker and the compiled service into
 * PostgreSQL, and compares every table with the oracle's, in rounds of 200,000. It needs `deno task build`.
 * @module
 */
import { parseArgs } from "node:util";
import { fuzz } from "../testing/service/fuzz.ts";
import { startKafka } from "../testing/servers/kafka.ts";
import { startPostgres } from "../testing/servers/postgres.ts";

const ROUND = 200_000;

const { values } = parseArgs({
  options: { records: { type: "string", default: "10000000" }, seed: { type: "string", default: "1" } },
});
const records = Number(values.records);
const firstSeed = Number(values.seed);
const total = { records: 0, stored: 0, duplicates: 0, refused: 0, unreadable: 0 };
const sinceMs = performance.now();
const folder = await Deno.makeTempDir({ prefix: "clickstream-fuzz-" });
for (let seed = firstSeed; total.records < records; seed++) {
  // New servers for each round: ten million records would fill the disk.
  const properties = { "message.max.bytes": "10000000", "log.message.timestamp.after.max.ms": String(2n ** 62n) };
  await using broker = await startKafka({ properties });
  await using server = await startPostgres();
  try {
    const round = await fuzz({ broker, server, folder, records: Math.min(ROUND, records - total.records), seed });
    for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += round[name];
  } catch (error) {
    console.error(`seed ${seed}: ${error instanceof Error ? error.stack : error}`);
    console.error(`again: deno task fuzz --records ${Math.min(ROUND, records)} --seed ${seed}; logs are in ${folder}`);
    Deno.exit(1);
  }
  const minutes = (performance.now() - sinceMs) / 60_000;
  const said = Object.entries(total).map(([name, n]) => `${n.toLocaleString("en")} ${name}`).join(", ");
  console.log(`seed ${seed}: ${said} in ${minutes.toFixed(1)} min`);
}
await Deno.remove(folder, { recursive: true });
Deno.exit(0);
