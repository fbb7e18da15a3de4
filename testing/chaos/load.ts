/**
 * The load: the simulator's records and odd ones, sent with the product's own producer, each written once.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import type { Counts } from "../../generator/records.ts";
import { Random } from "../../generator/random.ts";
import { Simulator } from "../../generator/simulator.ts";
import { type KafkaRecord, type KafkaSettings, produce } from "../../processor/kafka/producer.ts";
import { message } from "../../processor/testing/scan_inputs.ts";

/** How much to send. */
export interface LoadOptions {
  readonly seed: number;
  /** Records of the simulator per second. */
  readonly rate: number;
  /** Share of odd records, in addition. */
  readonly odd: number;
}

/** Records wait for their time in steps of this many milliseconds. */
const TICK_MS = 20;

const BEGINS_WITHIN_TRIES = 5;

/** A stream of records into a topic. */
export class Load {
  /** Records that the brokers have confirmed. */
  acked = 0;
  /** Odd records that were sent. */
  odd = 0;
  readonly #simulator: Simulator;
  readonly #random: Random;
  readonly #share: number;
  readonly #stopped = new AbortController();
  readonly #done: Promise<void>;
  #hasBegun = false;
  #failure: unknown = null;

  /** Begins to send. */
  constructor(settings: KafkaSettings, { seed, rate, odd }: LoadOptions) {
    const faults = { bad: 0.02, duplicates: 0.02, late: 0.02 };
    this.#simulator = new Simulator({ seed, rate, fromMs: Date.now(), toMs: Infinity, users: rate * 4, ...faults });
    this.#random = new Random(seed);
    this.#share = odd;
    this.#done = this.#send(settings);
    this.#done.catch((error) => this.#failure = error);
  }

  /** What the simulator has sent. */
  get counts(): Counts {
    return this.#simulator.counts;
  }

  /** Sends what is waiting, and stops; returns when every record is confirmed. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#done;
  }

  /**
   * Does nothing while it sends.
   *
   * @throws why it can't send any more
   */
  check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  async #send(settings: KafkaSettings): Promise<void> {
    for (let tries = BEGINS_WITHIN_TRIES;;) {
      try {
        await produce(this.#records(), settings, (sent) => this.acked = sent);
        return;
      } catch (error) {
        // A machine with too much to do may not reach the brokers in time, but then nothing is sent.
        if (this.#hasBegun || --tries === 0) throw error;
      }
    }
  }

  async *#records(): AsyncGenerator<KafkaRecord, void, void> {
    this.#hasBegun = true;
    const { signal } = this.#stopped;
    for (const record of this.#simulator) {
      while (record.timestampMs > Date.now() && !signal.aborted) {
        await setTimeout(Math.max(TICK_MS, record.timestampMs - Date.now()), undefined, { signal }).catch(() => {});
      }
      yield record;
      if (this.#random.chance(this.#share)) yield this.#oddRecord();
      if (signal.aborted) return;
    }
  }

  #oddRecord(): KafkaRecord {
    this.odd++;
    const timestampMs = Date.now();
    const value = this.#random.chance(0.02) ? null : message(this.#random, timestampMs);
    return { key: userOf(value), value, timestampMs };
  }
}

/** The user of a record, if it names one: all events of a user are in one partition. */
function userOf(value: Uint8Array | null): string {
  try {
    const { userId } = JSON.parse(new TextDecoder().decode(value ?? new Uint8Array()));
    return typeof userId === "string" ? userId : "";
  } catch {
    return "";
  }
}
