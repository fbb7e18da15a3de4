/**
 * The commands of docs/install.md, run as they stand there.
 * @module
 */

const PAGE = new URL("../../../docs/install.md", import.meta.url);

/** Blocks that no test runs, and why. */
const NOT_RUN: Readonly<Record<string, string>> = {
  "Compose 2": "needs images of other makers; infra/compose/compose_test.ts checks the file, and the logins are tried",
};

/** The commands of the page by section, and which of them have been run. */
export class InstallPage {
  readonly #blocks = new Map<string, string>();
  readonly #left = new Set<string>();

  constructor(page = Deno.readTextFileSync(PAGE)) {
    for (const section of page.split(/^## /m).slice(1)) {
      const title = section.slice(0, section.indexOf("\n"));
      [...section.matchAll(/^```sh\n([^]*?)^```$/gm)].forEach(([, block], n) => {
        this.#blocks.set(`${title} ${n + 1}`, block!);
        this.#left.add(`${title} ${n + 1}`);
      });
    }
  }

  /**
   * The script of a block, such as "Archive 2": it ends at the first command that fails. `instead` puts other words in
   * place of those on the page.
   *
   * @throws {Error} if there is no such block, or one of the words is not in it
   */
  script(name: string, instead: Readonly<Record<string, string>> = {}): string {
    let block = this.#blocks.get(name);
    if (block === undefined) throw new Error(`docs/install.md has no block "${name}"`);
    for (const [word, other] of Object.entries(instead)) {
      if (!block.includes(word)) throw new Error(`block "${name}" of docs/install.md does not say ${word}`);
      block = block.replaceAll(word, other);
    }
    this.#left.delete(name);
    return `set -eu\n${block}`;
  }

  /** The blocks that were not asked for, except those that can't be run here. */
  get left(): readonly string[] {
    return [...this.#left].filter((name) => !(name in NOT_RUN));
  }
}
