/**
 * Kinds of shoppers.
 * @module
 */

/** What a kind of shopper tends to do. Shares and chances are from 0 to 1. */
export interface Habit {
  readonly name: string;
  /** Share of all shoppers. */
  readonly share: number;
  /** Chance to come back the day after the first visit; later it is less. */
  readonly returns: number;
  /** Chance to leave at once. */
  readonly bounces: number;
  /** Chance to put a product that is looked at into the cart. */
  readonly carts: number;
  /** Chance to go on from the cart to the checkout, and to pay there. */
  readonly pays: number;
  /** Chance that a campaign brought them. */
  readonly lured: number;
}

/** All kinds; their shares add up to 1. */
export const HABITS: readonly Habit[] = [
  { name: "regular", share: 0.22, returns: 0.45, bounces: 0.2, carts: 0.13, pays: 0.75, lured: 0.05 },
  { name: "bargain hunter", share: 0.18, returns: 0.25, bounces: 0.3, carts: 0.2, pays: 0.45, lured: 0.5 },
  { name: "window shopper", share: 0.35, returns: 0.2, bounces: 0.28, carts: 0.03, pays: 0.35, lured: 0.08 },
  { name: "passer-by", share: 0.25, returns: 0.05, bounces: 0.65, carts: 0.04, pays: 0.5, lured: 0.12 },
];
