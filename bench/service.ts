/**
 * Runs the service for the benchmarks.
 * @module
 */
import { fileURLToPath } from "node:url";
import { Child, freePort } from "../testing/servers/child.ts";

const BINARY = fileURLToPath(new URL("../dist/clickstream", import.meta.url));

/** A service with its tables, ready to start. */
export interface Prepared {
  /** File with its output. */
  readonly log: string;
  /** Address of its status page. */
  readonly address: string;
  start(): Child;
}

/**
 * Creates the tables in the database at `url`, with those of declared views if there is a `VIEWS_FILE`.
 *
 * @param settings in addition to Kafka, topic and PostgreSQL
 * @param program command that runs it instead of the binary
 */
export async function prepare(
  bootstrap: string,
  topic: string,
  url: string,
  settings: Record<string, string>,
  program: readonly [string, ...string[]] = [BINARY],
): Promise<Prepared> {
  const log = await Deno.makeTempFile({ prefix: "clickstream-bench-", suffix: ".log" });
  const listen = `127.0.0.1:${freePort()}`;
  const env = {
    KAFKA_BROKERS: bootstrap,
    KAFKA_TOPIC: topic,
    KAFKA_GROUP_ID: `bench-${crypto.randomUUID()}`,
    DATABASE_URL: url,
    HTTP_LISTEN: listen,
    ...settings,
  };
  const [path, ...args] = program;
  const start = (...command: readonly string[]) => Child.start(path, [...args, ...command], log, env);
  for (const command of [["migrate"], ...settings["VIEWS_FILE"] === undefined ? [] : [["views", "apply"]]]) {
    const code = await start(...command).wait();
    if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${await Deno.readTextFile(log)}`);
  }
  return { log, address: `http://${listen}/`, start: () => start("run") };
}
