import type { Declarations, DeclaredFilter, DeclaredKey, DeclaredMatcher, StoredEvent } from "./rows.ts";
import type { Columns, Row } from "./table_shapes.ts";
import { cutPage } from "./values.ts";

/** No goals and no funnels. */
export const NONE_DECLARED: Declarations = { goals: [], funnels: [] };

/** The columns of sessions that goals and funnels are counted in. */
export function declaredColumns({ goals, funnels }: Declarations): Columns {
  return {
    ...Object.fromEntries(goals.map(({ name }) => [`goal_${name}`, "count" as const])),
    ...Object.fromEntries(funnels.map(({ name }) => [`funnel_${name}`, "count" as const])),
  };
}

/** What these columns have of a session with these events. */
export function declaredCounts({ goals, funnels }: Declarations, events: readonly StoredEvent[]): Row {
  return {
    ...Object.fromEntries(
      goals.map(({ name, filter }) => [`goal_${name}`, events.filter((event) => passes(event, filter)).length]),
    ),
    ...Object.fromEntries(
      funnels.map(({ name, steps }) => [`funnel_${name}`, reached(steps.map(({ filter }) => filter), events)]),
    ),
  };
}

// Follows every chain: to the times at which a step can be reached, from all those of the step before.
function reached(steps: readonly DeclaredFilter[], events: readonly StoredEvent[]): number {
  let times = [-Infinity];
  for (const [step, filter] of steps.entries()) {
    times = events.filter((event) => passes(event, filter)).map(({ timeMs }) => timeMs)
      .filter((time) => times.some((before) => before <= time));
    if (times.length === 0) return step;
  }
  return steps.length;
}

function passes(event: StoredEvent, filter: DeclaredFilter): boolean {
  const values: Readonly<Record<DeclaredKey, string | null>> = {
    ...{ event: event.eventType, page: cutPage(event.page), device: event.device, region: event.region },
    ...{ product: event.productId, campaign: event.campaign },
  };
  return Object.entries(filter).every(([key, matchers]) => {
    if (matchers === undefined) return true;
    const value = values[key as DeclaredKey];
    return value !== null && [matchers].flat().some((matcher) => isLike(value, matcher));
  });
}

function isLike(text: string, matcher: DeclaredMatcher): boolean {
  if (typeof matcher === "string") return text === matcher;
  if ("prefix" in matcher) return text.slice(0, matcher.prefix.length) === matcher.prefix;
  return follows(text, matcher.pattern);
}

/** Whether a text is like a pattern, where * stands for any text. */
function follows(text: string, pattern: string): boolean {
  const star = pattern.indexOf("*");
  if (star < 0) return text === pattern;
  if (text.slice(0, star) !== pattern.slice(0, star)) return false;
  for (let at = star; at <= text.length; at++) if (follows(text.slice(at), pattern.slice(star + 1))) return true;
  return false;
}
