/**
 * The process itself: verdict, pipeline, partitions, restarts, configuration.
 * @module
 */
import {
  ago,
  byId,
  clock,
  duration,
  fill,
  joined,
  keyed,
  make,
  meter,
  percent,
  plain,
  rate,
  show,
  whole,
} from "./dom.js";

const LEVELS = {
  good: "All is well",
  attention: "Needs attention",
  behind: "Behind",
  broken: "Broken",
  starting: "Starting",
  stopping: "Stopping",
};

let said = "";
let status = null;
let front = null;

/** Shows the verdict. Screen readers announce it only when more than numbers changes. */
export function showVerdict({ level, title, detail, advice }) {
  byId("verdict").dataset.level = level;
  show(byId("verdict-level"), LEVELS[level]);
  show(byId("verdict-title"), joined(title));
  show(byId("verdict-detail"), joined(detail));
  show(byId("verdict-advice"), advice ?? "");
  byId("verdict-advice").hidden = advice === null;
  document.title = `${title} · clickstream`;
  const news = `${level} ${title.replaceAll(/[\d,.]+/g, "")}`;
  if (news === said) return;
  said = news;
  show(byId("verdict-said"), `${LEVELS[level]}: ${title}. ${advice ?? ""}`);
}

/** Shows that the connection is lost. */
export function showLost() {
  byId("live").dataset.live = "no";
  show(byId("live-text"), "not connected");
  showVerdict({
    level: "broken",
    title: "Clickstream does not answer",
    detail: status === null
      ? "It has not answered since this page was opened."
      : `The figures below are from ${clock(status.at)}.`,
    advice: "Check that the service runs; this page reconnects by itself.",
  });
}

/** Shows the status report. */
export function showStatus(report) {
  status = report;
  byId("live").dataset.live = "yes";
  show(byId("live-text"), "live");
  showVerdict(report.verdict);
  show(byId("topic"), report.topic);
  show(byId("instance"), report.instance);
  byId("topic").parentElement.title = plain(`${report.topic} · ${report.instance}`);
  showPipeline(report.stages, report.lag);
  showPartitions();
  showRestarts(report.restarts);
  showSettings(report.settings);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const workers = report.workers === 1 ? "1 worker" : `${report.workers} workers`;
  const uptime = duration(Date.parse(report.at) - Date.parse(report.startedAt));
  show(byId("about"), `clickstream ${report.version}, ${workers}, up for ${uptime}. Times are in ${zone}.`);
}

/** Takes the positions in the tables, including those of other processes. */
export function showFront(read) {
  front = read;
  if (status !== null) showPartitions();
}

function showPipeline(stages, lag) {
  keyed(byId("pipeline"), stages, ({ name }) => name, ({ name }) => {
    const world = name === "Kafka" || name === "PostgreSQL" ? " world" : "";
    const facts = make("p", "facts", make("span"), make("span"));
    return make(
      "li",
      `stage${world}`,
      make("h3", "", name),
      make("p", "rate", make("span"), make("small")),
      meter(),
      facts,
    );
  }, (stage, { name, unit, rate: each, busy, eachUs, fault }) => {
    const [number, word] = stage.querySelector(".rate").children;
    const [share, time] = stage.querySelector(".facts").children;
    stage.dataset.level = fault?.level ?? "good";
    show(number, rate(each));
    show(word, ` ${unit}/s`);
    fill(stage.querySelector(".meter"), busy);
    show(share, fault?.text ?? `${name === "Kafka" ? "waiting" : "busy"} ${percent(busy)}`);
    const waiting = name === "Kafka" && lag.records > 0 ? `lag ${whole(lag.records)}` : "";
    show(time, name === "Kafka" ? waiting : eachUs === null ? "" : `${duration(eachUs / 1000)} each`);
  });
}

/** Partitions of this process, and those of other processes, which only the tables know. */
function showPartitions() {
  const now = Date.parse(status.at);
  const own = new Map(status.partitions.map((partition) => [partition.partition, partition]));
  const others = (front?.partitions ?? []).filter(({ partition }) => !own.has(partition));
  const inTables = new Map((front?.partitions ?? []).map((partition) => [partition.partition, partition]));
  const all = [
    ...status.partitions,
    ...others.map((partition) => ({ ...partition, lag: null })),
  ].sort((a, b) => a.partition - b.partition);
  byId("partitions-empty").hidden = all.length > 0;
  show(
    byId("partitions-empty"),
    status.verdict.level === "good"
      ? "Other instances of the consumer group read all partitions; this one takes over when one of them ends."
      : `None is assigned: ${status.verdict.title}.`,
  );
  keyed(byId("partitions"), all, ({ partition }) => partition, () => {
    return make("tr", "", make("td"), make("td", "n"), make("td"), make("td"), make("td", "clip mono"));
  }, (row, { partition, lag, watermark, committedAt, owner }) => {
    const [number, records, mark, commit, who] = row.children;
    const committed = committedAt ?? inTables.get(partition)?.committedAt ?? null;
    show(number, partition);
    show(records, lag === null ? "–" : whole(lag));
    show(mark, watermark === null ? "–" : clock(watermark));
    show(
      commit,
      committed === null ? "–" : ago(typeof committed === "string" ? Date.parse(committed) : committed, now),
    );
    show(who, owner);
  });
}

function showRestarts(restarts) {
  byId("restarts-empty").hidden = restarts.length > 0;
  keyed(byId("restarts"), restarts, ({ at, cause }) => `${at} ${cause}`, ({ at, cause, message }) => {
    const why = make("span", "chip", cause.replaceAll("_", " "));
    return make("li", "", make("span", "aside", clock(at)), why, make("span", "what", message));
  }, () => {});
}

function showSettings(settings) {
  const list = byId("settings");
  if (list.childElementCount > 0) return;
  for (const [name, value] of Object.entries(settings)) {
    list.append(make("dt", "", name), make("dd", "", value ?? "not set"));
  }
}
