/**
 * PostgreSQL as in production: a primary and a standby that follows it asynchronously, each behind a proxy.
 * @module
 */
import { run, until } from "../servers/child.ts";
import { type Server, startPostgres, using } from "../servers/postgres.ts";
import { PostgresFaults } from "./postgres_wire.ts";
import { Proxy } from "./proxy.ts";
import type { Random } from "../../generator/random.ts";

/** The service's role, and its password. */
export const SERVICE = { name: "chaos_service", password: "chaos-secret" } as const;

const SETTINGS = {
  max_connections: "60",
  shared_buffers: "64MB",
  wal_keep_size: "96MB",
  max_wal_size: "128MB",
  // A standby that is cut off must notice it and come back soon.
  wal_receiver_timeout: "5s",
  wal_sender_timeout: "5s",
  wal_retrieve_retry_interval: "500ms",
};

/** Size of the disk under each server's data, in MiB. */
const DISK_MIB = 1024;

/** A server, its data and the proxy in front of it. */
export interface Node {
  readonly server: Server;
  readonly proxy: Proxy;
  readonly data: string;
}

/** The two servers. */
export class Pair implements AsyncDisposable {
  /** Faults in what passes through the proxies. */
  readonly faults: PostgresFaults;
  /** Whether the data is on small disks of their own, which can be filled. */
  readonly hasDisks: boolean;
  readonly #nodes: [Node, Node];
  readonly #replication: Proxy;
  readonly #folder: string;
  readonly #resources: AsyncDisposableStack;
  #primary = 0;

  private constructor(
    nodes: [Node, Node],
    replication: Proxy,
    faults: PostgresFaults,
    disks: { readonly folder: string; readonly mounted: boolean },
    resources: AsyncDisposableStack,
  ) {
    this.#nodes = nodes;
    this.#replication = replication;
    this.faults = faults;
    this.#folder = disks.folder;
    this.hasDisks = disks.mounted;
    this.#resources = resources;
  }

  /** Starts both servers. */
  static async start(random: Random): Promise<Pair> {
    await using resources = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir({ dir: "/tmp", prefix: "clickstream-chaos-data-" });
    await Deno.chmod(folder, 0o755);
    resources.defer(() => Deno.remove(folder, { recursive: true }));
    const disks = [`${folder}/a`, `${folder}/b`] as const;
    const mounted = await mount(disks, resources);
    const faults = new PostgresFaults(random);
    const node = async (disk: string): Promise<Node> => {
      const data = `${disk}/data`;
      const server = resources.use(await startPostgres({ dataDir: data, passwords: true, settings: SETTINGS }));
      const proxy = resources.use(new Proxy(() => server.port, () => faults.watch()));
      return { server, proxy, data };
    };
    const first = await node(disks[0]);
    await using(
      first.server.url(),
      (db) => db.exec(`create role ${SERVICE.name} login password '${SERVICE.password}'`),
    );
    let primary = () => first;
    const replication = resources.use(new Proxy(() => primary().server.port));
    await backUp(first, `${disks[1]}/data`);
    await follow(`${disks[1]}/data`, first.server.url(), replication.port);
    const pair = new Pair([first, await node(disks[1])], replication, faults, { folder, mounted }, resources.move());
    primary = () => pair.primary;
    return pair;
  }

  get primary(): Node {
    return this.#nodes[this.#primary]!;
  }

  get standby(): Node {
    return this.#nodes[1 - this.#primary]!;
  }

  /** The proxy through which the standby follows the primary. */
  get replication(): Proxy {
    return this.#replication;
  }

  /** Both servers, in the order of the service's address. */
  get nodes(): readonly Node[] {
    return this.#nodes;
  }

  /** URL for the service through the proxies: it follows whichever server accepts writes. */
  serviceUrl(database: string, { name, password }: { name: string; password: string } = SERVICE): string {
    const hosts = this.#nodes.map(({ proxy }) => `127.0.0.1:${proxy.port}`).join(",");
    return `postgres://${name}:${password}@${hosts}/${database}?sslmode=disable&target_session_attrs=read-write&connect_timeout=5`;
  }

  /** URL for the superuser, to the primary and past the proxies. */
  url(database = "postgres"): string {
    return this.primary.server.url(database);
  }

  /** Login of the superuser. */
  get superuser(): { readonly name: string; readonly password: string } {
    const { username, password } = new URL(this.url());
    return { name: username, password: decodeURIComponent(password) };
  }

  /** Waits until the standby has everything that the primary has now. */
  async inStep(): Promise<void> {
    const { rows: [at] } = await using(
      this.url(),
      (db) => db.query<{ lsn: string }>("select pg_current_wal_lsn()::text as lsn"),
    );
    await until("the standby has caught up", async () => {
      const caughtUp = `select pg_last_wal_replay_lsn() >= '${at!.lsn}'::pg_lsn as is`;
      return await using(this.standby.server.url(), (db) => db.query<{ is: boolean }>(caughtUp))
        .then(({ rows }) => rows[0]!.is, () => false);
    });
  }

  /** Kills the primary and promotes the standby; the old primary stays down. */
  async failOver(): Promise<void> {
    await this.primary.server.stop("immediate");
    this.#primary = 1 - this.#primary;
    await using(this.url(), (db) => db.exec("select pg_promote(true, 30)"));
  }

  /** Makes the server that isn't the primary a new standby. */
  async renewStandby(): Promise<void> {
    const { server, data } = this.standby;
    await server.stop("immediate");
    await backUp(this.primary, data);
    await follow(data, this.url(), this.#replication.port);
    await server.start();
  }

  /** Copies the primary's data into a folder, while it runs. */
  async backUp(): Promise<string> {
    const folder = `${this.#folder}/backup`;
    await backUp(this.primary, folder);
    return folder;
  }

  /** Kills the primary, and starts it with the data of a backup. */
  async restore(backup: string): Promise<void> {
    const { server, data } = this.primary;
    await server.stop("immediate");
    await emptied(data);
    await run("sh", ["-c", `cp -a '${backup}/.' '${data}/'`]);
    await server.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

async function mount(disks: readonly string[], resources: AsyncDisposableStack): Promise<boolean> {
  let mounted = true;
  for (const disk of disks) {
    await Deno.mkdir(disk);
    const options = ["-t", "tmpfs", "-o", `size=${DISK_MIB}m,mode=755`, "tmpfs", disk];
    if (!await run("mount", options).then(() => true, () => false)) mounted = false;
    else resources.defer(async () => void await run("umount", ["-l", disk]));
  }
  return mounted;
}

async function emptied(folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  await run("sh", ["-c", `rm -rf '${folder}'/*`]);
}

/** A base backup: a copy of the data of a running server, with the log that makes it consistent. */
async function backUp({ server, data }: Pick<Node, "server" | "data">, to: string): Promise<void> {
  await emptied(to);
  await using(server.url(), async (db) => {
    await db.query("select pg_backup_start('chaos', true)");
    // Files may vanish meanwhile; the log makes up for it.
    await run("sh", ["-c", `cp -a '${data}/.' '${to}/' 2>/dev/null || true`]);
    const { rows } = await db.query<{ labelfile: string }>("select labelfile from pg_backup_stop(false)");
    await run("sh", ["-c", `cp -a '${data}/pg_wal/.' '${to}/pg_wal/' 2>/dev/null || true`]);
    await Deno.writeTextFile(`${to}/backup_label`, rows[0]!.labelfile);
  });
  await run("sh", [
    "-c",
    `cd '${to}' && rm -f postmaster.pid standby.signal && chown --reference=PG_VERSION backup_label`,
  ]);
}

/** Makes a copy of a server's data that of a standby. */
async function follow(data: string, url: string, port: number): Promise<void> {
  const { username, password } = new URL(url);
  const from = `host=127.0.0.1 port=${port} user=${username} password=${
    decodeURIComponent(password)
  } connect_timeout=3`;
  await Deno.writeTextFile(`${data}/postgresql.auto.conf`, `primary_conninfo = '${from}'\n`);
  await Deno.writeTextFile(`${data}/standby.signal`, "");
  await run("sh", ["-c", `cd '${data}' && chown --reference=PG_VERSION postgresql.auto.conf standby.signal`]);
}
