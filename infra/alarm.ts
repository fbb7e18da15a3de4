/**
 * CloudWatch alarms.
 * @module
 */
import { CloudwatchMetricAlarm, type Construct } from "./aws.ts";

/** A condition on a CloudWatch metric. */
export interface Alarm {
  readonly name: string;
  /** Describes what is wrong and what to do. */
  readonly about: string;
  readonly namespace: string;
  readonly metric: string;
  readonly of: Readonly<Record<string, string>>;
  readonly statistic: "Average" | "Maximum" | "Minimum" | "Sum";
  readonly when: "above" | "below";
  readonly threshold: number;
  /** Consecutive minutes for which the condition must hold. */
  readonly minutes: number;
  /** ARNs to notify. */
  readonly tell: readonly string[];
  /** How missing data counts (default: as no problem). */
  readonly silence?: "breaching";
}

/** Creates an alarm. */
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
    // Whoever is told that it began is told that it is over. What else was started by it has no end.
    okActions: alarm.tell.filter((arn) => !arn.startsWith("arn:aws:automate:")),
    treatMissingData: alarm.silence ?? "notBreaching",
  });
}
