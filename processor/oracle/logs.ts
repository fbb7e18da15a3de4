import type { OracleLog } from "./oracle.ts";

/** The default Kafka timestamp of test records, in epoch milliseconds: 2026-03-02 01:00 UTC. */
export const KAFKA_MS = Date.UTC(2026, 2, 2, 1);

/** A minute in milliseconds. */
export const MINUTE_MS = 60_000;

/** A record: its Kafka timestamp in epoch milliseconds, and the fields of its JSON object. */
export interface Sent {
  readonly time: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A log of the topic `t` with these records in its partitions. */
export function logOf(partitions: readonly (readonly Sent[])[]): OracleLog {
  const encoder = new TextEncoder();
  return {
    topic: "t",
    partitions: partitions.map((records) =>
      records.map(({ time, fields }, offset) => ({
        offset,
        time,
        value: encoder.encode(JSON.stringify(fields)),
      }))
    ),
  };
}

/** A log of one partition with these objects, all with one Kafka timestamp. */
export function fromJson(objects: readonly Readonly<Record<string, unknown>>[], time: number = KAFKA_MS): OracleLog {
  return logOf([objects.map((fields) => ({ time, fields }))]);
}

/** A click: user, time of day on 2026-03-01 (24:00 and later is the next day), event type, page, other fields. */
export type Click = readonly [string, string, string, string, Readonly<Record<string, unknown>>?];

/** A log of one partition with these clicks; their ids are `e0`, `e1` and so on. */
export function clicks(rows: readonly Click[]): OracleLog {
  return fromJson(rows.map(([userId, at, eventType, page, more], index) => {
    const [hours, minutes, seconds] = at.split(":").map(Number);
    const timestamp = Math.round(Date.UTC(2026, 2, 1) + ((hours! * 60 + minutes!) * 60 + (seconds ?? 0)) * 1_000);
    return { eventId: `e${index}`, userId, eventType, timestamp, page, ...more };
  }));
}
