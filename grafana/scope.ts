/**
 * What the panels of *Clickstream Analytics* are of: time range, steps, devices and regions.
 * @module
 */
import { chosen } from "./dashboard.ts";
import { series } from "./query.ts";

/** The time range, as arguments of a report. */
export const RANGE = "$__timeFrom(), $__timeTo()";
/** Width of one step of a graph. */
export const STEP = "$__interval_ms * interval '1 millisecond'";
/** Where steps begin. */
export const EPOCH = "'1970-01-01T00:00Z'";

/** The whole steps of the time range, so that no graph falls at its end. */
export function wholeSteps(step: string): string {
  return `date_bin(${step}, $__timeFrom()::timestamptz + ${step} - interval '1 microsecond', ${EPOCH}), ` +
    `date_bin(${step}, $__timeTo()::timestamptz, ${EPOCH})`;
}

/** Event rates by type, 0 in steps without events of a type that has some in the time range. */
export function rates(step: string, figure: "events" | "per_second"): ReturnType<typeof series> {
  return series(`
with r as (select * from clickstream.event_rates(${wholeSteps(step)}, ${step}, ${DEVICES}, ${REGIONS}))
select s."time", t.event_type as metric, coalesce(r.${figure}, 0) as "events"
from (select generate_series(min("time"), max("time"), ${step}) as "time" from r) s
cross join (select event_type from r group by event_type) t
left join r on r."time" = s."time" and r.event_type = t.event_type
order by 1, 2`);
}

/** The chosen devices, as an argument of a report. */
export const DEVICES = chosen("device");
/** The chosen regions, as an argument of a report. */
export const REGIONS = chosen("region");
/** Condition on a row with a device, a region and a mark of bots. */
export const IS_CHOSEN =
  `not is_bot and (${DEVICES} is null or device = any (${DEVICES})) and (${REGIONS} is null or region = any (${REGIONS}))`;
/** Says that a panel keeps to the choice. */
export const OF_CHOSEN = "Of people, on the devices and in the regions chosen above.";
/** Says that a panel does not. */
export const OF_ALL = "Of people, on all devices and in all regions: not stored per device or region.";
/** Text of a panel without events. */
export const NOTHING = "No events in this time range";

/** Columns of a table with the steps of a funnel. */
export const RATES = {
  step: { width: 110 },
  sessions: { unit: "locale", width: 80 },
  "step rate": { unit: "percentunit", decimals: 1, as: "gauge", max: 1 },
  "overall rate": { unit: "percentunit", decimals: 1, as: "gauge", max: 1 },
} as const;

/**
 * SQL of the columns of a funnel's report that `RATES` describes. The first step has no previous one, and a cell without a
 * number would have the bar of 0.
 */
export const STEPS = `name as step, sessions, case when step = 1 then overall_rate else step_rate end as "step rate",
  overall_rate as "overall rate"`;
