/**
 * A real PgBouncer, for tests.
 * @module
 */
import { Child, freePort, run, until } from "./child.ts";

/** A running PgBouncer. */
export interface Pooler extends AsyncDisposable {
  /** URL of the same database through PgBouncer. */
  through(url: string): string;
}

/** Starts PgBouncer in front of a local server, with `size` connections for each database. */
export async function startPgBouncer(
  serverPort: number,
  { mode = "transaction", size = 1 }: {
    readonly mode?: "session" | "transaction" | "statement";
    readonly size?: number;
  } = {},
): Promise<Pooler> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-pgbouncer-" });
  const port = freePort();
  await Deno.writeTextFile(
    `${folder}/ini`,
    `
[databases]
* = host=127.0.0.1 port=${serverPort} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
default_pool_size = ${size}
`,
  );
  // PgBouncer refuses to run as root.
  if (Deno.uid() === 0) await run("chown", ["-R", "nobody", folder]);
  const user = Deno.uid() === 0 ? ["-u", "nobody"] : [];
  const child = Child.start("pgbouncer", [...user, `${folder}/ini`], `${folder}/log`);
  const through = (url: string) => url.replace(`:${serverPort}/`, `:${port}/`);
  await until("PgBouncer answers", async () => {
    if (child.ended) throw new Error(`PgBouncer did not start:\n${await child.tail()}`);
    return await Deno.connect({ hostname: "127.0.0.1", port }).then((conn) => (conn.close(), true), () => false);
  });
  return {
    through,
    async [Symbol.asyncDispose]() {
      await child.end("SIGKILL");
      await Deno.remove(folder, { recursive: true });
    },
  };
}
