/**
 * Follows PostgreSQL's protocol just enough to know the commits and the rows of a COPY.
 * @module
 */
import type { Ending, Verdict, Watch } from "./proxy.ts";
import type { Random } from "../../generator/random.ts";

/** A message, and where it begins in the data that made it known. */
export interface Message {
  /** Its type, one character; empty for the first message of a client. */
  readonly type: string;
  /** Beginning of its text, at most `HEAD_BYTES`. */
  readonly head: string;
  /** Bytes of the data up to and including `head`. */
  readonly at: number;
}

const HEAD_BYTES = 8;
const LENGTH_BYTES = 4;

/** Splits a stream into messages. */
export class MessageReader {
  #hasType: boolean;
  #header: number[] = [];
  /** Bytes of the message after its header; -1 while the header is read. */
  #left = -1;
  #head = "";
  #isTold = true;

  /** @param hasTypes false for the bytes from a client, whose first message has no type */
  constructor(hasTypes: boolean) {
    this.#hasType = hasTypes;
  }

  /** The messages whose beginning is known with this data. */
  *read(data: Uint8Array): Generator<Message, void, void> {
    for (let at = 0; at < data.length;) {
      if (this.#left < 0) {
        this.#header.push(data[at++]!);
        if (this.#header.length === LENGTH_BYTES + (this.#hasType ? 1 : 0)) this.#begin();
      } else if (this.#isTold) {
        const taken = Math.min(this.#left, data.length - at);
        at += taken;
        this.#left -= taken;
      } else {
        this.#head += String.fromCharCode(data[at++]!);
        this.#left--;
      }
      if (!this.#isTold && (this.#left === 0 || this.#head.length === HEAD_BYTES)) {
        this.#isTold = true;
        const type = this.#hasType ? String.fromCharCode(this.#header[0]!) : "";
        yield { type, head: this.#head, at };
      }
      if (this.#left === 0) {
        this.#left = -1;
        this.#header = [];
        this.#hasType = true;
      }
    }
  }

  #begin(): void {
    const [a, b, c, d] = this.#header.slice(-LENGTH_BYTES);
    this.#left = (a! << 24 | b! << 16 | c! << 8 | d!) - LENGTH_BYTES;
    this.#head = "";
    this.#isTold = false;
  }
}

/** What was done to commits and rows. */
export interface Struck {
  /** Commits that took place, but whose reply the client never got. */
  swallowed: number;
  /** Commits that never reached the server. */
  unsent: number;
  /** COPYs that ended in the middle of their rows. */
  cut: number;
}

/** The faults to come, shared by all connections of a proxy. */
export class PostgresFaults {
  /** Numbers of commits and COPYs that are still to be struck. */
  readonly pending: Struck = { swallowed: 0, unsent: 0, cut: 0 };
  readonly struck: Struck = { swallowed: 0, unsent: 0, cut: 0 };
  /** How struck connections end. */
  ending: Ending = "reset";
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Plans faults, in addition to those that are pending. */
  plan(kind: keyof Struck, count: number): void {
    this.pending[kind] += count;
  }

  /** Drops what is still pending. */
  clear(): void {
    Object.assign(this.pending, { swallowed: 0, unsent: 0, cut: 0 });
  }

  /** Takes one of the planned faults. */
  take(kind: keyof Struck): boolean {
    if (this.pending[kind] === 0) return false;
    this.pending[kind]--;
    return true;
  }

  /** Looks at one connection. */
  watch(): Watch {
    const [asked, answered] = [new MessageReader(false), new MessageReader(true)];
    let isDoomed = false;
    return {
      fromClient: (data) => {
        const verdict = { bytes: data.length, then: null };
        for (const { type, head, at } of asked.read(data)) {
          if (type === "d" && this.take("cut")) return this.#strike("cut", this.#within(at, data));
          if (type !== "Q" || head !== "commit\0") continue;
          if (this.take("unsent")) return this.#strike("unsent", 0);
          isDoomed ||= this.take("swallowed");
        }
        return verdict;
      },
      fromServer: (data) => {
        for (const { type, head } of answered.read(data)) {
          if (isDoomed && type === "C" && head.startsWith("COMMIT\0")) return this.#strike("swallowed", 0);
        }
        return { bytes: data.length, then: null };
      },
    };
  }

  /** A place after the head of a message, but before the end of the data. */
  #within(at: number, data: Uint8Array): number {
    return Math.max(0, at - 1 + this.#random.below(Math.max(1, data.length - at)));
  }

  #strike(kind: keyof Struck, bytes: number): Verdict {
    this.struck[kind]++;
    return { bytes, then: this.ending };
  }
}
