/**
 * A network with faults: connections are reset, closed, or lose and gain bytes at any moment.
 * @module
 */
import { Child, freePort, until } from "./child.ts";

/** All kinds of faults of the proxy. */
export const FAULTS = ["accept", "request", "answer", "copy", "commit", "committed", "cut", "garbage", "end"] as const;

/** A proxy in front of a PostgreSQL server that breaks connections. */
export interface Faults extends AsyncDisposable {
  readonly port: number;
  /** The kinds of faults so far. */
  struck(): Promise<ReadonlySet<string>>;
}

/** Starts a proxy in front of a local port. */
export async function startFaults(serverPort: number): Promise<Faults> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-faults-" });
  const [port, log] = [freePort(), `${folder}/log`];
  const script = new URL("network_faults.py", import.meta.url);
  const child = Child.start("python3", [decodeURIComponent(script.pathname), `${port}`, `${serverPort}`, "1"], log);
  const struck = async () =>
    new Set((await Deno.readTextFile(log).catch(() => "")).split("\n").filter((line) => line !== ""));
  await until("the proxy listens", async () => (await struck()).has("ready"));
  return {
    port,
    struck: async () => (await struck()).difference(new Set(["ready"])),
    async [Symbol.asyncDispose]() {
      await child.end("SIGKILL");
      await Deno.remove(folder, { recursive: true });
    },
  };
}
