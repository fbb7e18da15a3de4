/**
 * Finds what somebody may have meant.
 * @module
 */

/** Most changes by which a word may differ from what was meant. */
const MOST_CHANGES = 2;

/** The word that differs least from another one, by at most two characters; null if none does. */
export function similarTo(word: string, words: readonly string[]): string | null {
  const [nearest] = words.map((each) => ({ each, changes: changesBetween(word, each) }))
    .filter(({ changes }) => changes > 0 && changes <= MOST_CHANGES)
    .toSorted((a, b) => a.changes - b.changes);
  return nearest?.each ?? null;
}

/** What follows an error about a word that is none of these: the one that may have been meant, and all of them. */
export function suggestion(word: string, words: readonly string[]): string {
  const similar = similarTo(word, words);
  return `${similar === null ? "" : `; did you mean ${similar}?`}\nThere are ${words.join(", ")}`;
}

/** Least number of characters to insert, delete or replace that make one word the other (Levenshtein). */
function changesBetween(a: string, b: string): number {
  let before = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row.push(Math.min(before[j]! + 1, row[j - 1]! + 1, before[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    before = row;
  }
  return before[b.length]!;
}
