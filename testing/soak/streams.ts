/**
 * The load of a soak: the simulator's records in real time, and an old stream whose rows expire while it runs.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import type { Counts, SimulatedRecord } from "../../generator/records.ts";
import { Simulator } from "../../generator/simulator.ts";
import { exactProducerTo, type Message, messageOf, type Sender } from "../servers/load.ts";

/** Partitions of the live stream; the old stream has one more for itself. */
export const LIVE_PARTITIONS = 6;

/**
 * Days that events and windows are kept. Rows of the live stream stay for the whole of a soak. Those of the old stream
 * are of a day that has expired, so that every run of `maintain` has rows to delete.
 */
export const KEEP = { eventDays: 1, rollupDays: 2 } as const;

/** How long ago the old stream happens, in milliseconds. */
const AGO_MS = (KEEP.rollupDays + 1) * 86_400_000;

/** Share of the old stream's rate in that of the live one. */
const OLD_SHARE = 0.1;

/** Interval between requests, in milliseconds. */
const EVERY_MS = 50;

/** What to send, where, and how long. */
export interface StreamsOptions {
  readonly bootstrap: string;
  readonly topic: string;
  /** Records/s of the live stream. */
  readonly rate: number;
  readonly seconds: number;
  readonly seed: number;
}

/** Both streams, while they are sent. */
export interface Streams {
  /** Records that the broker has confirmed. */
  readonly sent: number;
  /** What was sent live, and of old. */
  counts(): { readonly live: Counts; readonly old: Counts };
  /** Ends after the time, or after `stop`; every record that was counted is then confirmed. */
  readonly done: Promise<void>;
  stop(): void;
}

/** Sends both streams to an existing topic with `LIVE_PARTITIONS + 1` partitions. */
export function startStreams({ bootstrap, topic, rate, seconds, seed }: StreamsOptions): Streams {
  const startMs = Date.now();
  // An endless simulation has no hours and days with more visitors: ids and rows would grow with these.
  const toMs = Infinity;
  const live = new Simulator({
    ...{ seed, rate, fromMs: startMs, toMs },
    ...{ bad: 0.02, duplicates: 0.02, late: 0.05, keepDays: KEEP.eventDays },
  });
  const old = new Simulator({
    ...{ seed: seed + 1, rate: rate * OLD_SHARE, fromMs: startMs - AGO_MS, toMs },
  });
  const producer = exactProducerTo(bootstrap);
  const stopping = new AbortController();
  const over = AbortSignal.any([stopping.signal, AbortSignal.timeout(seconds * 1000)]);
  let sent = 0;
  const confirmed = (records: number) => void (sent += records);
  const atOf = (record: SimulatedRecord) => messageOf(record, topic, LIVE_PARTITIONS);
  const ofOld = (record: SimulatedRecord) => ({ ...messageOf(record, topic, 1), partition: LIVE_PARTITIONS });
  const both = [
    send(producer, { records: live, agoMs: 0, messageOf: atOf }, over, confirmed),
    send(producer, { records: old, agoMs: AGO_MS, messageOf: ofOld }, over, confirmed),
  ];
  return {
    get sent() {
      return sent;
    },
    counts: () => ({ live: live.counts, old: old.counts }),
    done: Promise.all(both).then(() => {}).finally(() => producer.close()),
    stop: () => stopping.abort(),
  };
}

interface Stream {
  readonly records: Iterable<SimulatedRecord>;
  /** How long ago the records happen, in milliseconds. */
  readonly agoMs: number;
  messageOf(record: SimulatedRecord): Message;
}

/** Sends each record at its time, in the order of the stream. */
async function send(
  producer: Sender,
  { records, agoMs, messageOf }: Stream,
  signal: AbortSignal,
  confirmed: (records: number) => void,
): Promise<void> {
  let waiting: Message[] = [];
  const post = async () => {
    if (waiting.length === 0) return;
    await producer.send({ messages: waiting });
    confirmed(waiting.length);
    waiting = [];
  };
  for (const record of records) {
    while (record.timestampMs + agoMs > Date.now() && !signal.aborted) {
      await post();
      await setTimeout(EVERY_MS, undefined, { signal }).catch(() => {});
    }
    // The record is counted, so it is sent even if it is too early.
    waiting.push(messageOf(record));
    if (waiting.length >= 1000) await post();
    if (signal.aborted) break;
  }
  await post();
}
