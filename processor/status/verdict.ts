/**
 * How it is, in one plain line: what everybody wants to know first.
 * @module
 */
import { type Stall, stallInWords, type StallKind } from "./stall.ts";
import type { LastMinute, Rates, Silence, Stage } from "./history.ts";
import type { NotReady, NotReadyKind } from "../pipeline/causes.ts";
import { ADOPT, type TopicChange } from "../pipeline/source.ts";

/** How grave it is. */
export type Level = "good" | "attention" | "behind" | "broken" | "starting" | "stopping";

/** How it is, in words. */
export interface Verdict {
  readonly level: Level;
  /** The one line. */
  readonly title: string;
  /** What is behind it. */
  readonly detail: string;
  /** What to do; null if there is nothing. */
  readonly advice: string | null;
}

/** How far behind the log it is. */
export interface Lag {
  /** Records that are still to be committed; null if not known. */
  readonly records: number | null;
  /** How long ago the last event of the partition that is furthest behind happened, in milliseconds. */
  readonly behindMs: number | null;
  /** When it will have caught up at this pace, in milliseconds; null if it won't, or isn't behind. */
  readonly caughtUpInMs: number | null;
}

/** What a verdict is passed on. */
export interface Situation {
  readonly stopping: boolean;
  /** How the topic is not the one that the tables follow; null while it is. */
  readonly topicChange: TopicChange | null;
  /** Records that Kafka had deleted before they were read, and that nobody has acknowledged. */
  readonly gaps: number;
  /** Why the work has stopped; null while it goes on. */
  readonly notReady: NotReady | null;
  /** Why PostgreSQL can't be asked, where somebody has tried; null if it can. */
  readonly database: NotReady | null;
  /** Partitions that are read by this process. */
  readonly partitions: number;
  readonly lag: Lag;
  readonly rates: Rates;
  readonly stages: readonly Stage[];
  readonly lastMinute: LastMinute;
  readonly silence: Silence;
  /** How long the last commit's oldest record had been waiting; null if not known. */
  readonly latencyMs: number | null;
  /** What stands still though all else goes on; null if nothing does. */
  readonly stall: Stall | null;
}

/** Lags that are no longer than this are how it always is, in milliseconds. */
const USUAL_LAG_MS = 5_000;

/** The same in records, where that is more than some seconds of work. */
const USUAL_LAG_RECORDS = 1_000;
const USUAL_LAG_SECONDS = 3;

/** Time without a record, in milliseconds, and how many would usually have come, after which silence is no chance. */
const SILENT_AFTER_MS = 60_000;
const SILENT_AFTER_RECORDS = 60;

/** A commit whose oldest record was sent longer ago than this, in milliseconds, holds some of a backlog. */
const BACKLOG_MS = 10_000;

/** Share of refused messages in a minute that somebody should look at; and how many there must be. */
const MANY_REFUSED = 0.02;
const SOME_REFUSED = 5;

const NOTHING_LOST = "Nothing is lost: Kafka keeps the events, and reading goes on by itself where it ended.";

/** What is said of a failure that nothing more is known of. */
const STOPPED = {
  title: "The work has stopped",
  advice: `It is tried again and again; the log says more. ${NOTHING_LOST}`,
};

/** What a failure is called, and what to do about it. */
const CURES: { readonly [kind in NotReadyKind]: Pick<Verdict, "title" | "advice"> } = {
  starting: STOPPED,
  rebalancing: STOPPED,
  conflict: STOPPED,
  postgres_unreachable: {
    title: "PostgreSQL can't be reached",
    advice: `Start PostgreSQL, or correct DATABASE_URL. ${NOTHING_LOST}`,
  },
  postgres_refuses: {
    title: "PostgreSQL does not take the work",
    advice: `See PostgreSQL's log. ${NOTHING_LOST}`,
  },
  kafka_unreachable: {
    title: "Kafka can't be reached",
    advice: `Start the brokers, or correct KAFKA_BROKERS. ${NOTHING_LOST}`,
  },
  no_topic: { title: "Kafka has no such topic", advice: null },
  foreign_group_member: {
    title: "A stranger is in the consumer group",
    advice: `\`clickstream doctor\` names it too. ${NOTHING_LOST}`,
  },
  topic_changed: STOPPED,
  internal: STOPPED,
};

/** Passes the verdict. */
export function verdictOn(situation: Situation): Verdict {
  const { stopping, notReady, database, topicChange } = situation;
  if (topicChange !== null) return changed(topicChange);
  if (stopping) {
    return { level: "stopping", title: "Stopping", detail: "What has been read is being committed.", advice: null };
  }
  if (notReady?.kind === "starting") {
    return { level: "starting", title: "Starting", detail: "Connects to PostgreSQL and Kafka.", advice: null };
  }
  const isRebalancing = notReady?.kind === "rebalancing";
  const failure = isRebalancing ? database : notReady ?? database;
  if (failure !== null) return { level: "broken", detail: sentence(failure.reason), ...CURES[failure.kind] };
  if (isRebalancing) {
    const detail = "Kafka's group says which are whose; where it misses a member, it waits for it first, up to 20 s.";
    return { level: "starting", title: "Waiting for its partitions", detail, advice: null };
  }
  const { stall } = situation;
  return stall !== null
    ? standingStill(stall)
    : isBehind(situation)
    ? behind(situation)
    : isSilent(situation)
    ? silent(situation)
    : upToDate(situation);
}

/** When a lag will be gone at this pace, in milliseconds; null if never. */
export function caughtUpInMs(records: number, { consumed, arrived }: Rates): number | null {
  const net = consumed - arrived;
  return records > 0 && net > 0 ? records / net * 1000 : null;
}

function changed(change: TopicChange): Verdict {
  const { topic } = change;
  const advice = `Type: ${ADOPT}. It says what it will do, and lets the service go on with what Kafka has now.`;
  if (change.kind === "recreated") {
    const { found, followed } = change;
    const detail = `Its id is ${found}; the tables follow ${followed}. None of the new topic has been read.`;
    return { level: "broken", title: `Topic ${topic} was recreated`, detail, advice };
  }
  const { partition, end, next } = change;
  const detail =
    `Partition ${partition} of ${topic} ends at offset ${end}, before ${next}, up to which it has been read.`;
  return { level: "broken", title: "The log was truncated", detail, advice };
}

function isBehind({ lag: { records, behindMs }, rates: { consumed } }: Situation): boolean {
  if (records === null || records === 0) return false;
  if (records > Math.max(USUAL_LAG_RECORDS, USUAL_LAG_SECONDS * consumed)) return true;
  // A single old event, sent late, is no lag.
  return behindMs !== null && behindMs > USUAL_LAG_MS && records > consumed;
}

/** What a stall is called, and what to do about it. */
const STILL: { readonly [kind in StallKind]: readonly [title: (time: string) => string, advice: string] } = {
  rebalancing: [
    (time) => `Waiting for its partitions for ${time}`,
    "Look for a member of the group that has died or hangs: it is waited for until its session times out.",
  ],
  leader_silent: [
    (time) => `Kafka has not answered for ${time}`,
    "Look at the broker that leads the partition, and at the network on the way to it.",
  ],
  open_transaction: [
    (time) => `An open transaction has held up records for ${time}`,
    "Look for a producer that died in a transaction: it is ended after transaction.timeout.ms, " +
    "or at once by kafka-transactions.sh --abort.",
  ],
  not_read: [
    (time) => `Nothing has been read for ${time}`,
    "Look at the broker that leads the partition; restart the service if that does not help.",
  ],
  not_committed: [
    (time) => `Nothing has been committed for ${time}`,
    "Look in PostgreSQL for what blocks clickstream (pg_stat_activity, pg_locks), or for a full disk.",
  ],
  worker_silent: [
    (time) => `A worker has not gone on for ${time}`,
    "Look at PostgreSQL, at the brokers, and at the network on the way to them.",
  ],
};

function standingStill(stall: Stall): Verdict {
  const [title, advice] = STILL[stall.kind];
  return {
    level: "broken",
    title: title(duration(stall.forMs)),
    detail: sentence(stallInWords(stall)),
    advice: `${advice} ${NOTHING_LOST}`,
  };
}

function behind({ lag, rates, stages }: Situation): Verdict {
  const { records, behindMs, caughtUpInMs: soonMs } = lag;
  const by = [events(records!), ...(behindMs === null ? [] : [duration(behindMs)])].join(", ");
  const pace = `${whole(rates.arrived)} a second come in, ${whole(rates.consumed)} are taken in.`;
  if (soonMs !== null) {
    const title = `Behind by ${by}, catching up in about ${duration(soonMs)}`;
    return { level: "behind", title, detail: pace, advice: null };
  }
  const slowest = stages.toSorted((a, b) => b.busy - a.busy)[0];
  const busy = slowest === undefined ? "" : `${slowest.name} is the busiest stage (${percent(slowest.busy)}). `;
  const advice = `${busy}Raise WORKERS, or start another instance with the same KAFKA_GROUP_ID.`;
  return { level: "behind", title: `Behind by ${by}, and not catching up`, detail: pace, advice };
}

/** A shop that is quiet by night, or has just begun, has no usual rate that this would be long against. */
function isSilent({ partitions, lag, silence: { silentMs, usual } }: Situation): boolean {
  return partitions > 0 && (lag.records ?? 0) === 0 && silentMs >= SILENT_AFTER_MS &&
    silentMs / 1000 * usual >= SILENT_AFTER_RECORDS;
}

function silent({ silence: { silentMs, usual } }: Situation): Verdict {
  return {
    level: "attention",
    title: `No events for ${duration(silentMs)}; usual is ${usual < 10 ? usual.toFixed(1) : whole(usual)}/s`,
    detail: "The topic is read to its end: nothing is written to it.",
    advice: "See whether the shop is up, and whether its producers write to this topic.",
  };
}

function upToDate({ rates, lastMinute, latencyMs, partitions, gaps }: Situation): Verdict {
  const { consumed, refused } = lastMinute;
  const pace = partitions === 0
    ? "Other instances read all partitions; this one stands by."
    : rates.consumed < 0.05
    ? "No events are coming in."
    : `${whole(rates.consumed)} events a second${seen(latencyMs)}`;
  if (gaps > 0) {
    return {
      level: "attention",
      title: `Up to date, but ${gaps === 1 ? "1 record was" : `${whole(gaps)} records were`} deleted unread`,
      detail: `Kafka's retention had passed before they were read, and they are in no table. ${pace}`,
      advice: "Keep records for longer (retention.ms). `clickstream gaps list` says which they were, " +
        "`clickstream gaps acknowledge` ends this message.",
    };
  }
  if (refused < SOME_REFUSED || refused / consumed <= MANY_REFUSED) {
    return { level: "good", title: "Up to date", detail: pace, advice: null };
  }
  return {
    level: "attention",
    title: `Up to date, but ${percent(refused / consumed)} of the last minute's messages were refused`,
    detail: `${whole(refused)} of ${whole(consumed)} can't be events. ${pace}`,
    advice: "See the refusals below, and tell whoever sends them; what was refused is kept byte for byte.",
  };
}

/** How soon events are seen; of a backlog, that it was one: its age says nothing of the events that come now. */
function seen(latencyMs: number | null): string {
  if (latencyMs === null) return ".";
  return latencyMs > BACKLOG_MS
    ? `. The last commit took in the rest of a backlog of ${duration(latencyMs)}.`
    : `, in the tables ${duration(latencyMs)} after they were sent.`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

function events(count: number): string {
  return count === 1 ? "1 event" : `${whole(count)} events`;
}

function whole(number: number): string {
  return Math.round(number).toLocaleString("en");
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}

/** A time as people say it. */
function duration(ms: number): string {
  if (ms < 950) return `${(Math.max(ms, 50) / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 120 * 60_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 48 * 3_600_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} days`;
}
