/**
 * What a soak watches: samples of the service's process, its metrics, the tables and PostgreSQL's backends.
 * @module
 */
import type { Database } from "../../processor/postgres/database.ts";
import { footprintOf, processCpuSeconds } from "../servers/usage.ts";

/** A table with its partitions: bytes, and rows as PostgreSQL's statistics count them. */
export interface TableSize {
  readonly tableBytes: number;
  readonly indexBytes: number;
  readonly liveRows: number;
  readonly deadRows: number;
}

/** One sample. Sums count from the start of the service. */
export interface Sample {
  /** Since the start of the load. */
  readonly seconds: number;
  readonly rssMb: number;
  /** The part of it that is in no file, such as the program's own code. */
  readonly privateMb: number;
  readonly handles: number;
  readonly threads: number;
  readonly cpuSeconds: number;
  /** `clickstream_memory_bytes`, in MB. */
  readonly heapMb: number;
  readonly buffersMb: number;
  readonly kernelMb: number;
  /** Records, of all partitions. */
  readonly lag: number;
  readonly sent: number;
  readonly consumed: number;
  readonly commits: number;
  readonly restarts: number;
  /** Duration of the commits since the last sample, in milliseconds; null without any. `p99` is a bucket's bound. */
  readonly commitMs: { readonly mean: number; readonly p99: number } | null;
  /** PostgreSQL's backends of this database, and their private memory in MB. */
  readonly backends: number;
  readonly backendsMb: number;
  readonly tables: Readonly<Record<string, TableSize>>;
}

const TABLES = `
  select case when c.relname ~ '^events_[0-9]' then 'events' else c.relname end as name,
    sum(pg_table_size(c.oid))::text as "tableBytes", sum(pg_indexes_size(c.oid))::text as "indexBytes",
    sum(s.n_live_tup)::text as "liveRows", sum(s.n_dead_tup)::text as "deadRows"
  from pg_class c join pg_stat_user_tables s on s.relid = c.oid
  where s.schemaname = 'clickstream' and c.relkind = 'r' group by 1 order by 1`;

const BACKENDS = `
  select pid::text as pid from pg_stat_activity
  where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()`;

/** Where to sample. */
export interface Watched {
  /** Process id of the service. */
  readonly pid: number;
  /** Address of its status page. */
  readonly address: string;
  /** A connection of the sampler's own. */
  readonly db: Database;
}

/** Takes samples; each knows the one before. */
export class Sampler {
  readonly #watched: Watched;
  readonly #sinceMs = performance.now();
  #buckets = new Map<number, number>();
  #commits = { count: 0, seconds: 0 };

  constructor(watched: Watched) {
    this.#watched = watched;
  }

  /** @param sent records sent so far */
  async take(sent: number): Promise<Sample> {
    const { pid, address, db } = this.#watched;
    const seconds = (performance.now() - this.#sinceMs) / 1000;
    const { rssMb, privateMb, handles, threads } = await footprintOf(pid);
    const metrics = parseMetrics(await (await fetch(`${address}metrics`)).text());
    const memoryMb = (kind: string) => valueOf(metrics, `clickstream_memory_bytes{kind="${kind}"}`) / 1e6;
    const { rows: tables } = await db.query<{ name: string } & Record<keyof TableSize, string>>(TABLES);
    const { rows: backends } = await db.query<{ pid: string }>(BACKENDS);
    const of = await Promise.all(backends.map(({ pid }) => footprintOf(Number(pid)).catch(() => null)));
    return {
      ...{ seconds: round(seconds), rssMb, privateMb, handles, threads, cpuSeconds: await processCpuSeconds(pid) },
      ...{ heapMb: memoryMb("heap"), buffersMb: memoryMb("buffers"), kernelMb: memoryMb("kernel") },
      lag: sumOf(metrics, "clickstream_lag_records"),
      sent,
      consumed: sumOf(metrics, "clickstream_events_total"),
      commits: sumOf(metrics, "clickstream_commits_total"),
      restarts: sumOf(metrics, "clickstream_restarts_total"),
      commitMs: this.#commitMs(metrics),
      backends: backends.length,
      backendsMb: round(of.reduce((sum, one) => sum + (one?.privateMb ?? 0), 0)),
      tables: Object.fromEntries(tables.map(({ name, tableBytes, indexBytes, liveRows, deadRows }) => [name, {
        ...{ tableBytes: Number(tableBytes), indexBytes: Number(indexBytes) },
        ...{ liveRows: Number(liveRows), deadRows: Number(deadRows) },
      }])),
    };
  }

  #commitMs(metrics: Metrics): Sample["commitMs"] {
    const name = "clickstream_commit_duration_seconds";
    const commits = { count: valueOf(metrics, `${name}_count`), seconds: valueOf(metrics, `${name}_sum`) };
    const buckets = new Map<number, number>();
    for (const [series, value] of metrics) {
      const le = new RegExp(`^${name}_bucket\\{le="([^"]+)"\\}$`).exec(series)?.[1];
      if (le !== undefined) buckets.set(le === "+Inf" ? Infinity : Number(le), value);
    }
    const before = this.#commits;
    const known = this.#buckets;
    this.#commits = commits;
    this.#buckets = buckets;
    const count = commits.count - before.count;
    if (count === 0) return null;
    const p99 = [...buckets].find(([le, n]) => n - (known.get(le) ?? 0) >= count * 0.99)?.[0] ?? Infinity;
    return { mean: round((commits.seconds - before.seconds) / count * 1000), p99: p99 * 1000 };
  }
}

type Metrics = ReadonlyMap<string, number>;

/** The samples of Prometheus' text format by their series, name and labels. */
export function parseMetrics(text: string): Metrics {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => {
    const at = line.lastIndexOf(" ");
    return [line.slice(0, at), Number(line.slice(at + 1))];
  }));
}

function valueOf(metrics: Metrics, series: string): number {
  return metrics.get(series) ?? 0;
}

/** The sum of all series of a name. */
export function sumOf(metrics: Metrics, name: string): number {
  return [...metrics].reduce((sum, [series, n]) => series.replace(/\{.*/, "") === name ? sum + n : sum, 0);
}

function round(n: number): number {
  return Math.round(n * 100) / 100;
}
