/**
 * The rates of a worker.
 * @module
 */
import { Conversion, moneyFault } from "../../currency.ts";
import type { Log } from "../../host/log.ts";
import { readMoney, readRates } from "../../postgres/currency.ts";
import type { Database } from "../../postgres/database.ts";
import type { WorkerEvent } from "../../status/worker_events.ts";

/** Interval of reading rates, and what had none, in milliseconds. */
const READ_EVERY_MS = 30_000;

/**
 * How a worker converts purchases: by the rates in PostgreSQL, which it reads at the start and then regularly. Reports how
 * revenue is counted, and logs what is wrong with it, once.
 */
export class Money {
  /** Undefined without a currency: then nothing is converted. */
  readonly conversion: Conversion | undefined;
  readonly #log: Log;
  readonly #tell: (event: WorkerEvent) => void;
  readonly #reports: boolean;
  readonly #timer: number;
  #db: Database | null = null;
  #said: string | null = null;

  /** @param reports whether it reports and logs, which one worker of a process does for all */
  constructor(currency: string | null, log: Log, tell: (event: WorkerEvent) => void, reports: boolean) {
    this.conversion = currency === null ? undefined : new Conversion(currency);
    this.#log = log;
    this.#tell = tell;
    this.#reports = reports;
    this.#timer = setInterval(() => void this.#readAgain(), READ_EVERY_MS);
  }

  /** Reads the rates, and does so over this connection from now on. */
  async read(db: Database): Promise<void> {
    this.#db = db;
    this.conversion?.use(await readRates(db));
    if (!this.#reports) return;
    const state = await readMoney(db);
    this.#tell({ kind: "money", state });
    const fault = moneyFault(state);
    // The number of purchases changes, what to do does not.
    if (fault !== null && fault.advice !== this.#said) {
      this.#log.warn(`${fault.title}. ${fault.detail} ${fault.advice}`);
    }
    this.#said = fault?.advice ?? null;
  }

  /** Stops reading. */
  close(): void {
    clearInterval(this.#timer);
  }

  async #readAgain(): Promise<void> {
    const db = this.#db;
    // If the connection is lost, the next commit opens another.
    if (db !== null) await this.read(db).catch(() => {});
  }
}
