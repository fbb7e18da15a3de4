/**
 * Reads a file of declared views, goals and funnels, and says of every fault where it is and what is allowed.
 * @module
 */
import { createHash } from "node:crypto";
import { type Document, isScalar, LineCounter, parseDocument } from "yaml";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { sessions } from "../views/sessions.ts";
import type { View } from "../views/view.ts";
import { type SessionMeasure, sessionMeasuresOf } from "./goals.ts";
import { type Declared, FILE, type Kind, KINDS } from "./schema.ts";
import { viewOf } from "./view_of.ts";

/** Views, goals and funnels of a file. */
export interface DeclaredViews {
  readonly declared: Declared;
  /** In the order of the file. */
  readonly views: readonly View[];
  /** Its goals and funnels. */
  readonly ofSessions: readonly SessionMeasure[];
  /** SHA-256 of the content, in hexadecimal; empty if it declares nothing. */
  readonly hash: string;
  /** Where they come from, for messages. */
  readonly file: string;
}

/** A fault of a file. */
export interface Fault {
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** Which part, such as `views[0].window`, and what is wrong with it. */
  readonly message: string;
}

/** Invalid declarations; `faults` has at least one, in the order of the file. */
export class WrongDeclarations extends RangeError {
  override readonly name = "WrongDeclarations";
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[]) {
    super(faults.map(({ line, column, message }) => `line ${line}, column ${column}: ${message}`).join("; "));
    this.faults = faults;
  }
}

type Path = readonly (string | number)[];

/**
 * What a YAML text declares.
 *
 * @param file where the text comes from
 * @throws {WrongDeclarations} naming every fault
 */
export function readDeclared(text: string, file: string): DeclaredViews {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: "1.2" });
  const faultAt = (offset: number, message: string): Fault => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col), message };
  };
  if (document.errors.length > 0) {
    throw new WrongDeclarations(document.errors.map(({ pos, message }) => faultAt(pos[0], message)));
  }
  const found: Fault[] = [];
  const refuse = (path: Path, message: string) => found.push(faultAt(placeOf(document, path), message));
  const declared = parsed(document, refuse);
  const views = declared === null ? [] : viewsOf(declared, refuse);
  const ofSessions = declared === null ? [] : checkedMeasures(declared, refuse);
  if (found.length > 0) throw new WrongDeclarations(found.sort((a, b) => a.line - b.line || a.column - b.column));
  return { declared: declared!, views, ofSessions, hash: hashOf(declared!), file };
}

/** A hash that neither the order of declarations nor that of keys changes. */
function hashOf(declared: Declared): string {
  const content = KINDS.flatMap((kind) =>
    // Views alone have the hash that they had before there was anything else.
    declared[`${kind}s`].map((each) => `${kind === "view" ? "" : `${kind} `}${contentOf(each)}`)
  );
  return content.length === 0 ? "" : createHash("sha256").update(content.sort().join("\n")).digest("hex");
}

/** How messages name something declared: a view by its name, a goal or a funnel with its kind. */
export function titleOf(kind: Kind, name: string): string {
  return kind === "view" ? name : `${kind} ${name}`;
}

/** The titles of everything declared. */
export function titlesIn(declared: Declared): string[] {
  return KINDS.flatMap((kind) => declared[`${kind}s`].map(({ name }) => titleOf(kind, name)));
}

/** How many views, goals and funnels there are, in words. */
export function countsIn(declared: Declared): string {
  const counts = KINDS.map((kind) => [kind, declared[`${kind}s`].length] as const).filter(([, count]) => count > 0);
  const words = counts.map(([kind, count]) => count === 1 ? `1 ${kind}` : `${count} ${kind}s`);
  return words.length === 0 ? "nothing" : new Intl.ListFormat("en-GB").format(words);
}

/** These views, those of a file, and its goals and funnels in the view of sessions; without a file, these views. */
export function withDeclared(
  views: readonly View[],
  file: Pick<DeclaredViews, "views" | "ofSessions"> | null,
): readonly View[] {
  if (file === null) return views;
  const asked = Object.fromEntries(file.ofSessions.map(({ column, measure }) => [column, measure]));
  const all = views.map((view) =>
    view.name === sessions.name ? { ...view, measures: { ...view.measures, ...asked } } : view
  );
  return [...all, ...file.views];
}

/** The content of a declaration as text, which is equal for equal content. */
export function contentOf(declared: unknown): string {
  return JSON.stringify(
    declared,
    (_, part: unknown) =>
      typeof part === "object" && part !== null && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => a < b ? -1 : 1))
        : part,
  );
}

/** Declarations that were read from a file before. */
export function viewsOfDeclared(stored: unknown): Pick<DeclaredViews, "declared" | "views" | "ofSessions"> {
  const declared = FILE.parse(stored);
  return { declared, views: declared.views.map(viewOf), ofSessions: sessionMeasuresOf(declared) };
}

type Refuse = (path: Path, message: string) => void;

function parsed(document: Document, refuse: Refuse): Declared | null {
  let content: unknown;
  try {
    content = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    refuse([], error instanceof Error ? error.message : String(error));
    return null;
  }
  const { success, data, error } = FILE.safeParse(content);
  if (success) return data;
  for (const issue of error.issues) {
    const path = issue.path as Path;
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) refuse([...path, key], `${shown([...path, key])} is not known`);
    } else if (issue.code === "invalid_key") {
      refuse(path, `${shown(path)} ${issue.issues[0]?.message ?? "is not allowed"}`);
    } else {
      const value = document.getIn(path);
      const given = value === undefined ? " is missing; it" : isShort(value) ? ` is ${JSON.stringify(value)}; it` : "";
      refuse(path, `${shown(path)}${given} ${issue.message}`);
    }
  }
  return null;
}

function isShort(value: unknown): boolean {
  return ["string", "number", "boolean"].includes(typeof value) && String(value).length <= 100;
}

/** Names that a migration has taken in the schema, whatever for. */
const TAKEN: ReadonlySet<string> = new Set([
  ...MIGRATIONS.flatMap(({ sql }) => [...sql.matchAll(/\bclickstream\.([a-z_0-9]+)/g)].map(([, name]) => name!)),
  // Names in the job for Flink.
  ...["clicks", "valid_events"],
]);

/** Names of daily partitions. */
const OF_EVENTS = /^events_/;

function viewsOf({ views }: Declared, refuse: Refuse): View[] {
  const names = new Set<string>();
  return views.flatMap((declared, n) => {
    const { name } = declared;
    const at = ["views", n, "name"];
    if (names.has(name)) refuse(at, `views[${n}].name is ${JSON.stringify(name)}, as another view's`);
    if (TAKEN.has(name) || OF_EVENTS.test(name)) {
      refuse(at, `views[${n}].name is ${JSON.stringify(name)}, which the schema has already`);
    }
    names.add(name);
    try {
      return [viewOf(declared)];
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      refuse(["views", n], error.message);
      return [];
    }
  });
}

/** Goals and funnels with names and columns of their own. */
function checkedMeasures(declared: Declared, refuse: Refuse): SessionMeasure[] {
  const ofSessions = sessionMeasuresOf(declared);
  const names = new Map<string, Kind>();
  const columns = new Map(
    Object.entries(sessions.measures).flatMap(([name, measure]) => measure.columns(name))
      .map((column) => [column.name, "sessions have already"]),
  );
  ofSessions.forEach(({ kind, name, column, measure }, n) => {
    const at = [`${kind}s`, kind === "goal" ? n : n - declared.goals.length, "name"];
    const is = `${shown(at)} is ${JSON.stringify(name)}`;
    const before = names.get(name);
    if (before !== undefined) return refuse(at, `${is}, as ${before === kind ? "another" : "a"} ${before}'s`);
    names.set(name, kind);
    const own = measure.columns(column).map((each) => each.name);
    const taken = own.find((each) => columns.has(each));
    if (taken !== undefined) refuse(at, `${is}; it has the column ${taken}, which ${columns.get(taken)}`);
    for (const each of own) columns.set(each, `the ${kind} ${name} has`);
  });
  return ofSessions;
}

/** Where a part of a document begins; of a part that is missing, where the nearest around it begins. */
function placeOf(document: Document, path: Path): number {
  for (let length = path.length; length >= 0; length--) {
    const part = path.slice(0, length);
    // A key is named rather than its value.
    const key = keyOf(document, part);
    const node = key ?? (length === 0 ? document.contents : document.getIn(part, true));
    const range = (node as { readonly range?: readonly number[] | null } | null | undefined)?.range;
    if (range !== undefined && range !== null) return range[0]!;
  }
  return 0;
}

interface Pairs {
  readonly items: readonly { readonly key?: unknown; readonly value?: unknown }[];
}

/** The key of a map's entry; null if the path does not end at one. */
function keyOf(document: Document, path: Path): unknown {
  const last = path.at(-1);
  if (typeof last !== "string") return null;
  const parent = (path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true)) as
    | Pairs
    | null
    | undefined;
  const pair = parent?.items?.find?.(({ key }) => isScalar(key) && String(key.value) === last);
  return pair?.key ?? null;
}

/** A path as it is written, such as `views[0].measures.carts`. */
function shown(path: Path): string {
  if (path.length === 0) return "the file";
  return path.map((part) => typeof part === "number" ? `[${part}]` : `.${part}`).join("").replace(/^\./, "");
}
