/**
 * RDS's login by IAM in front of a real PostgreSQL, for tests.
 * @module
 */
import { fileURLToPath } from "node:url";
import type { Aws } from "./aws.ts";
import type { Certificate } from "./certificates.ts";
import { Child, freePort, until } from "./child.ts";

/** A running front. */
export interface Rds extends AsyncDisposable {
  readonly port: number;
}

/** Starts the front of a server on this port, for `localhost`. */
export async function startRds(serverPort: number, certificate: Certificate, aws: Aws): Promise<Rds> {
  const log = await Deno.makeTempFile({ prefix: "clickstream-rds-" });
  const port = freePort();
  const script = fileURLToPath(new URL("rds.py", import.meta.url));
  const { certFile, keyFile } = certificate;
  const child = Child.start("python3", [script, `${port}`, `${serverPort}`, certFile, keyFile, aws.url], log);
  await until("the front of RDS listens", async () => {
    if (child.ended) throw new Error(`the front of RDS did not start:\n${await child.tail()}`);
    return await Deno.connect({ hostname: "127.0.0.1", port }).then((conn) => (conn.close(), true), () => false);
  });
  return {
    port,
    async [Symbol.asyncDispose]() {
      await child.end("SIGKILL");
      await Deno.remove(log);
    },
  };
}
