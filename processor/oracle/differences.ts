import type { Expected } from "./rows.ts";
import { compareText } from "./values.ts";
import {
  type Cell,
  type ExpectedAll,
  type Piece,
  type Reader,
  readTable,
  type Row,
  SHAPES,
  type TableName,
  TABLES,
  type TableShape,
} from "./table_shapes.ts";

/** One difference between a table and its expectation. */
export interface Difference {
  readonly table: string;
  /**
   * `missing` and `extra` are whole rows, `differs` is one column of a row, `conservation` is a wrong sum in
   * `progress`, `sketch` means distinct counts with a larger overall error than promised, `more` is the number of
   * differences not shown.
   */
  readonly kind: "missing" | "extra" | "differs" | "conservation" | "sketch" | "more";
  /** `column=value` of the key, as JSON values. */
  readonly key: string;
  readonly column: string | null;
  readonly expected: Cell;
  readonly actual: Cell;
}

/** What to compare, and how many differences to show. */
export interface CompareOptions {
  /** All by default. */
  readonly tables?: readonly string[];
  /** Most differences returned per table, besides the one that counts the others. */
  readonly shownPerTable?: number;
  /** About how many rows of a table are in memory at a time. */
  readonly rowsAtATime?: number;
}

/** Largest distinct count that is exact. */
const EXACT_UP_TO = 4_096;
const FURTHEST_OFF = 0.03;
const OFF_ON_THE_WHOLE = 0.01;
// With fewer rows, the root mean square is too random.
const ROWS_FOR_THE_WHOLE = 30;

/** Compares every table of a database with its expectation; no differences means that they agree. */
export async function compareTables(
  database: Reader,
  expected: Expected | ExpectedAll,
  options: CompareOptions = {},
): Promise<Difference[]> {
  const differences: Difference[] = [];
  for (const table of expectedTables(expected)) {
    if (!(options.tables?.includes(table.name) ?? true)) continue;
    differences.push(...await compareStored(database, table, options));
  }
  return differences;
}

/** Compares one table of a database with its expectation. */
export async function compareStored(
  database: Reader,
  { name, shape, rows }: ExpectedTable,
  options: CompareOptions = {},
): Promise<Difference[]> {
  const found = new Findings(name, shape, options.shownPerTable ?? 20);
  for (const { piece, wanted } of piecesOf(rows, shape.cutBy, options.rowsAtATime ?? 50_000)) {
    compareRows(found, wanted, await readTable(database, name, piece, shape));
  }
  return found.all();
}

/** A table and its expected rows. */
export interface ExpectedTable {
  readonly name: string;
  readonly shape: TableShape;
  readonly rows: readonly Row[];
}

/** The expected tables: the contract's in its order, then the others. */
export function expectedTables(expected: Expected | ExpectedAll): readonly ExpectedTable[] {
  const others = "others" in expected ? Object.entries(expected.others) : [];
  return [
    ...TABLES.map((name) => ({ name, shape: SHAPES[name], rows: expected[name] })),
    ...others.map(([name, { shape, rows }]) => ({ name, shape, rows })),
  ];
}

/** Compares every expected table with rows from elsewhere, such as an in-memory sink. */
export function compareAll(expected: ExpectedAll, actual: Readonly<Record<string, readonly Row[]>>): Difference[] {
  return expectedTables(expected).flatMap(({ name, shape, rows }) => {
    const found = new Findings(name, shape, 20);
    compareRows(found, rows, actual[name] ?? []);
    return found.all();
  });
}

/** Compares a table's expected rows with rows from elsewhere, such as an in-memory sink. */
export function compareTable(
  table: TableName,
  expected: readonly Row[],
  actual: readonly Row[],
  shown = 20,
): Difference[] {
  const found = new Findings(table, SHAPES[table], shown);
  compareRows(found, expected, actual);
  return found.all();
}

/** The differences as readable lines, or one line that says that there are none. */
export function formatDifferences(differences: readonly Difference[]): string {
  if (differences.length === 0) return "every table agrees";
  return differences.map((difference) => {
    const { table, kind, key, column, expected, actual } = difference;
    if (kind === "more") return `${table}: … and ${actual} more`;
    if (kind === "missing") return `${table}: missing row, ${key}: ${expected}`;
    if (kind === "extra") return `${table}: extra row, ${key}: ${actual}`;
    return `${table}: ${kind}, ${key}: ${column} should be ${JSON.stringify(expected)}, is ${JSON.stringify(actual)}`;
  }).join("\n");
}

/** Collects the differences of one table; keeps only the first ones in full. */
class Findings {
  readonly #shown: Difference[] = [];
  readonly #offBy: number[] = [];
  #count = 0;

  constructor(readonly table: string, readonly shape: TableShape, readonly most: number) {}

  add(kind: Difference["kind"], key: string, column: string | null, expected: Cell, actual: Cell): void {
    this.#count += 1;
    if (this.#shown.length < this.most) {
      this.#shown.push({ table: this.table, kind, key, column, expected, actual });
    }
  }

  addCount(key: string, column: string, expected: number, actual: number): void {
    const offBy = (actual - expected) / expected;
    this.#offBy.push(offBy);
    if (Math.abs(offBy) > FURTHEST_OFF) this.add("differs", key, column, expected, actual);
  }

  all(): Difference[] {
    const rows = this.#offBy.length;
    const onTheWhole = Math.sqrt(this.#offBy.reduce((sum, offBy) => sum + offBy * offBy, 0) / rows);
    if (rows >= ROWS_FOR_THE_WHOLE && onTheWhole > OFF_ON_THE_WHOLE) {
      const column = "root mean square of the relative error";
      this.add("sketch", `${rows} rows beyond ${EXACT_UP_TO}`, column, OFF_ON_THE_WHOLE, onTheWhole);
    }
    const hidden = this.#count - this.#shown.length;
    const more: Difference = { table: this.table, kind: "more", key: "", column: null, expected: 0, actual: hidden };
    return hidden === 0 ? [...this.#shown] : [...this.#shown, more];
  }
}

function compareRows(found: Findings, expected: readonly Row[], actual: readonly Row[]): void {
  const { key } = found.shape;
  const unmatched = new Map<string, Row>();
  const extra: Row[] = [];
  for (const row of actual) {
    const id = keyOf(row, key);
    if (found.table === "progress") checkConservation(found, id, row);
    if (unmatched.has(id)) extra.push(row);
    else unmatched.set(id, row);
  }
  for (const row of expected) {
    const id = keyOf(row, key);
    const match = unmatched.get(id);
    unmatched.delete(id);
    if (match !== undefined) compareRow(found, id, row, match);
    else if (!mayBeAbsent(found.table, row)) found.add("missing", id, null, JSON.stringify(row), null);
  }
  for (const row of [...unmatched.values(), ...extra]) {
    found.add("extra", keyOf(row, key), null, null, JSON.stringify(row));
  }
}

function compareRow(found: Findings, key: string, expected: Row, actual: Row): void {
  for (const column of Object.keys(found.shape.columns)) {
    const [wanted, got] = [expected[column]!, actual[column]!];
    if (wanted === got) continue;
    const isCounted = typeof wanted === "number" && typeof got === "number";
    if (isCounted && wanted > EXACT_UP_TO && found.shape.sketched.includes(column)) {
      found.addCount(key, column, wanted, got);
    } else if (!(isCounted && column === "next_offset" && got > wanted)) {
      // Control records and compaction leave offsets without records after the last record.
      found.add("differs", key, column, wanted, got);
    }
  }
}

function checkConservation(found: Findings, key: string, row: Row): void {
  const sum = Number(row["stored"]) + Number(row["duplicates"]) + Number(row["refused"]);
  if (row["consumed"] === sum) return;
  found.add("conservation", key, "consumed", sum, row["consumed"]!);
}

// A partition without records may have no commit.
function mayBeAbsent(table: string, row: Row): boolean {
  return table === "progress" && row["consumed"] === 0;
}

function keyOf(row: Row, key: readonly string[]): string {
  return key.map((column) => `${column}=${JSON.stringify(row[column])}`).join(" ");
}

interface Comparison {
  readonly piece: Piece;
  readonly wanted: readonly Row[];
}

// The pieces are adjacent and the outer two are unbounded, so an extra row is always in one of them.
function* piecesOf(rows: readonly Row[], cutBy: string, size: number): Generator<Comparison> {
  const sorted = rows.toSorted((left, right) => compareCells(left[cutBy]!, right[cutBy]!));
  let start = 0;
  while (true) {
    let end = Math.min(start + size, sorted.length);
    while (end < sorted.length && sorted[end]![cutBy] === sorted[end - 1]![cutBy]) end += 1;
    const from = start === 0 ? {} : { from: sorted[start]![cutBy]! };
    const to = end === sorted.length ? {} : { to: sorted[end]![cutBy]! };
    yield { piece: { ...from, ...to }, wanted: sorted.slice(start, end) };
    if (end === sorted.length) return;
    start = end;
  }
}

function compareCells(left: Cell, right: Cell): number {
  if (typeof left === "number" && typeof right === "number") return left - right;
  return compareText(String(left), String(right));
}
