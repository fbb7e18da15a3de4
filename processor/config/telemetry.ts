/**
 * Settings of telemetry, by the names and meanings that OpenTelemetry gives them. Nothing is sent unless
 * `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
 * @module
 */
import { z } from "zod";
import { certificates } from "./files.ts";
import { flag, oneOf, parsed, text, wholeNumber } from "./schemas.ts";
import { Secret } from "./secret.ts";

/** Headers that the request itself decides. */
const OWN_HEADERS = /^(host|connection|content-(type|length|encoding)|transfer-encoding|user-agent)$/i;

/** The settings, in the order in which they are shown. */
export const TELEMETRY = {
  OTEL_SDK_DISABLED: {
    schema: flag(),
    default: "false",
    allowed: "true or false",
    about: "send no telemetry, whatever the other settings of OpenTelemetry are",
  },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    schema: parsed(endpoint),
    default: null,
    allowed: "http://host:port or https://host:port, with or without a path; /v1/traces and /v1/metrics are added",
    about: "OpenTelemetry collector that receives traces and metrics by OTLP; without it, no telemetry is sent",
  },
  OTEL_EXPORTER_OTLP_PROTOCOL: {
    schema: oneOf("http/protobuf", "http/json"),
    default: "http/protobuf",
    allowed: "http/protobuf or http/json",
    about: "encoding of what is sent to the collector",
  },
  OTEL_EXPORTER_OTLP_HEADERS: {
    schema: parsed((value) => {
      headersOf(value);
      return new Secret(value);
    }),
    default: null,
    allowed: "name=value, several separated by commas (in a value, percent-encode , and %)",
    about: "headers of each request to the collector, such as a login",
    secret: true,
  },
  OTEL_EXPORTER_OTLP_CERTIFICATE: {
    schema: parsed(certificates),
    default: null,
    allowed: "a readable PEM file, or 'public' for the well-known authorities",
    about: "certificate authorities of the collector, besides the well-known ones",
  },
  OTEL_EXPORTER_OTLP_COMPRESSION: {
    schema: oneOf("none", "gzip"),
    default: "none",
    allowed: "none or gzip",
    about: "compression of what is sent to the collector",
  },
  OTEL_EXPORTER_OTLP_TIMEOUT: {
    schema: wholeNumber(100, 60_000),
    default: "10000",
    allowed: "a whole number from 100 to 60000",
    about: "longest time that one request to the collector may take, in milliseconds",
  },
  OTEL_SERVICE_NAME: {
    schema: text(/^\P{Cc}{1,255}$/u),
    default: null,
    allowed: "1 to 255 characters",
    about: "service.name of traces and metrics (default: that of OTEL_RESOURCE_ATTRIBUTES, otherwise clickstream)",
  },
  OTEL_RESOURCE_ATTRIBUTES: {
    schema: parsed((value) => {
      pairsOf(value);
      return value;
    }),
    default: null,
    allowed: "name=value, several separated by commas (in a value, percent-encode , and %)",
    about: "further attributes of the service, such as deployment.environment.name=production",
  },
  OTEL_TRACES_EXPORTER: {
    schema: oneOf("otlp", "none"),
    default: "otlp",
    allowed: "otlp or none",
    about: "whether traces are sent: one for each commit",
  },
  OTEL_METRICS_EXPORTER: {
    schema: oneOf("otlp", "none"),
    default: "otlp",
    allowed: "otlp or none",
    about: "whether metrics are sent: the same as at /metrics",
  },
  OTEL_METRIC_EXPORT_INTERVAL: {
    schema: wholeNumber(1000, 3_600_000),
    default: "60000",
    allowed: "a whole number from 1000 to 3600000",
    about: "time between two reports of the metrics, in milliseconds",
  },
  OTEL_TRACES_SAMPLER: {
    schema: oneOf(
      ...["always_on", "always_off", "traceidratio"] as const,
      ...["parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"] as const,
    ),
    default: "parentbased_always_on",
    allowed: "always_on, always_off, traceidratio, or one of these after parentbased_, which means the same here",
    about: "which commits are traced",
  },
  OTEL_TRACES_SAMPLER_ARG: {
    schema: text(/^(0(\.\d{1,15})?|1(\.0{1,15})?|\.\d{1,15})$/).transform(Number).pipe(z.number().min(0).max(1)),
    default: null,
    allowed: "a number from 0 to 1",
    about: "fraction of commits that are traced, with the sampler traceidratio (default: 1)",
  },
  OTEL_SPAN_LINK_COUNT_LIMIT: {
    schema: wholeNumber(0, 1024),
    default: "128",
    allowed: "a whole number from 0 to 1024",
    about: "most records of a commit whose trace (header traceparent) is linked; 0 reads no headers",
  },
} as const;

/**
 * The parts of `name=value,name=value`, with values as they were before they were percent-encoded.
 *
 * @throws {RangeError} if the text is not of that form; the message has no part of it
 */
export function pairsOf(value: string): (readonly [name: string, value: string])[] {
  return value.split(",").filter((part) => part.trim() !== "").map((part, n) => {
    const at = part.indexOf("=");
    const name = part.slice(0, Math.max(0, at)).trim();
    if (!/^[!-~]{1,255}$/.test(name)) throw new RangeError(`part ${n + 1} is not name=value`);
    try {
      return [name, decodeURIComponent(part.slice(at + 1).trim())];
    } catch {
      throw new RangeError(`the value of part ${n + 1} is not percent-encoded`);
    }
  });
}

/**
 * The headers of `OTEL_EXPORTER_OTLP_HEADERS`.
 *
 * @throws {RangeError} if one cannot be a header of ours; the message has no value
 */
export function headersOf(value: string): (readonly [name: string, value: string])[] {
  return pairsOf(value).map(([name, content], n) => {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) throw new RangeError(`the name of part ${n + 1} cannot be a header's`);
    if (OWN_HEADERS.test(name)) throw new RangeError(`part ${n + 1} would change a header that the request decides`);
    if (!/^[\t -~]*$/.test(content)) throw new RangeError(`the value of part ${n + 1} has characters not allowed`);
    return [name, content];
  });
}

/** The address without a slash at its end. */
function endpoint(value: string): string {
  const url = URL.parse(value);
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === "") {
    throw new RangeError("it is not the address of a collector");
  }
  if (url.username !== "" || url.password !== "") {
    throw new RangeError("a login belongs into OTEL_EXPORTER_OTLP_HEADERS");
  }
  if (/[?#]/.test(value)) throw new RangeError("it has parameters");
  return url.href.replace(/\/+$/, "");
}
