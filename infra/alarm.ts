/**
 * Alarms: what somebody is told of.
 * @module
 */
import { CloudwatchMetricAlarm, type Construct } from "./aws.ts";

/** A condition on a metric of AWS. */
export interface Alarm {
  readonly name: string;
  /** What is wrong, and what to do. */
  readonly about: string;
  readonly namespace: string;
  readonly metric: string;
  readonly of: Readonly<Record<string, string>>;
  readonly statistic: "Average" | "Maximum" | "Minimum" | "Sum";
  readonly when: "above" | "below";
  readonly threshold: number;
  /** Consecutive minutes. */
  readonly minutes: number;
  /** ARNs of who is told. */
  readonly tell: readonly string[];
  /** What no data means: nothing is wrong unless said otherwise. */
  readonly silence?: "breaching";
}

/** Makes the alarm. */
export function alarm(scope: Construct, id: string, alarm: Alarm): void {
  new CloudwatchMetricAlarm(scope, id, {
    alarmName: alarm.name,
    alarmDescription: alarm.about,
    namespace: alarm.namespace,
    metricName: alarm.metric,
    dimensions: { ...alarm.of },
    statistic: alarm.statistic,
    comparisonOperator: alarm.when === "above" ? "GreaterThanThreshold" : "LessThanThreshold",
    threshold: alarm.threshold,
    period: 60,
    evaluationPeriods: alarm.minutes,
    alarmActions: [...alarm.tell],
    treatMissingData: alarm.silence ?? "notBreaching",
  });
}
