/**
 * Metrics for Prometheus: a scrape reads the metrics of the process and writes them in Prometheus' text format.
 * @module
 */
import process from "node:process";
import { Counter, Gauge, type Histogram, Registry } from "prom-client";
import type { Activity } from "../status/activity.ts";
import { type HistogramMetric, type Metric, metricsOf, type NumberMetric } from "../status/metrics.ts";
import { countOf, type Distribution } from "../pipeline/distribution.ts";

/** The metrics of one process. */
export class Metrics {
  /** All metrics in the order of the text. */
  readonly all: readonly Metric[];
  readonly #registry = new Registry();

  /** @param activity where the numbers are counted */
  constructor(activity: Activity) {
    this.all = metricsOf(activity, {
      startedAt: Date.now() - performance.now(),
      cpuSeconds() {
        const { user, system } = process.cpuUsage();
        return (user + system) / 1e6;
      },
      residentBytes: () => Deno.memoryUsage().rss,
    });
    for (const metric of this.all) {
      if (metric.type === "histogram") this.#addHistogram(metric);
      else if (metric.type === "counter") this.#addCounter(metric);
      else this.#addGauge(metric);
    }
  }

  /** Media type of `text`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #addCounter({ name, help, label, read }: NumberMetric): void {
    new Counter({
      name,
      help,
      labelNames: label === null ? [] : [label],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [value, count] of read()) this.inc(labelled(label, value), count ?? 0);
      },
    });
  }

  /** A histogram of a distribution that is counted elsewhere; the library's own would need every single value. */
  #addHistogram({ name, help, read }: HistogramMetric): void {
    const type = "histogram";
    const get = () => Promise.resolve({ name, help, type, aggregator: "sum", values: samplesOf(name, read()) });
    this.#registry.registerMetric({ name, help, type, get } as unknown as Histogram);
  }

  #addGauge({ name, help, label, read }: NumberMetric): void {
    new Gauge({
      name,
      help,
      labelNames: label === null ? [] : [label],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [value, number] of read()) {
          if (number === null) this.remove(labelled(label, value));
          else this.set(labelled(label, value), number);
        }
      },
    });
  }
}

/** The samples of a distribution as Prometheus wants them: each bucket counts all values up to its bound. */
function samplesOf(
  name: string,
  of: Distribution,
): { metricName: string; labels: Record<string, string>; value: number }[] {
  let below = 0;
  const buckets = [...of.bounds.map(String), "+Inf"].map((le, n) => {
    below += of.counts[n]!;
    return { metricName: `${name}_bucket`, labels: { le }, value: below };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels: {}, value: of.sum },
    { metricName: `${name}_count`, labels: {}, value: countOf(of) },
  ];
}

function labelled(label: string | null, value: string | null): Record<string, string> {
  return label === null || value === null ? {} : { [label]: value };
}
