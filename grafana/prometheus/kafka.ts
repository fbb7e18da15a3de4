/**
 * Rules for the JMX exporter's agent: they select some of a Kafka broker's thousands of values, and name them by
 * Prometheus' conventions.
 * @module
 */

/** A rule of the agent: the beans and attributes that it matches, and the resulting metric. */
export interface BrokerRule {
  readonly pattern: string;
  readonly name: string;
  readonly type: "GAUGE" | "COUNTER";
  readonly help: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly valueFactor?: number;
}

/** The beans to read. */
export const BROKER_BEANS: readonly string[] = [
  "kafka.controller:type=KafkaController,name=OfflinePartitionsCount",
  "kafka.controller:type=KafkaController,name=ActiveControllerCount",
  "kafka.log:type=Log,name=LogEndOffset,*",
  "kafka.log:type=Log,name=LogStartOffset,*",
  "kafka.log:type=Log,name=Size,*",
  "kafka.network:type=RequestMetrics,name=TotalTimeMs,*",
  "kafka.server:type=BrokerTopicMetrics,topic=*,*",
  "kafka.server:type=KafkaRequestHandlerPool,name=RequestHandlerAvgIdlePercent",
  "kafka.server:type=ReplicaManager,name=UnderReplicatedPartitions",
];

/** All rules. The first match counts; values without a match are left out. */
export const BROKER_RULES: readonly BrokerRule[] = [
  {
    pattern: "kafka.controller<type=KafkaController, name=(OfflinePartitions|ActiveController)Count><>Value",
    name: "kafka_controller_kafkacontroller_$1count",
    type: "GAUGE",
    help: "Partitions without a leader; active controllers, which is one in a cluster.",
  },
  {
    pattern: "kafka.log<type=Log, name=(LogEndOffset|LogStartOffset), topic=(.+), partition=(\\d+)><>Value",
    name: "kafka_log_log_$1",
    type: "GAUGE",
    help: "Offset of the first record of a partition, and of the next one.",
    labels: { topic: "$2", partition: "$3" },
  },
  {
    pattern: "kafka.log<type=Log, name=Size, topic=(.+), partition=(\\d+)><>Value",
    name: "kafka_log_log_size_bytes",
    type: "GAUGE",
    help: "Size of a partition on this broker's disk.",
    labels: { topic: "$1", partition: "$2" },
  },
  {
    pattern: "kafka.network<type=RequestMetrics, name=TotalTimeMs, request=(Produce|FetchConsumer)><>99thPercentile",
    name: "kafka_network_requestmetrics_p99_seconds",
    type: "GAUGE",
    help: "p99 of the duration of requests.",
    labels: { request: "$1" },
    valueFactor: 0.001,
  },
  {
    pattern: "kafka.server<type=BrokerTopicMetrics, name=(MessagesIn|BytesIn|BytesOut)PerSec, topic=(.+)><>Count",
    name: "kafka_server_brokertopicmetrics_$1_total",
    type: "COUNTER",
    help: "Records and bytes of a topic into this broker, and bytes out of it.",
    labels: { topic: "$2" },
  },
  {
    pattern: "kafka.server<type=KafkaRequestHandlerPool, name=RequestHandlerAvgIdlePercent><>OneMinuteRate",
    name: "kafka_server_requesthandler_idle_ratio",
    type: "GAUGE",
    help: "Share of time that the broker's request handlers are idle.",
  },
  {
    pattern: "kafka.server<type=ReplicaManager, name=UnderReplicatedPartitions><>Value",
    name: "kafka_server_replicamanager_underreplicatedpartitions",
    type: "GAUGE",
    help: "Partitions with fewer in-sync replicas than configured.",
  },
];

/** The metric names that a rule produces, one for each word that its pattern allows. */
export function namesOf({ name, pattern }: BrokerRule): readonly string[] {
  const words = /name=\(([^)]+)\)/.exec(pattern)?.[1]?.split("|") ?? [];
  return name.includes("$1") ? words.map((word) => name.replace("$1", word.toLowerCase())) : [name];
}
