/**
 * Rounds of chaos for some minutes, on the same servers.
 * @module
 */
import { Random } from "../../generator/random.ts";
import { Cluster } from "./cluster.ts";
import { Figures } from "./figures.ts";
import { Pair } from "./pair.ts";
import { round, type RoundOptions } from "./round.ts";

/** What to run. */
export interface ChaosOptions extends Omit<RoundOptions, "cluster" | "postgres" | "figures" | "folder"> {
  /** The first round's seed; the others follow. */
  readonly seed: number;
  /** Rounds begin for so many minutes. */
  readonly minutes: number;
  readonly brokers: number;
}

/** Servers that fail twice in a row for a round are replaced. */
async function servers(seed: number, brokers: number, folder: string): Promise<[Cluster, Pair, AsyncDisposableStack]> {
  await using resources = new AsyncDisposableStack();
  const cluster = resources.use(await Cluster.start(brokers, folder));
  const pair = resources.use(await Pair.start(new Random(seed)));
  return [cluster, pair, resources.move()];
}

/** Runs rounds; a round that fails is noted in the figures, its logs are kept, and the next one gets new servers. */
export async function chaos(options: ChaosOptions, figures: Figures = new Figures()): Promise<Figures> {
  const { minutes, brokers, say } = options;
  const until = performance.now() + minutes * 60_000;
  for (let seed = options.seed; seed === options.seed || performance.now() < until;) {
    const folder = await Deno.makeTempDir({ prefix: "clickstream-chaos-" });
    const [cluster, postgres, resources] = await servers(seed, brokers, folder);
    await using _ = resources;
    try {
      do {
        say(`round ${seed}`);
        await round({ ...options, seed: seed++, cluster, postgres, figures, folder });
        // Of a run that is killed, this is what is left.
        say(figures.json());
      } while (performance.now() < until);
      await Deno.remove(folder, { recursive: true });
    } catch (error) {
      const failure = `round ${seed - 1}: ${error instanceof Error ? error.message : error}; logs are in ${folder}`;
      figures.failures.push(failure);
      say(failure);
    }
  }
  return figures;
}
