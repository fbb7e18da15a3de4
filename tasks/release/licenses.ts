/**
 * The licences of everything in the binary, as one text.
 * @module
 */
import { type Component, npmFolder } from "../sbom.ts";
import { ROOT } from "./source.ts";

/** Names of files with a licence. */
const LICENSE_FILE = /^(licen[cs]e|notice|copying)([.-].*)?$/i;

const POSTGRES = `PostgreSQL Database Management System
(also known as Postgres, formerly known as Postgres95)

Portions Copyright (c) 1996-2026, The PostgreSQL Global Development Group

Portions Copyright (c) 1994, The Regents of the University of California

Permission to use, copy, modify, and distribute this software and its documentation for any purpose, without fee, and
without a written agreement is hereby granted, provided that the above copyright notice and this paragraph and the
following two paragraphs appear in all copies.

IN NO EVENT SHALL THE UNIVERSITY OF CALIFORNIA BE LIABLE TO ANY PARTY FOR DIRECT, INDIRECT, SPECIAL, INCIDENTAL, OR
CONSEQUENTIAL DAMAGES, INCLUDING LOST PROFITS, ARISING OUT OF THE USE OF THIS SOFTWARE AND ITS DOCUMENTATION, EVEN IF THE
UNIVERSITY OF CALIFORNIA HAS BEEN ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.

THE UNIVERSITY OF CALIFORNIA SPECIFICALLY DISCLAIMS ANY WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED
WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE. THE SOFTWARE PROVIDED HEREUNDER IS ON AN "AS IS"
BASIS, AND THE UNIVERSITY OF CALIFORNIA HAS NO OBLIGATIONS TO PROVIDE MAINTENANCE, SUPPORT, UPDATES, ENHANCEMENTS, OR
MODIFICATIONS.
`;

/**
 * The licences, with a section for each component.
 *
 * @throws {Error} if a package has no text of its licence, and its licence is not MIT
 */
export async function licensesText(all: readonly Component[]): Promise<string> {
  const own = await Deno.readTextFile(`${ROOT}LICENSE`);
  const mit = (holder: string) => own.replace(/^Copyright.*$/m, `Copyright (c) ${holder}`);
  const folder = await npmFolder();
  const sections = await Promise.all(all.map(async ({ name, version, licenses }) => {
    const text = name === "deno"
      ? mit("2018-2026 the Deno authors")
      : await textOf(`${folder}/${name}/${version}`, mit);
    return section(`${name} ${version} (${licenses.map(({ license }) => license.id).join(", ")})`, text);
  }));
  const about =
    "The program clickstream contains the following software. Deno contains V8 (BSD-3-Clause) and packages of\n" +
    "Rust, which its source names. The package @electric-sql/pglite contains PostgreSQL.\n";
  return [about, ...sections, section("PostgreSQL (PostgreSQL)", POSTGRES)].join("\n");
}

async function textOf(folder: string, mit: (holder: string) => string): Promise<string> {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => LICENSE_FILE.test(name)).sort();
  const texts = await Promise.all(names.map((name) => Deno.readTextFile(`${folder}/${name}`)));
  if (texts.length > 0) return texts.join("\n");
  const { name, license, author } = JSON.parse(await Deno.readTextFile(`${folder}/package.json`)) as {
    readonly name: string;
    readonly license: string;
    readonly author?: string | { readonly name: string };
  };
  if (license !== "MIT") throw new Error(`${name} has no text of its licence, ${license}`);
  return mit(typeof author === "string" ? author : author?.name ?? `the authors of ${name}`);
}

function section(title: string, text: string): string {
  return `${"=".repeat(80)}\n${title}\n${"=".repeat(80)}\n\n${text.replaceAll("\r\n", "\n").trim()}\n`;
}
