/**
 * Which stage of the pipeline is at fault, so that the status page can mark it.
 * @module
 */
import type { NotReady, NotReadyKind } from "../pipeline/causes.ts";
import type { TopicChange } from "../pipeline/source.ts";
import type { Stage } from "./history.ts";
import type { Stall, StallKind } from "./stall.ts";

/** What is wrong at a stage. */
export interface StageFault {
  readonly level: "broken" | "behind" | "starting";
  /** In a few words, to be read after the stage's name. */
  readonly text: string;
}

/** The facts that decide which stages are at fault. */
export interface FaultFacts {
  readonly stopping: boolean;
  /** How the topic differs from the one that the tables follow; null if it does not. */
  readonly topicChange: TopicChange | null;
  /** Why workers have stopped, and why the status page cannot query PostgreSQL. */
  readonly reasons: readonly NotReady[];
  /** The stalls of running workers. */
  readonly stalls: readonly Stall[];
  /** The busiest stage, if the service is behind and not catching up; otherwise null. */
  readonly bottleneck: Stage["name"] | null;
}

/** Faults by the name of their stage. */
export type StageFaults = ReadonlyMap<Stage["name"], StageFault>;

type Places = readonly (readonly [stage: Stage["name"], fault: StageFault])[];

const broken = (stage: Stage["name"], text: string): Places => [[stage, { level: "broken", text }]];
const starting = (stage: Stage["name"], text: string): Places => [[stage, { level: "starting", text }]];

/** Where each kind of failure is. */
const FAILURES: { readonly [kind in NotReadyKind]: Places } = {
  starting: [...starting("Kafka", "connecting"), ...starting("PostgreSQL", "connecting")],
  rebalancing: starting("Kafka", "rebalancing"),
  conflict: [],
  postgres_unreachable: broken("PostgreSQL", "can't be reached"),
  postgres_refuses: broken("PostgreSQL", "refuses the commits"),
  kafka_unreachable: broken("Kafka", "can't be reached"),
  no_topic: broken("Kafka", "has no such topic"),
  foreign_group_member: broken("Kafka", "another program is in the group"),
  topic_changed: [],
  internal: [],
};

/** Where each kind of stall is. */
const STALLED: { readonly [kind in StallKind]: Places } = {
  rebalancing: broken("Kafka", "still rebalancing"),
  leader_silent: broken("Kafka", "does not answer"),
  open_transaction: broken("Kafka", "an open transaction"),
  not_read: broken("Kafka", "nothing is read"),
  not_committed: broken("PostgreSQL", "does not answer a commit"),
  worker_silent: [],
};

const TOPIC_CHANGES: { readonly [kind in TopicChange["kind"]]: Places } = {
  recreated: broken("Kafka", "the topic was recreated"),
  truncated: broken("Kafka", "the log was truncated"),
};

/** The stages at fault; of several faults of a stage, the most severe. */
export function stageFaults({ stopping, topicChange, reasons, stalls, bottleneck }: FaultFacts): StageFaults {
  const places: Places = stopping ? [] : [
    ...(topicChange === null ? [] : TOPIC_CHANGES[topicChange.kind]),
    ...reasons.flatMap(({ kind }) => FAILURES[kind]),
    ...stalls.flatMap(({ kind }) => STALLED[kind]),
    ...(bottleneck === null ? [] : [[bottleneck, { level: "behind", text: "the bottleneck" }] as const]),
  ];
  const faults = new Map<Stage["name"], StageFault>();
  for (const [stage, fault] of places) {
    const known = faults.get(stage);
    if (known === undefined || (known.level !== "broken" && fault.level === "broken")) faults.set(stage, fault);
  }
  return faults;
}
