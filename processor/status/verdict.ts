/**
 * The verdict: the state of the service in one plain line.
 * @module
 */
import { type Stall, stallInWords, type StallKind } from "./stall.ts";
import type { LastMinute, Rates, Silence, Stage } from "./history.ts";
import type { MoneyFault } from "../currency.ts";
import type { NotReady, NotReadyKind } from "../pipeline/causes.ts";
import { ADOPT, replacedFrom, type TopicChange } from "../pipeline/source.ts";
import { withCommas } from "./text.ts";

/** Severity of a verdict. */
export type Level = "good" | "attention" | "behind" | "broken" | "starting" | "stopping";

/** The state of the service, in words. */
export interface Verdict {
  readonly level: Level;
  /** The state, in one line. */
  readonly title: string;
  /** The facts behind the title. */
  readonly detail: string;
  /** What to do; null if nothing needs doing. */
  readonly advice: string | null;
}

/** How far the committed offsets are behind the log. */
export interface Lag {
  /** Records that are not committed yet; null if not known. */
  readonly records: number | null;
  /**
   * Age of the latest committed event of the partition that is furthest behind, in milliseconds; null if none is
   * behind.
   */
  readonly behindMs: number | null;
  /** Time until the lag is 0 at the current rates, in milliseconds; null if it does not shrink, or is 0. */
  readonly caughtUpInMs: number | null;
}

/** The facts that decide the verdict. */
export interface Situation {
  readonly stopping: boolean;
  /** How the topic differs from the one that the tables follow; null if it does not. */
  readonly topicChange: TopicChange | null;
  /** Records in unacknowledged gaps: Kafka deleted them before they were read. */
  readonly gaps: number;
  /** Why processing has stopped; null while it runs. */
  readonly notReady: NotReady | null;
  /** Why the status page cannot query PostgreSQL; null if it can, or has not tried. */
  readonly database: NotReady | null;
  /** Number of partitions that this process reads. */
  readonly partitions: number;
  readonly lag: Lag;
  readonly rates: Rates;
  readonly stages: readonly Stage[];
  readonly lastMinute: LastMinute;
  readonly silence: Silence;
  /** Age of the oldest record of the last commit, in milliseconds; null if not known. */
  readonly latencyMs: number | null;
  /** What is wrong with revenue; null if nothing is. */
  readonly money: MoneyFault | null;
  /** The most important stall; null if nothing is stalled. */
  readonly stall: Stall | null;
}

/** A lag of up to this time is normal, in milliseconds. */
const USUAL_LAG_MS = 5_000;

/** A lag of up to this many records, or this many seconds of consumption, is normal. */
const USUAL_LAG_RECORDS = 1_000;
const USUAL_LAG_SECONDS = 3;

/** Silence is reported after this time, in milliseconds, if this many records usually arrive in it. */
const SILENT_AFTER_MS = 60_000;
const SILENT_AFTER_RECORDS = 60;

/** If the oldest record of a commit is older than this, in milliseconds, the commit belongs to a backlog. */
const BACKLOG_MS = 10_000;

/** Refusals are reported if they exceed this share of a minute's records, and are at least this many. */
const MANY_REFUSED = 0.02;
const SOME_REFUSED = 5;

const NOTHING_LOST = "Nothing is lost: Kafka keeps the events, and the service resumes where it stopped.";

/** Title and advice for a failure without a more specific text. */
const STOPPED = {
  title: "Processing has stopped",
  advice: `The service keeps retrying; see its log for details. ${NOTHING_LOST}`,
};

/** Title and advice for each kind of failure. */
const CURES: { readonly [kind in NotReadyKind]: Pick<Verdict, "title" | "advice"> } = {
  starting: STOPPED,
  rebalancing: STOPPED,
  conflict: STOPPED,
  postgres_unreachable: {
    title: "PostgreSQL can't be reached",
    advice: `Start PostgreSQL, or correct DATABASE_URL. ${NOTHING_LOST}`,
  },
  postgres_refuses: {
    title: "PostgreSQL refuses the commits",
    advice: `Check PostgreSQL's log. ${NOTHING_LOST}`,
  },
  kafka_unreachable: {
    title: "Kafka can't be reached",
    advice: `Start the brokers, or correct KAFKA_BROKERS. ${NOTHING_LOST}`,
  },
  no_topic: { title: "Kafka has no such topic", advice: null },
  foreign_group_member: {
    title: "Another program is in the consumer group",
    advice: `Stop that program, or set another KAFKA_GROUP_ID. ${NOTHING_LOST}`,
  },
  topic_changed: STOPPED,
  internal: STOPPED,
};

/** Decides the verdict. */
export function verdictOn(situation: Situation): Verdict {
  const { stopping, notReady, database, topicChange } = situation;
  if (topicChange !== null) return changed(topicChange);
  if (stopping) {
    return {
      level: "stopping",
      title: "Stopping",
      detail: "The service commits what it has read, and ends.",
      advice: null,
    };
  }
  if (notReady?.kind === "starting") {
    return {
      level: "starting",
      title: "Starting",
      detail: "The service connects to PostgreSQL and Kafka.",
      advice: null,
    };
  }
  const isRebalancing = notReady?.kind === "rebalancing";
  const failure = isRebalancing ? database : notReady ?? database;
  if (failure !== null) return { level: "broken", detail: sentence(failure.reason), ...CURES[failure.kind] };
  if (isRebalancing) {
    const detail = "The consumer group is rebalancing; this can take 20 s.";
    return { level: "starting", title: "Waiting for partitions", detail, advice: null };
  }
  const { stall } = situation;
  return stall !== null
    ? stalled(stall)
    : isBehind(situation)
    ? behind(situation)
    : isSilent(situation)
    ? silent(situation)
    : upToDate(situation);
}

/** Time until the lag is 0 at these rates, in milliseconds; null if it is 0 or does not shrink. */
export function caughtUpInMs(records: number, { consumed, arrived }: Rates): number | null {
  const net = consumed - arrived;
  return records > 0 && net > 0 ? records / net * 1000 : null;
}

function changed(change: TopicChange): Verdict {
  const { topic } = change;
  const advice =
    `Run: ${ADOPT}. It shows what will change, and lets the service continue with the log that Kafka has now.`;
  if (change.kind === "recreated") {
    const { found, followed } = change;
    const detail =
      `The new topic's id is ${found}; the tables follow ${followed}. Nothing of the new topic has been read.`;
    return { level: "broken", title: `Topic ${topic} was recreated`, detail, advice };
  }
  const { partition, end, next, isOverwritten } = change;
  const detail = isOverwritten
    ? `Partition ${partition} of ${topic} was read up to offset ${next}, but ${replacedFrom(end)} have been replaced.`
    : `Partition ${partition} of ${topic} ends at offset ${end}, but it was already read up to offset ${next}.`;
  return { level: "broken", title: "The log was truncated", detail, advice };
}

function isBehind({ lag: { records, behindMs }, rates: { consumed } }: Pick<Situation, "lag" | "rates">): boolean {
  if (records === null || records === 0) return false;
  if (records > Math.max(USUAL_LAG_RECORDS, USUAL_LAG_SECONDS * consumed)) return true;
  // A single event that was sent late is not a lag.
  return behindMs !== null && behindMs > USUAL_LAG_MS && records > consumed;
}

/** Title and advice for each kind of stall. */
const STALL_TEXTS: { readonly [kind in StallKind]: readonly [title: (time: string) => string, advice: string] } = {
  rebalancing: [
    (time) => `Waiting for partitions for ${time}`,
    "Find the group member that died or hangs: Kafka waits for it until its session times out.",
  ],
  leader_silent: [
    (time) => `Kafka has not answered for ${time}`,
    "Check the broker that leads the partition, and the network to it.",
  ],
  open_transaction: [
    (time) => `An open transaction has blocked records for ${time}`,
    "Find the producer that died in a transaction. Kafka ends the transaction after transaction.timeout.ms; " +
    "kafka-transactions.sh --abort ends it at once.",
  ],
  not_read: [
    (time) => `Nothing has been read for ${time}`,
    "Check the broker that leads the partition; restart the service if that does not help.",
  ],
  not_committed: [
    (time) => `Nothing has been committed for ${time}`,
    "Check what blocks clickstream in PostgreSQL (pg_stat_activity, pg_locks), and whether its disk is full.",
  ],
  worker_silent: [
    (time) => `A worker has made no progress for ${time}`,
    "Check PostgreSQL, the brokers, and the network to them.",
  ],
};

function stalled(stall: Stall): Verdict {
  const [title, advice] = STALL_TEXTS[stall.kind];
  return {
    level: "broken",
    title: title(duration(stall.forMs)),
    detail: sentence(stallInWords(stall)),
    advice: `${advice} ${NOTHING_LOST}`,
  };
}

/** The busiest stage, if the lag is no longer normal and does not shrink; null otherwise, or if none is busy. */
export function bottleneck(situation: Pick<Situation, "lag" | "rates" | "stages">): Stage | null {
  if (!isBehind(situation) || situation.lag.caughtUpInMs !== null) return null;
  return situation.stages.filter(({ busy }) => busy > 0).toSorted((a, b) => b.busy - a.busy)[0] ?? null;
}

function behind(situation: Situation): Verdict {
  const { lag, rates } = situation;
  const { records, behindMs, caughtUpInMs: soonMs } = lag;
  const by = `${counted(records!)}${behindMs === null ? "" : ` (${duration(behindMs)})`}`;
  const pace = `${withCommas(rates.arrived)} records/s arrive, ${withCommas(rates.consumed)} records/s are consumed.`;
  if (soonMs !== null) {
    const title = `Behind by ${by}, caught up in about ${duration(soonMs)}`;
    return { level: "behind", title, detail: pace, advice: null };
  }
  const slowest = bottleneck(situation);
  const busy = slowest === null ? "" : `${slowest.name} is the busiest stage (${percent(slowest.busy)}). `;
  const advice = `${busy}Raise WORKERS, or start another instance with the same KAFKA_GROUP_ID.`;
  return { level: "behind", title: `Behind by ${by}, and not catching up`, detail: pace, advice };
}

/** A shop that is quiet at night, or has just started, has a low usual rate: silence is normal there. */
function isSilent({ partitions, lag, silence: { silentMs, usual } }: Situation): boolean {
  return partitions > 0 && (lag.records ?? 0) === 0 && silentMs >= SILENT_AFTER_MS &&
    silentMs / 1000 * usual >= SILENT_AFTER_RECORDS;
}

function silent({ silence: { silentMs, usual } }: Situation): Verdict {
  return {
    level: "attention",
    title: `No events for ${duration(silentMs)}; the usual rate is ${
      usual < 10 ? usual.toFixed(1) : withCommas(usual)
    }/s`,
    detail: "The lag is 0: nothing is written to the topic.",
    advice: "Check that the shop is up, and that its producers write to this topic.",
  };
}

function upToDate({ rates, lastMinute, latencyMs, partitions, gaps, money }: Situation): Verdict {
  const { consumed, refused } = lastMinute;
  const pace = partitions === 0
    ? "Other instances read all partitions; this one is on standby."
    : rates.consumed < 0.05
    ? "No events are arriving."
    : `${withCommas(rates.consumed)} records/s${latencyText(latencyMs)}`;
  if (gaps > 0) {
    return {
      level: "attention",
      title: `Up to date, but ${gaps === 1 ? "1 record was" : `${withCommas(gaps)} records were`} deleted unread`,
      detail: `Kafka's retention deleted them before they were read, so they are in no table. ${pace}`,
      advice: "Keep records for longer (retention.ms). `clickstream gaps list` lists them; " +
        "`clickstream gaps acknowledge` clears this message.",
    };
  }
  if (refused < SOME_REFUSED || refused / consumed <= MANY_REFUSED) {
    if (money === null) return { level: "good", title: "Up to date", detail: pace, advice: null };
    const { title, detail, advice } = money;
    const but = `${title.charAt(0).toLowerCase()}${title.slice(1)}`;
    return { level: "attention", title: `Up to date, but ${but}`, detail: `${detail} ${pace}`, advice };
  }
  return {
    level: "attention",
    title: `Up to date, but ${percent(refused / consumed)} of the last minute's records were refused`,
    detail: `${withCommas(refused)} of ${withCommas(consumed)} records were refused. ${pace}`,
    advice: "See the refusals below, and tell the team that sends them. Refused records are kept byte for byte.",
  };
}

/** The latency; for a backlog, its age instead, which says nothing about the events that arrive now. */
function latencyText(latencyMs: number | null): string {
  if (latencyMs === null) return ".";
  return latencyMs > BACKLOG_MS
    ? `. The last commit finished a backlog of ${duration(latencyMs)}.`
    : `, committed ${duration(latencyMs)} after they were sent.`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

function counted(records: number): string {
  return records === 1 ? "1 record" : `${withCommas(records)} records`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}

/** A duration, rounded for people. */
function duration(ms: number): string {
  if (ms < 950) return `${(Math.max(ms, 50) / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 120 * 60_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 48 * 3_600_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} days`;
}
