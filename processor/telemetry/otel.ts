/**
 * What all telemetry of a process has in common.
 * @module
 */
import type { HrTime } from "@opentelemetry/api";
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import { pairsOf } from "../config/telemetry.ts";
import type { Settings } from "../config/config.ts";
import { VERSION } from "../version.ts";

/** Who made a span or a metric. */
export const SCOPE = { name: "clickstream", version: VERSION };

/** A process as its telemetry describes it. */
export interface About {
  /** Name of the instance, different for each process. */
  readonly instance: string;
  readonly hostname: string;
  readonly pid: number;
}

/** The attributes of a process: ours, then those of `OTEL_RESOURCE_ATTRIBUTES`, then `OTEL_SERVICE_NAME`. */
export function resourceOf(
  { OTEL_SERVICE_NAME: name, OTEL_RESOURCE_ATTRIBUTES: more }:
    & Settings<"OTEL_SERVICE_NAME">
    & Settings<"OTEL_RESOURCE_ATTRIBUTES">,
  { instance, hostname, pid }: About,
): Resource {
  return resourceFromAttributes({
    "service.name": "clickstream",
    "service.version": VERSION,
    "service.instance.id": instance,
    "host.name": hostname,
    "process.pid": pid,
    ...Object.fromEntries(more === null ? [] : pairsOf(more)),
    ...name === null ? {} : { "service.name": name },
  });
}

/** A time or duration in milliseconds as seconds and nanoseconds. */
export function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.min(999_999_999, Math.round((ms - seconds * 1000) * 1e6))];
}
