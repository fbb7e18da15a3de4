/**
 * Shops that sell to a deployment's topic, and whether all that they sold is counted, and counted once.
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { until } from "../../testing/servers/child.ts";
import { using } from "../../testing/servers/postgres.ts";

const BINARY = fileURLToPath(new URL("../../dist/clickstream", import.meta.url));

/** Longest wait until all is counted, in milliseconds: others may keep the machine busy. */
const PATIENCE_MS = 300_000;

/** What is written to the topic, and what became of it. */
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

/** Shops that sell to the topic, and what they said they made. */
export class Shops {
  readonly #env: Record<string, string>;
  readonly #url: string;
  #made: Counts = { consumed: 0, stored: 0, duplicates: 0, refused: 0 };
  #seed = 0;

  /** Shops that find the topic by these settings, and what was counted of it in this database. */
  constructor(env: Record<string, string>, url: string) {
    this.#env = env;
    this.#url = url;
  }

  /** A shop sells for so many seconds. */
  async sell(seconds: number): Promise<void> {
    await using shop = this.#start("--seconds", String(seconds));
    await shop.closed();
  }

  /** A shop that sells until it is closed; what it sold first is counted already, and so was all before. */
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
    output.then(() => ended = true, () => {});
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

  /** Waits until all is counted, and fails unless it is counted just once. */
  async counted(after: string): Promise<void> {
    const all = async () => (await counts(this.#url)).consumed >= this.#made.consumed;
    await until(`${after}: everything is counted`, all, PATIENCE_MS, 250);
    assert.deepEqual(await counts(this.#url), this.#made, after);
  }
}

/** A shop that sells. */
export interface OpenShop extends AsyncDisposable {
  /** Closes it; what it has made is sent. */
  close(): Promise<void>;
  /** Waits until it closes by itself. */
  closed(): Promise<void>;
}
