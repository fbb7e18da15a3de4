/**
 * The schema's history, forward only: what has been applied somewhere never changes.
 * @module
 */
import roles from "./0001_roles.sql" with { type: "text" };
import progress from "./0002_progress.sql" with { type: "text" };
import events from "./0003_events.sql" with { type: "text" };
import windows from "./0004_windows.sql" with { type: "text" };
import sessions from "./0005_sessions.sql" with { type: "text" };
import refusals from "./0006_refusals.sql" with { type: "text" };
import reports from "./0007_reports.sql" with { type: "text" };
import cohorts from "./0008_cohorts.sql" with { type: "text" };
import operations from "./0009_operations.sql" with { type: "text" };
import topics from "./0010_topics.sql" with { type: "text" };
import identity from "./0011_identity.sql" with { type: "text" };
import unreadable from "./0012_unreadable.sql" with { type: "text" };
import readers from "./0013_readers.sql" with { type: "text" };
import statusPage from "./0014_status_page.sql" with { type: "text" };
import rollupTriggers from "./0015_rollup_triggers.sql" with { type: "text" };
import firstDays from "./0016_first_days.sql" with { type: "text" };
import rollups from "./0017_rollups.sql" with { type: "text" };
import leaderEpochs from "./0018_leader_epochs.sql" with { type: "text" };
import eventFields from "./0019_event_fields.sql" with { type: "text" };
import questions from "./0020_questions.sql" with { type: "text" };
import paths from "./0021_paths.sql" with { type: "text" };
import campaigns from "./0022_campaigns.sql" with { type: "text" };
import unusualHours from "./0023_unusual_hours.sql" with { type: "text" };
import currencies from "./0024_currencies.sql" with { type: "text" };
import timeZone from "./0025_time_zone.sql" with { type: "text" };
import bots from "./0026_bots.sql" with { type: "text" };
import declaredViews from "./0027_declared_views.sql" with { type: "text" };
import goals from "./0028_goals.sql" with { type: "text" };
import declaredSeries from "./0029_declared_series.sql" with { type: "text" };
import fasterReports from "./0030_faster_reports.sql" with { type: "text" };
import reportsByDay from "./0031_reports_by_day.sql" with { type: "text" };

/** One step of the schema: several SQL statements, applied in one transaction. */
export interface Migration {
  /** Name of its file. */
  readonly name: string;
  readonly sql: string;
}

/** All migrations, in the order in which they are applied. */
export const MIGRATIONS: readonly Migration[] = [
  { name: "0001_roles.sql", sql: roles },
  { name: "0002_progress.sql", sql: progress },
  { name: "0003_events.sql", sql: events },
  { name: "0004_windows.sql", sql: windows },
  { name: "0005_sessions.sql", sql: sessions },
  { name: "0006_refusals.sql", sql: refusals },
  { name: "0007_reports.sql", sql: reports },
  { name: "0008_cohorts.sql", sql: cohorts },
  { name: "0009_operations.sql", sql: operations },
  { name: "0010_topics.sql", sql: topics },
  { name: "0011_identity.sql", sql: identity },
  { name: "0012_unreadable.sql", sql: unreadable },
  { name: "0013_readers.sql", sql: readers },
  { name: "0014_status_page.sql", sql: statusPage },
  { name: "0015_rollup_triggers.sql", sql: rollupTriggers },
  { name: "0016_first_days.sql", sql: firstDays },
  { name: "0017_rollups.sql", sql: rollups },
  { name: "0018_leader_epochs.sql", sql: leaderEpochs },
  { name: "0019_event_fields.sql", sql: eventFields },
  { name: "0020_questions.sql", sql: questions },
  { name: "0021_paths.sql", sql: paths },
  { name: "0022_campaigns.sql", sql: campaigns },
  { name: "0023_unusual_hours.sql", sql: unusualHours },
  { name: "0024_currencies.sql", sql: currencies },
  { name: "0025_time_zone.sql", sql: timeZone },
  { name: "0026_bots.sql", sql: bots },
  { name: "0027_declared_views.sql", sql: declaredViews },
  { name: "0028_goals.sql", sql: goals },
  { name: "0029_declared_series.sql", sql: declaredSeries },
  { name: "0030_faster_reports.sql", sql: fasterReports },
  { name: "0031_reports_by_day.sql", sql: reportsByDay },
];
