/**
 * A machine on which a release is installed as docs/install.md says, from a server with the release's files.
 * @module
 */
import assert from "node:assert/strict";
import { Machine } from "../../../infra/testing/machine.ts";
import { freePort, until } from "../../../testing/servers/child.ts";
import type { Broker } from "../../../testing/servers/kafka.ts";
import { type Server, using } from "../../../testing/servers/postgres.ts";
import type { InstallPage } from "./install_page.ts";

/** What a host needs. */
export interface HostOptions {
  readonly broker: Broker;
  readonly server: Server;
  readonly page: InstallPage;
  /** The folder with a release's files. */
  readonly release: string;
}

/** Path of the settings. */
const SETTINGS = "/etc/clickstream/clickstream.env";

/** The program with the settings of the service. */
const PROGRAM = `clickstream --config ${SETTINGS}`;

/** A machine, its topic and its database. */
export class Host implements AsyncDisposable {
  readonly machine: Machine;
  readonly #options: HostOptions;
  readonly #files: Deno.HttpServer<Deno.NetAddr>;
  readonly #port = freePort();
  #release: string;
  #database = "";
  #topic = "";
  #sent = 0;

  private constructor(machine: Machine, options: HostOptions) {
    this.machine = machine;
    this.#options = options;
    this.#release = options.release;
    this.#files = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async ({ url }) => {
      const file = await Deno.open(this.#release + new URL(url).pathname).catch(() => null);
      return new Response(file?.readable ?? null, { status: file === null ? 404 : 200 });
    });
  }

  static async boot(options: HostOptions): Promise<Host> {
    return new Host(await Machine.boot({ name: "install", userData: "#cloud-config\n" }), options);
  }

  /** Serves the files of another release from now on. */
  serve(release: string): void {
    this.#release = release;
  }

  /** Gives the next installation a topic and a database of its own. */
  async fresh(name: string): Promise<void> {
    this.#topic = name;
    this.#sent = 0;
    await this.#options.broker.createTopic(name, 2);
    this.#database = await this.#options.server.createDatabase(name);
  }

  /** Runs a block of the page in the machine's `/root`. */
  async does(block: string, instead: Readonly<Record<string, string>> = {}): Promise<string> {
    const { port } = this.#files.addr;
    const script = `cd /root\nexport RELEASE=http://127.0.0.1:${port}\n${this.#options.page.script(block, instead)}`;
    return await this.sh(script);
  }

  /** Runs a script in it, with what it says to either output. */
  async sh(script: string): Promise<string> {
    return await this.machine.sh(`exec 2>&1\n${script}`);
  }

  /** Writes settings that let several hosts and tests share a machine's network, then configures as the page says. */
  async configure(): Promise<void> {
    const more = { KAFKA_TOPIC: this.#topic, KAFKA_GROUP_ID: this.#topic, HTTP_LISTEN: `127.0.0.1:${this.#port}` };
    const lines = Object.entries(more).map(([name, value]) => `${name}=${value}\n`).join("");
    await this.sh(`printf '${lines.replaceAll("\n", "\\n")}' >>${SETTINGS}`);
    await this.does("Configure 1", {
      "localhost:9092": this.#options.broker.bootstrap,
      "postgres://clickstream@localhost/clickstream": this.#database,
    });
  }

  /** Sends events, and waits until all that were ever sent are counted; returns their number. */
  async count(): Promise<number> {
    const counts = await this.machine.sh(`${PROGRAM} generate --fast --seconds 20 --rate 100 --json`);
    this.#sent += (JSON.parse(counts) as { readonly records: number }).records;
    await until("everything is counted", async () => await this.#counted() === this.#sent);
    return this.#sent;
  }

  /** Fails unless the tables have everything that was counted. */
  async kept(): Promise<void> {
    assert.equal(await this.#counted(), this.#sent);
  }

  /** Creates a login for the service; returns its address and that of the owner. */
  async createLogins(): Promise<{ readonly service: string; readonly owner: string }> {
    const login = `service_${this.#topic}`;
    await using(this.#database, (db) => db.exec(`create role ${login} login password 'x' in role clickstream_writer`));
    const database = new URL(this.#database).pathname.slice(1);
    return { service: this.#options.server.urlFor(login, "x", database), owner: this.#database };
  }

  /** The users whose sessions the service has. */
  async users(): Promise<string[]> {
    return await using(this.#database, async (db) => {
      const { rows } = await db.query<{ usename: string }>(
        `select distinct usename from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() order by 1`,
      );
      return rows.map(({ usename }) => usename);
    });
  }

  async #counted(): Promise<number> {
    return await using(this.#database, async (db) => {
      const { rows } = await db.query<{ consumed: number }>(
        "select coalesce(sum(consumed), 0)::integer as consumed from clickstream.progress",
      );
      return rows[0]!.consumed;
    });
  }

  /** What the service says of itself. */
  async status(): Promise<{ readonly version: string }> {
    return JSON.parse(await this.sh(`${PROGRAM} status --json`));
  }

  /** The end of a unit's journal. */
  async journal(unit: string): Promise<string> {
    return await this.machine.journal(unit);
  }

  /** Waits until the service of a version is ready. */
  async runs(version: string): Promise<void> {
    await this.machine.active("clickstream.service");
    await until(`version ${version} runs`, async () => {
      return await this.status().then((status) => status.version === version, () => false);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#files.shutdown();
    await this.machine[Symbol.asyncDispose]();
  }
}
