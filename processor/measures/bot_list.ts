/**
 * The list of bots: user agents of robots, kept by the package `isbot` as one regular expression.
 * @module
 */
import { getPattern, isbot } from "isbot";
import about from "isbot/package.json" with { type: "json" };

/** Version of the list. Another version may mark other events, from the release that brings it on. */
export const BOT_LIST_VERSION: string = about.version;

/** The list as a regular expression, to be matched anywhere in a user agent, in upper or lower case. */
export const BOT_PATTERN: string = getPattern().source;

/** Most characters of user agents that are remembered from one commit to the next: some 10,000 of usual length. */
const MOST_CHARACTERS = 1_000_000;

/**
 * Tells by a user agent whether it is on the list. The expression takes 2 to 80 µs, so each distinct user agent is looked
 * at once, until too many are known.
 */
export class BotList {
  readonly #known = new Map<string, boolean>();
  #characters = 0;

  /** Whether a user agent is on the list. */
  has(userAgent: string): boolean {
    const known = this.#known.get(userAgent);
    if (known !== undefined) return known;
    if (this.#characters > MOST_CHARACTERS) this.#forget();
    this.#characters += userAgent.length;
    const isListed = isbot(userAgent);
    this.#known.set(userAgent, isListed);
    return isListed;
  }

  #forget(): void {
    this.#known.clear();
    this.#characters = 0;
  }
}
