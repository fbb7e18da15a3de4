/**
 * The service, as the benches run it.
 * @module
 */
import { fileURLToPath } from "node:url";
import { Child, freePort } from "../testing/servers/child.ts";

const BINARY = fileURLToPath(new URL("../dist/clickstream", import.meta.url));

/** A service that has its tables and waits to be started. */
export interface Prepared {
  /** File that its output is in. */
  readonly log: string;
  /** Where its status page will be. */
  readonly address: string;
  start(): Child;
}

/**
 * Makes the tables in the database at `url`.
 *
 * @param settings besides where Kafka, the topic and PostgreSQL are
 * @param program what runs it, instead of the binary
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
  const start = (command: string) => Child.start(path, [...args, command], log, env);
  const migrated = await start("migrate").wait();
  if (migrated !== 0) throw new Error(`migrate ended with ${migrated}: ${await Deno.readTextFile(log)}`);
  return { log, address: `http://${listen}/`, start: () => start("run") };
}
