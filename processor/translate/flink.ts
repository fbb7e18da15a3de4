/**
 * Translates the views to one job in Flink SQL, from the topic to the same tables.
 * @module
 */
import type { View } from "../views/view.ts";
import { type Bounds, clicksTable, type Connector, eventsView } from "./flink_events.ts";
import { insertOf, type QueryOptions, sinkTable } from "./flink_view.ts";
import { quoted, SCHEMA } from "./table.ts";

/** What a job needs besides its views. */
export interface FlinkJob extends Bounds, QueryOptions {
  readonly views: readonly View[];
  /** What PostgreSQL must run once, line by line, so that Flink can find rows; may be empty. */
  readonly preparation: readonly string[];
  /** Where the events come from: options of the connector `kafka`. */
  readonly kafka: Connector;
  /** Where rows go: options of the connector `jdbc`. */
  readonly database: Connector;
  /** Time within which a repeated id is a duplicate, in milliseconds. */
  readonly repeatMs: number;
  /** How long a partition may be idle before it no longer holds windows back, in milliseconds. */
  readonly idleMs: number;
}

const HEAD = `
The views of clickstream as a job of Flink SQL 2.x, for more than one PostgreSQL can merge. Needs the connectors kafka
and jdbc, PostgreSQL's driver, and a Java machine in UTC (env.java.opts.all: -Duser.timezone=UTC), since jdbc writes
times in its zone. Put the password where it says <password>.

It writes into the tables that "clickstream migrate" makes. Never let "clickstream run" write into the same tables:
the processor could not merge with these rows, which come without what it keeps to tell users apart.`;

const DIFFERENT = `
What Flink does otherwise than the processor:
- A window is written once, when the watermark has passed its end; an event that comes later still is left out of it.
  A session is written when it is over. Only views by day go on counting.
- What can't be an event is left out and leaves no row in refusals. Text is taken for a number and a number for text,
  lengths count code points, and no check is made of the other fields.
- No raw events are stored and no progress: nothing says which windows are final, and heatmap and retention count what
  the tables have.
- Repetitions within {repeat} are told by the job's clock: one that reads a backlog leaves out more of them.
- After a failure it goes on from its last checkpoint and writes rows anew. An upsert makes that harmless, but for a
  moment older rows may stand there; tables and offsets are not one transaction. Without a checkpoint it begins where
  the consumer group was, with empty windows, and overwrites those that were half counted.
- Bots are told by the same list; Java may take a user agent with letters outside ASCII for something else. user_days are
  never a bot's, so new_users and retention count bots, too.
- Sessions have no source, medium and campaign: campaigns counts them as (not set).
- Of declared funnels, only those whose steps are one event type each are counted; the columns of others stay 0.
- No purchase is converted. With CURRENCY, purchases in other currencies add 0 to revenue and count as unconverted, since
  the job does not read the table rates. Without it, revenue adds up prices in hundredths, as the processor does.
- Distinct users are counted exactly, with all of a window's users in its state.`;

/** The job as text that sql-client runs with -f. */
export function flinkJob(job: FlinkJob): string {
  const prepare = job.preparation.length === 0
    ? ""
    : `\nOnce, in PostgreSQL, as the owner of schema ${SCHEMA}:\n\n${
      job.preparation.map((line) => `    ${line}`).join("\n")
    }\n\nA page, product or campaign of more bytes than an index holds is left out of views by it.`;
  return [
    commented(`${HEAD.trim()}\n${prepare}\n${DIFFERENT.replace("{repeat}", duration(job.repeatMs))}`),
    settings(job),
    clicksTable(job.kafka, job),
    eventsView(job),
    ...job.views.map((view) => sinkTable(view, job.database)),
    `EXECUTE STATEMENT SET\nBEGIN\n\n${job.views.map((view) => insertOf(view, job)).join("\n\n")}\n\nEND;`,
  ].join("\n\n") + "\n";
}

function settings({ repeatMs, idleMs }: FlinkJob): string {
  return Object.entries({
    "pipeline.name": "clickstream",
    // Otherwise each view would parse every message and find duplicates by itself.
    "table.optimizer.reuse-optimize-block-with-digest-enabled": "true",
    "table.local-time-zone": "UTC",
    "table.exec.source.idle-timeout": duration(idleMs),
    "table.exec.state.ttl": duration(repeatMs),
    "execution.checkpointing.interval": "10 s",
  }).map(([key, value]) => `SET ${quoted(key)} = ${quoted(value)};`).join("\n");
}

function duration(ms: number): string {
  return ms % 60_000 === 0 ? `${ms / 60_000} min` : `${ms} ms`;
}

function commented(text: string): string {
  return text.split("\n").map((line) => `-- ${line}`.trimEnd()).join("\n");
}
