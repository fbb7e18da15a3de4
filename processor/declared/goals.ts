/**
 * Goals and funnels as measures of the view of sessions.
 *
 * They are columns of its table, because all events of a user decide where a session begins and ends: a view of sessions
 * with a filter would cut them elsewhere, and one without would store every session twice.
 * @module
 */
import { funnel } from "../measures/funnel.ts";
import type { Measure } from "../measures/measure.ts";
import { count } from "../measures/totals.ts";
import type { Declared } from "./schema.ts";
import { filterOf } from "./view_of.ts";

/** A goal or a funnel as a measure of sessions. */
export interface SessionMeasure {
  readonly kind: "goal" | "funnel";
  /** As it is declared. */
  readonly name: string;
  /** The first of its columns, which gives the measure its name. */
  readonly column: string;
  readonly measure: Measure;
  /** What its columns mean. */
  readonly comments: Readonly<Record<string, string>>;
}

/** The goals and then the funnels of a file, in its order. */
export function sessionMeasuresOf({ goals, funnels }: Pick<Declared, "goals" | "funnels">): SessionMeasure[] {
  return [
    ...goals.map(({ name, description, filter }): SessionMeasure => {
      const column = `goal_${name}`;
      return {
        ...{ kind: "goal", name, column, measure: addedLater(count(filterOf(filter))) },
        comments: { [column]: `Number of events that reach the goal ${name}: ${description}` },
      };
    }),
    ...funnels.map(({ name, description, steps }): SessionMeasure => {
      const column = `funnel_${name}`;
      const state = `${column}_state`;
      const path = steps.map((step) => step.name).join(", ");
      return {
        ...{ kind: "funnel", name, column },
        measure: addedLater(funnel(steps.map(({ filter }) => filterOf(filter)), state)),
        comments: {
          [column]: `Steps that the session reaches in the funnel ${name} (${path}): ${description}`,
          [state]: `What a later event may change in ${column}, for the processor.`,
        },
      };
    }),
  ];
}

/** The measure in a table that has rows already: their columns are 0, or null. */
function addedLater(measure: Measure): Measure {
  return {
    ...measure,
    columns: (name) => measure.columns(name).map((column) => column.nullable ? column : { ...column, default: "0" }),
  };
}
