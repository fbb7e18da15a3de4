/**
 * Simulators that send to a deployment's topic, and a check that every event is counted exactly once.
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { until } from "../../testing/servers/child.ts";
import { using } from "../../testing/servers/postgres.ts";

const BINARY = fileURLToPath(new URL("../../dist/clickstream", import.meta.url));

/** Longest wait until everything is counted, in milliseconds; the machine may be busy. */
const PATIENCE_MS = 300_000;

/** Counts of the topic's records and their outcomes. */
interface Counts {
  readonly consumed: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly refused: number;
}

async function counts(url: string): Promise<Counts> {
  return await using(url, async (db) => {
    const { rows } = await db.query<Record<keyof Counts, string>>(
      `select coalesce(sum(consumed), 0)::text as consumed, coalesce(sum(stored), 0)::text as stored,
              coalesce(sum(duplicates), 0)::text as duplicates, coalesce(sum(refused), 0)::text as refused
         from clickstream.progress`,
    );
    const { consumed, stored, duplicates, refused } = rows[0]!;
    return { consumed: +consumed, stored: +stored, duplicates: +duplicates, refused: +refused };
  });
}

/** Simulators that send to the topic, and their own counts. */
export class Shops {
  readonly #env: Record<string, string>;
  readonly #url: string;
  #made: Counts = { consumed: 0, stored: 0, duplicates: 0, refused: 0 };
  #seed = 0;

  /** Sends with these settings; reads the counts from the database at `url`. */
  constructor(env: Record<string, string>, url: string) {
    this.#env = env;
    this.#url = url;
  }

  /** Runs a simulator for this many seconds. */
  async sell(seconds: number): Promise<void> {
    await using shop = this.#start("--seconds", String(seconds));
    await shop.closed();
  }

  /**
   * Starts a simulator that runs until it is closed. Its first events, and all earlier ones, are counted when this
   * returns.
   */
  async open(): Promise<OpenShop> {
    const shop = this.#start();
    const counted = async () => shop.ended() || (await counts(this.#url)).consumed > this.#made.consumed;
    await until("what a shop sells is counted", counted, PATIENCE_MS, 250);
    return shop;
  }

  #start(...more: readonly string[]): OpenShop & { ended(): boolean } {
    const args = ["generate", "--json", "--rate", "1000", "--seed", String(++this.#seed), ...more];
    const shop = new Deno.Command(BINARY, { args, env: this.#env, stdout: "piped", stderr: "piped" }).spawn();
    const output = shop.output();
    let ended = false;
    void shop.status.then(() => ended = true);
    const closed = async () => {
      const { code, stdout, stderr } = await output;
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      const made = JSON.parse(new TextDecoder().decode(stdout));
      const refused = Object.values<number>(made.refusals).reduce((sum, count) => sum + count, 0);
      this.#made = {
        consumed: this.#made.consumed + made.records,
        stored: this.#made.stored + made.events,
        duplicates: this.#made.duplicates + made.duplicates,
        refused: this.#made.refused + refused,
      };
    };
    return {
      closed,
      ended: () => ended,
      async close() {
        if (!ended) shop.kill("SIGTERM");
        await closed();
      },
      async [Symbol.asyncDispose]() {
        if (!ended) shop.kill("SIGKILL");
        await output;
      },
    };
  }

  /** Waits until everything is counted; fails unless everything is counted exactly once. */
  async counted(after: string): Promise<void> {
    const all = async () => (await counts(this.#url)).consumed >= this.#made.consumed;
    await until(`${after}: everything is counted`, all, PATIENCE_MS, 250);
    assert.deepEqual(await counts(this.#url), this.#made, after);
  }
}

/** A running simulator. */
export interface OpenShop extends AsyncDisposable {
  /** Ends it; the generated events are sent. */
  close(): Promise<void>;
  /** Waits until it ends by itself. */
  closed(): Promise<void>;
}
