/**
 * The live status of a running process: counted once a second, read from PostgreSQL only while clients are connected, and
 * sent to all of them at once.
 * @module
 */
import type { Activity } from "../status/activity.ts";
import type { WorkerEvent } from "../status/worker_events.ts";
import { RecentSamples, type Sample, SAMPLES_PER_SECOND } from "../status/sampler.ts";
import { kindOf, type NotReady } from "../pipeline/causes.ts";
import { inWords } from "../config/secret.ts";
import { History, LOOK_EVERY_MS } from "../status/history.ts";
import { type About, type StatusReport, statusReport } from "../status/report.ts";
import { type Front, PARTITIONS, type ShopSource } from "../status/shop.ts";
import { Audience, type Sent } from "./stream.ts";

/** Options of a `Live`. */
export interface LiveOptions {
  readonly about: About;
  readonly activity: Activity;
  /** Opens PostgreSQL with short time-outs, read only. */
  readonly open: () => Promise<ShopSource>;
  /** Called when the first client comes or the last one leaves. */
  readonly watched: (isWatched: boolean) => void;
}

/** With more clients than this, messages go every other second: each costs the pipeline some time. */
const MANY_CLIENTS = 100;

/** Least interval of reading the shop, in milliseconds; and the pause after it as a multiple of the time it took. */
const SHOP_EVERY_MS = 2_500;
const SHOP_REST = 15;

/** The live status of a process. */
export class Live {
  readonly #options: LiveOptions;
  readonly #history: History;
  readonly #audience: Audience;
  readonly #timer: number;
  #isWatched = false;
  #samples: Sample[] = [];
  readonly #recent = new RecentSamples();
  /** Whether the tables were read since the first client came: only they know which samples must not be shown. */
  #isRecentShown = false;
  #reason: string | null = null;
  #shop: Promise<ShopSource> | null = null;
  /** Why PostgreSQL could not be read the last time; null if it could, or was not tried. */
  #trouble: NotReady | null = null;
  /** Records in unacknowledged gaps at the last read, and the gaps found by then. */
  #gaps: { readonly open: number; readonly found: number } | null = null;
  /** The latest messages by name. */
  readonly #shown = new Map<string, Sent>();
  /** Messages to send with the next status. */
  #waiting: Sent[] = [];
  #shopDueMs = 0;
  #passedOver = false;
  #reading: Promise<void> | null = null;

  constructor(options: LiveOptions) {
    this.#options = options;
    this.#history = new History(options.activity);
    this.#history.look(Date.now());
    this.#audience = new Audience(() => performance.now(), (count) => this.#counted(count));
    this.#timer = setInterval(() => this.#tick(), LOOK_EVERY_MS);
  }

  /** The current report. */
  status(): StatusReport {
    const { about, activity } = this.#options;
    const found = activity.totals.gaps;
    const gaps = this.#gaps === null ? null : this.#gaps.open + found - this.#gaps.found;
    const moment = { now: Date.now(), stopping: activity.stopping, database: this.#trouble, gaps };
    return statusReport(about, activity, this.#history, moment);
  }

  /** The stream for one more client; null if there are too many. */
  stream(): ReadableStream<Uint8Array> | null {
    const history: Sent = ["history", this.#history.points];
    const recent: Sent[] = this.#isRecentShown ? [["recent", this.#recent.all]] : [];
    return this.#audience.join([this.#status(), history, ...this.#shown.values(), ...recent, ...this.#troubled()]);
  }

  /** Takes an event of a worker, after `Activity` has. */
  take(event: WorkerEvent): void {
    if (event.kind === "sampled") this.#sample(event.samples);
    if (event.kind === "started" && event.cause?.kind === "user_forgotten") this.#forgetUser();
    const { notReady } = this.#options.activity;
    if (notReady === this.#reason) return;
    this.#reason = notReady;
    this.#audience.send([this.#status()]);
  }

  /** Disconnects all clients. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#audience.close();
    await this.#reading;
    await this.#closeShop();
  }

  #sample(samples: readonly Sample[]): void {
    this.#recent.add(samples);
    if (this.#audience.size > 0 && this.#samples.length < SAMPLES_PER_SECOND) this.#samples.push(...samples);
  }

  #counted(count: number): void {
    const isWatched = count > 0;
    if (isWatched === this.#isWatched) return;
    this.#isWatched = isWatched;
    this.#options.watched(isWatched);
    if (isWatched) this.#read();
    else this.#forget();
  }

  #tick(): void {
    this.#options.activity.look();
    const point = this.#history.look(Date.now());
    if (this.#audience.size === 0) return;
    this.#passedOver = this.#audience.size > MANY_CLIENTS && !this.#passedOver;
    if (this.#passedOver) return;
    const events: Sent[] = this.#samples.length === 0 ? [] : [["events", this.#samples.slice(0, SAMPLES_PER_SECOND)]];
    this.#audience.send([this.#status(), ["point", point], ...this.#waiting, ...events]);
    this.#samples = [];
    this.#waiting = [];
    this.#read();
  }

  /** Sends a message with the next status; at once if it is the first of its name, because the page waits for it. */
  #show(sent: Sent): void {
    if (this.#audience.size === 0) return;
    const [name] = sent;
    if (this.#shown.has(name)) this.#waiting.push(sent);
    else this.#audience.send([sent]);
    this.#shown.set(name, sent);
  }

  /** Drops what was read. */
  #forgetRead(): void {
    this.#samples = [];
    this.#waiting = [];
    this.#shown.clear();
    this.#isRecentShown = false;
    this.#shopDueMs = 0;
  }

  /** The report with at most `PARTITIONS` partitions, those with the most lag. */
  #status(): Sent {
    const report = this.status();
    if (report.partitions.length <= PARTITIONS) return ["status", report];
    const partitions = report.partitions.toSorted((a, b) => (b.lag ?? 0) - (a.lag ?? 0)).slice(0, PARTITIONS);
    return ["status", { ...report, partitions }];
  }

  #read(): void {
    this.#reading ??= this.#ask().finally(() => this.#reading = null);
  }

  /** Reads PostgreSQL; this also finds out that it is down when nothing is to be committed. */
  async #ask(): Promise<void> {
    const before = this.#trouble;
    try {
      const shop = await (this.#shop ??= this.#options.open());
      const found = this.#options.activity.totals.gaps;
      const front = await shop.front(Date.now());
      this.#gaps = { open: front.gaps, found };
      // The page shows it as unknown: read it at once.
      if (this.#trouble !== null) this.#shopDueMs = 0;
      this.#trouble = null;
      this.#show(["front", front]);
      this.#showRecent(front);
      if (performance.now() >= this.#shopDueMs) await this.#askForShop(shop, front);
    } catch (error) {
      this.#trouble = { kind: kindOf(error), reason: inWords(error) };
      await this.#closeShop();
    }
    if (this.#audience.size === 0) this.#trouble = null;
    if (before?.reason !== this.#trouble?.reason) this.#audience.send([this.#status(), ...this.#troubled()]);
  }

  /** Sends the kept samples when they are known to be allowed, and again when some are not any more. */
  #showRecent({ forgotten }: Front): void {
    const isLess = this.#recent.dropBelow(forgotten);
    if (this.#audience.size === 0 || (this.#isRecentShown && !isLess)) return;
    this.#isRecentShown = true;
    this.#audience.send([["recent", this.#recent.all]]);
  }

  /** A message that the tables cannot be read, if so; the next shop message ends it. */
  #troubled(): Sent[] {
    return this.#trouble === null ? [] : [["trouble", { reason: this.#trouble.reason }]];
  }

  /** If PostgreSQL has no time for it, the page says so and stays. */
  async #askForShop(shop: ShopSource, front: Front): Promise<void> {
    const sinceMs = performance.now();
    try {
      this.#show(["shop", await shop.report(front)]);
    } catch (error) {
      this.#audience.send([["trouble", { reason: inWords(error) }]]);
    }
    const nowMs = performance.now();
    this.#shopDueMs = nowMs + Math.max(SHOP_EVERY_MS, (nowMs - sinceMs) * SHOP_REST);
  }

  /** A user was forgotten: samples may be theirs, here and on the page. */
  #forgetUser(): void {
    this.#forgetRead();
    this.#recent.clear();
    this.#audience.send([this.#status(), ["recent", []]]);
  }

  /** The last client left: drops what was read. */
  #forget(): void {
    this.#forgetRead();
    this.#trouble = null;
    void this.#closeShop();
  }

  async #closeShop(): Promise<void> {
    const open = this.#shop;
    this.#shop = null;
    // If it cannot be opened or closed, it is gone already.
    await open?.then((shop) => shop.close()).catch(() => {});
  }
}
