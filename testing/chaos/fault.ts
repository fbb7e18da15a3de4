/**
 * What a fault is, and the world that it strikes.
 * @module
 */
import type { Random } from "../../generator/random.ts";
import type { Env } from "../servers/binary.ts";
import type { Cluster } from "./cluster.ts";
import type { Figures } from "./figures.ts";
import type { Load } from "./load.ts";
import type { Pair } from "./pair.ts";
import type { Services } from "./services.ts";

/** Everything that runs during a round. */
export interface World {
  readonly random: Random;
  readonly cluster: Cluster;
  readonly postgres: Pair;
  readonly services: Services;
  readonly load: Load;
  readonly figures: Figures;
  readonly topic: string;
  readonly database: string;
  /** Settings of the owner's commands, which also pass the proxies. */
  readonly owner: Env;
  /** Another build of the service; null if there is none. */
  readonly otherProgram: string | null;
  /** What the faults of this round mean for its judgement. */
  readonly notes: Notes;
  /** Number of records that are committed. */
  consumed(): Promise<number>;
}

/** What the judge has to know of a round. */
export interface Notes {
  /** Users who were forgotten, none of whose events was sent after it. */
  readonly forgotten: Set<string>;
  /** Whether refused records were sent again. */
  replayed: boolean;
  /** Records that a fault has sent itself. */
  sent: number;
}

/** A kind of fault. */
export interface Fault {
  readonly name: string;
  readonly does: string;
  readonly ends: string;
  /** What must hold, besides what every round must: commits go on within `RECOVERS_WITHIN_MS`, every table is exact. */
  readonly judged: string;
  /** How often it is drawn, relative to the others. */
  readonly weight: number;
  /** Why it is not drawn in the same round as faults with the other word: with an older state, a forgotten user is back. */
  readonly excludes?: "forget" | "state goes back";
  /** Whether it is cheap enough for the tests, which have one broker. */
  readonly short?: true;
  /** Whether it can be injected here (default: always). */
  possible?(world: World): boolean;
  /** Injects it; resolves when it has ended. Rejects if the judgement fails. */
  inject(world: World): Promise<void>;
}

/** After a fault, longest time without a commit while records wait; a slow machine is no failure. */
export const RECOVERS_WITHIN_MS = 120_000;
