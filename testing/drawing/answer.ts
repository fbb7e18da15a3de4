/**
 * What the page gets to draw, and what it says of it.
 * @module
 */

/** A column of a table or the points of a series. */
export interface AnswerField {
  readonly name: string;
  readonly type: "time" | "number" | "string";
  /** Times in milliseconds; numbers that are none are `"NaN"`. */
  readonly values: readonly (string | number | null)[];
  /** Name of a series. */
  readonly legend?: string;
}

/** A table, or series over the same times. */
export interface AnswerFrame {
  readonly refId: string;
  readonly fields: readonly AnswerField[];
}

/** The answer to a panel. */
export interface Answer {
  readonly fromMs: number;
  readonly toMs: number;
  readonly frames: readonly AnswerFrame[];
}

/** What the page draws. */
export interface Drawing {
  /** A dashboard as Grafana has it. */
  readonly dashboard: unknown;
  /** By the panel's id. */
  readonly answers: Readonly<Record<number, Answer>>;
  readonly theme: "light" | "dark";
  readonly fromMs: number;
  readonly toMs: number;
  /** Chosen values, by the variable's label. */
  readonly variables: Readonly<Record<string, string>>;
}

/** A column of a table, as it is drawn. */
export interface SeenColumn {
  readonly heading: string;
  readonly cells: readonly string[];
}

/** What the page says of a panel that it has drawn. */
export interface SeenPanel {
  readonly title: string;
  /** Why it could not be drawn, or null. */
  readonly fault: string | null;
  /** Whether it says that it has no data. */
  readonly isEmpty: boolean;
  /** What was drawn of the data: rows of a table, bars, coloured pixels of a graph, or a number. */
  readonly marks: number;
  /** Texts that do not fit, and tables that are wider than the panel. */
  readonly cut: readonly string[];
  /** All texts but those on canvases. */
  readonly text: string;
  /** Columns of a table from left to right. */
  readonly columns: readonly SeenColumn[];
  /** Texts on canvases: labels of axes. */
  readonly labels: readonly string[];
}
