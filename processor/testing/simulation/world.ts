/**
 * Time, chance and everything that waits. What waits goes on in random order, so that replies are delayed and overtake
 * each other. Each kind of mishap has randomness of its own: leaving one out changes as little as possible of the rest.
 * Nothing waits for a timer, so two runs of a variant are identical in every step.
 * @module
 */
import { hash, Random } from "../../../generator/random.ts";
import type { Variant } from "./variant.ts";

/** Who waits: what a crashed owner waits for is dropped, and what a frozen one waits for has to wait. */
export interface Owner {
  readonly name: string;
  readonly isAlive: boolean;
  readonly isFrozen: boolean;
}

/** Number of occurrences by name. */
export type Counts = Record<string, number>;

/** An operation that waits for its turn, or for a time. */
interface Waiting {
  readonly owner: Owner | null;
  readonly atMs: number;
  readonly go: () => void;
  isOver: boolean;
}

/** The randomness of a kind of mishap. */
interface Chance {
  readonly random: Random;
  /** How much more often it happens in this world than usual; 0 is never. */
  readonly factor: number;
  draws: number;
}

/** Usual factors: a kind that never happens in this world makes room for others. */
const FACTORS = [0, 0, 0.5, 1, 1, 2, 4];

/** Longest time between two turns, in milliseconds. */
const LONGEST_TURN_MS = 60;

/** Microtasks that an operation has to run as far as it can. */
const HOPS = 24;

/** What is awaited for a microtask: `await null` would make a promise each time. */
const NOW = Promise.resolve();

/** The waiting operations, and the random choice between them. */
export class World {
  /** Decides the order of turns. */
  readonly #order: Random;
  readonly #variant: Variant;
  readonly #only: ReadonlySet<string> | null;
  readonly #chances = new Map<string, Chance>();
  readonly #waiting: Waiting[] = [];
  readonly counts: Counts = {};
  /** The mishaps that happened, in the form of `Variant.only`. */
  readonly happened: string[] = [];
  /** From now on nothing fails. */
  isCalm = false;
  nowMs = 0;
  turns = 0;
  /** Receives what happens, in words; null if nobody wants to know. */
  readonly #trace: string[] | null;

  constructor(variant: Variant, trace: string[] | null = null) {
    this.#variant = variant;
    this.#only = variant.only === null ? null : new Set(variant.only);
    this.#order = new Random(variant.seed);
    this.#trace = trace;
  }

  /** Randomness for a purpose. */
  randomFor(purpose: string): Random {
    return new Random(this.#variant.seed, hashOf(purpose));
  }

  /** Counts an occurrence. */
  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  /** Notes what happens for the trace. */
  note(what: () => string): void {
    this.#trace?.push(`${String(this.turns).padStart(5)} ${String(Math.round(this.nowMs)).padStart(7)} ms  ${what()}`);
  }

  /**
   * Whether a mishap happens, with probability `p` in the usual world; returns randomness for its details, or null.
   * None happens in a calm world.
   *
   * @param isEverywhere whether it may happen in each world
   */
  mishap(p: number, what: string, isEverywhere = false): Random | null {
    const chance = this.#chanceOf(what, isEverywhere);
    const draw = chance.draws++;
    const hits = chance.random.chance(p * chance.factor);
    if (!hits || this.isCalm || this.turns > this.#variant.calmAfter) return null;
    const id = `${what}#${draw}`;
    if (this.#only?.has(id) === false) return null;
    this.happened.push(id);
    this.count(what);
    this.note(() => `! ${what}`);
    return new Random(this.#variant.seed, hashOf(what), draw);
  }

  /** Resolves when it is this owner's turn; never if it has crashed. */
  turn(owner: Owner | null): Promise<void> {
    return new Promise((go) => void this.#wait(owner, 0, go));
  }

  /** Resolves after `ms`. */
  pause(owner: Owner | null, ms: number): Promise<void> {
    return new Promise((resolve) => void this.#wait(owner, this.nowMs + ms, resolve));
  }

  /** Calls `body` after `ms`, unless the function that it returns is called before. */
  after(owner: Owner | null, ms: number, body: () => void): () => void {
    const waiting = this.#wait(owner, this.nowMs + ms, body);
    return () => void (waiting.isOver = true);
  }

  /** Lets a random waiting operation continue, if there is one. */
  async next(): Promise<void> {
    const index = this.#pick();
    this.turns++;
    this.nowMs += this.#order.below(LONGEST_TURN_MS);
    if (index >= 0) {
      const [chosen] = this.#waiting.splice(index, 1);
      if (index > 0) this.count("reply overtaken");
      chosen!.go();
    }
    for (let hop = 0; hop < HOPS; hop++) await NOW;
  }

  #wait(owner: Owner | null, atMs: number, go: () => void): Waiting {
    const waiting = { owner, atMs, go, isOver: owner?.isAlive === false };
    if (!waiting.isOver) this.#waiting.push(waiting);
    return waiting;
  }

  /** The index of a random operation that can continue; moves time on to the next timer if there is none. */
  #pick(): number {
    const all = this.#waiting;
    for (let i = all.length - 1; i >= 0; i--) {
      if (all[i]!.isOver || all[i]!.owner?.isAlive === false) all.splice(i, 1);
    }
    const from = this.#order.below(Math.max(1, all.length));
    let soonest = -1;
    for (let n = 0; n < all.length; n++) {
      const i = (from + n) % all.length;
      const { owner, atMs } = all[i]!;
      if (owner?.isFrozen === true) continue;
      if (atMs <= this.nowMs) return i;
      if (soonest < 0 || atMs < all[soonest]!.atMs) soonest = i;
    }
    if (soonest >= 0) this.nowMs = all[soonest]!.atMs;
    return soonest;
  }

  #chanceOf(what: string, isEverywhere: boolean): Chance {
    const known = this.#chances.get(what);
    if (known !== undefined) return known;
    const random = new Random(this.#variant.seed, hashOf(what));
    const factor = random.pick(FACTORS);
    const chance = { random, factor: isEverywhere ? Math.max(1, factor) : factor, draws: 0 };
    this.#chances.set(what, chance);
    return chance;
  }
}

const hashes = new Map<string, number>();

/** A number that stands for a text. */
function hashOf(text: string): number {
  const known = hashes.get(text);
  if (known !== undefined) return known;
  const made = hash(...Array.from(text, (character) => character.codePointAt(0)!));
  hashes.set(text, made);
  return made;
}
