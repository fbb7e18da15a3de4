/**
 * A file of events, into Kafka.
 * @module
 */
import { type KafkaSettings, produce } from "../../generator/kafka.ts";
import { type Line, readLines } from "../../generator/ndjson.ts";
import { EXIT } from "./exit.ts";
import { type Output, Progress, withCommas } from "./progress.ts";

/** What to send. */
export interface ProduceOptions {
  /** A file with one JSON object a line; `-` is standard input. */
  readonly file: string;
  /** The result is one line of JSON. */
  readonly json?: boolean | undefined;
}

/** Sends each line of a file as it is, and says how many; returns the exit code. */
export async function produceFile(
  { file, json = false }: ProduceOptions,
  settings: KafkaSettings,
  output: Output,
): Promise<number> {
  const progress = new Progress(output);
  const name = file === "-" ? "standard input" : file;
  let withoutKey = 0;
  const stream = await open(file);
  async function* lines(): AsyncGenerator<Line, void, void> {
    for await (const line of readLines(stream)) {
      if (line.key === null) withoutKey++;
      yield line;
    }
  }
  const { sent, created } = await produce(lines(), settings, (count) => progress.at(count))
    .finally(() => stream.locked ? undefined : stream.cancel());
  if (created) output.writeError(`created topic ${settings.topic} with ${settings.partitions} partitions\n`);
  if (json) output.print(JSON.stringify({ sent, withoutKey }));
  else {
    output.print(`sent ${withCommas(sent)} lines of ${name} to topic ${settings.topic}`);
    if (withoutKey > 0) {
      output.print(
        `${withCommas(withoutKey)} of them can't be ${withoutKey === 1 ? "an event" : "events"}, for want of a userId`,
      );
    }
  }
  return EXIT.done;
}

async function open(file: string): Promise<ReadableStream<Uint8Array>> {
  if (file === "-") return Deno.stdin.readable;
  try {
    return (await Deno.open(file)).readable;
  } catch (error) {
    throw new Error(
      `can't read ${file}: ${error instanceof Error ? error.message : error}; name a file, or - for standard input`,
    );
  }
}
