/**
 * The parts of a bundle, made the same on every machine: the bundler writes where its cache is into them, and names them
 * by a hash of that text.
 * @module
 */
import { createHash } from "node:crypto";

/** Where a file of a package begins: in a comment above its code, or as the name of a CommonJS module. */
const PACKAGE = /^(\s*(?:\/\/ |"))[^\s"]*\/npm\/[^/\s"]+\/(?=[^\s"]+(?:"\(.*)?$)/gm;

/** The hash in a part's name. */
const HASHED = /-([A-Z0-9]{8})\.js$/;

/**
 * Returns the parts by name, with package paths that begin with `npm/` and with names that depend on nothing but the
 * text of the parts.
 *
 * @throws {Error} if two parts cannot be told apart
 */
export function stableParts(parts: ReadonlyMap<string, string>): Map<string, string> {
  const hashed = [...parts.keys()].filter((name) => HASHED.test(name));
  const names = new RegExp(hashed.map((name) => name.replaceAll(/[^\w-]/g, "\\$&")).join("|"), "g");
  const named = new Map<string, string>();
  const texts = new Map<string, string>();
  for (const [name, text] of parts) {
    const stable = text.replaceAll(PACKAGE, "$1npm/");
    texts.set(name, stable);
    // The names of other parts depend on the cache, too.
    const anonymous = stable.replaceAll(names, (other) => other.replace(HASHED, ".js"));
    const hash = createHash("sha256").update(anonymous).digest("hex").slice(0, 8);
    named.set(name, name.replace(HASHED, `-${hash}.js`));
  }
  if (new Set(named.values()).size < parts.size) throw new Error("two parts of the bundle have the same text");
  return new Map([...texts].map(([name, text]) => [
    named.get(name)!,
    hashed.length === 0 ? text : text.replaceAll(names, (other) => named.get(other)!),
  ]));
}
