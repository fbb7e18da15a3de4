/**
 * A real Prometheus, promtool and exporters for tests: Debian's packages, unpacked into the cache but not installed, so
 * that nothing starts unless a test starts it.
 * @module
 */
import { cacheFolder, Child, freePort, prepared, run, until } from "./child.ts";
import { maven } from "./maven.ts";

const AGENT = "1.0.1";

/** A running server that can be scraped. */
export interface Scraped extends AsyncDisposable {
  /** `host:port`. */
  readonly target: string;
  /** Returns the text of `/metrics`. */
  metrics(): Promise<string>;
}

/** A running Prometheus. */
export interface Prometheus extends Scraped {
  /** Returns the `data` of the API's `/api/v1/PATH`. */
  api<T>(path: string): Promise<T>;
  /** Number of series that an expression has now. */
  seriesOf(expr: string): Promise<number>;
  /** Number of series that an expression has had since a time, with at least one sample that is a number. */
  seriesSince(expr: string, sinceMs: number): Promise<number>;
}

/** Folder of an unpacked Debian package. */
async function debian(name: string): Promise<string> {
  return await prepared(`debian-${name}`, async (folder) => {
    const download = `cd '${folder}' && apt-get download -q ${name}`;
    const lists = Deno.uid() === 0 ? "apt-get update -q" : "false";
    // Only one apt may run at a time.
    await run("flock", [`${cacheFolder()}/.lock`, "sh", "-c", `(${download}) || (${lists} && ${download})`])
      .catch((error) => {
        throw new Error(`the tests need Debian's package ${name}, by \`apt-get download\`: ${error.message}`);
      });
    await run("sh", ["-c", `cd '${folder}' && dpkg-deb -x ${name}_*.deb . && rm ${name}_*.deb`]);
  });
}

/** Path of the agent that exports a Java process' JMX metrics. */
export async function jmxAgent(): Promise<string> {
  const jar = `jmx_prometheus_javaagent-${AGENT}.jar`;
  const folder = await prepared(`jmx-agent-${AGENT}`, async (folder) => {
    const artifact = `-Dartifact=io.prometheus.jmx:jmx_prometheus_javaagent:${AGENT}`;
    await maven("dependency:copy", artifact, `-DoutputDirectory=${folder}`);
  });
  return `${folder}/${jar}`;
}

/** Runs promtool with `input` on standard input; returns its exit code and output. */
export async function promtool(
  args: readonly string[],
  input = "",
): Promise<{ readonly code: number; readonly said: string }> {
  const child = new Deno.Command(`${await debian("prometheus")}/usr/bin/promtool`, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  return { code, said: [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("") };
}

/** Starts Prometheus with the configuration in `folder`, which also keeps its data. */
export async function startPrometheus(folder: string): Promise<Prometheus> {
  const program = `${await debian("prometheus")}/usr/bin/prometheus`;
  const files = [`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`];
  const listen = (port: number) => `--web.listen-address=127.0.0.1:${port}`;
  const server = await started(program, (port) => [...files, listen(port)], `${folder}/prometheus.log`, "/-/ready");
  const api = async <T>(path: string): Promise<T> => {
    const answer = await (await fetch(`http://${server.target}/api/v1/${path}`)).json();
    if (answer.status !== "success") throw new Error(`Prometheus says to ${path}: ${answer.error}`);
    return answer.data as T;
  };
  return {
    ...server,
    api,
    async seriesOf(expr) {
      return (await api<{ result: readonly unknown[] }>(`query?query=${encodeURIComponent(expr)}`)).result.length;
    },
    async seriesSince(expr, sinceMs) {
      const [start, end] = [sinceMs / 1000, Date.now() / 1000];
      const path = `query_range?query=${encodeURIComponent(expr)}&start=${start}&end=${end}&step=1`;
      const { result } = await api<{ result: readonly { readonly values: readonly [number, string][] }[] }>(path);
      return result.filter(({ values }) => values.some(([, value]) => value !== "NaN")).length;
    },
  };
}

/** Starts the node exporter. */
export async function startNodeExporter(folder: string): Promise<Scraped> {
  const program = `${await debian("prometheus-node-exporter")}/usr/bin/prometheus-node-exporter`;
  return await started(program, (port) => [`--web.listen-address=127.0.0.1:${port}`], `${folder}/node.log`);
}

/** Starts the PostgreSQL exporter; it logs in at `url` and also runs the queries of a file. */
export async function startPostgresExporter(folder: string, url: string, queries: string): Promise<Scraped> {
  const program = `${await debian("prometheus-postgres-exporter")}/usr/bin/prometheus-postgres-exporter`;
  // This collector reads columns that PostgreSQL 17 no longer has.
  const more = [`--extend.query-path=${queries}`, "--no-collector.bgwriter"];
  const args = (port: number) => [`--web.listen-address=127.0.0.1:${port}`, ...more];
  return await started(program, args, `${folder}/postgres.log`, "/metrics", {
    DATA_SOURCE_NAME: `${url}?sslmode=disable`,
  });
}

async function started(
  program: string,
  args: (port: number) => readonly string[],
  log: string,
  path = "/metrics",
  env: Record<string, string> = {},
): Promise<Scraped> {
  const port = freePort();
  const child = Child.start(program, args(port), log, env);
  const target = `127.0.0.1:${port}`;
  try {
    await until(`${program} answers`, async () => {
      if (child.ended) throw new Error(`${program} did not start:\n${await child.tail()}`);
      return await fetch(`http://${target}${path}`).then(async (r) => (await r.text(), r.ok), () => false);
    });
  } catch (error) {
    await child.end("SIGKILL");
    throw error;
  }
  return {
    target,
    metrics: async () => await (await fetch(`http://${target}/metrics`)).text(),
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}
