/**
 * `deno task bench`: throughput and cost of draining a full topic, and latency at a low rate. Starts Kafka and
 * PostgreSQL, loads the topics, and runs every case in rounds until the time is over. In a round, all programs run in
 * turn: this checkout, with `--against` another version of it, and with `--peers` other stream processors. Prints
 * medians and ranges; `--json` writes everything, `--compare` fails if this version is worse than a reported one.
 * @module
 */
import { parseArgs } from "node:util";
import { startKafka } from "../testing/servers/kafka.ts";
import { startPostgres } from "../testing/servers/postgres.ts";
import { assertEqualLoads, comparedInRun, comparedWith, findingsTable } from "./compare.ts";
import { canRun, CASES, drain, type Stand } from "./drain.ts";
import { caseTable, type Drained, figuresOf, type Load, noise, PEERS_CASE, type Report, type Run } from "./figures.ts";
import { fillTopics, type Topics } from "./fill.ts";
import { latencyOf, PER_SECOND } from "./latency.ts";
import { drainBy, hindrance, PEERS } from "./peers.ts";
import { builtAgainst, builtHere, fromSources, hasCommit, type Program, thisCommit } from "./programs.ts";
import { calibrate, thisMachine, watchLoad } from "../testing/servers/usage.ts";

/** The figures of a report while it is made. */
type Rows = { readonly case: string; readonly program: string; readonly runs: Run[] }[];

/** What a round runs. */
interface Plan {
  readonly cases: readonly string[];
  readonly programs: readonly Program[];
  readonly peers: readonly string[];
  readonly load: Load;
  readonly liveSeconds: number;
}

/** Adds the load of the machine and its speed to the figures that `run` returns. */
async function withLoad(run: () => Promise<Run>): Promise<Run> {
  const calibrationMs = calibrate();
  const end = await watchLoad();
  const figures = await run();
  return { ...figures, ...await end(), calibrationMs };
}

/** Runs a program in a case, and returns the databases of both drains, too. */
async function measured(
  stand: Stand,
  program: Program,
  topics: Topics,
  name: string,
  { load, liveSeconds }: Plan,
): Promise<{ readonly run: Run; readonly urls: Readonly<Record<keyof Topics, string>> }> {
  const settings = CASES[name]!;
  const urls = { small: "", full: "" };
  const run = await withLoad(async () => {
    const small = await drain(stand, program, topics.small, settings);
    const full = await drain(stand, program, topics.full, settings);
    [urls.small, urls.full] = [small.url, full.url];
    return figuresOf(small.drained, full.drained);
  });
  if (liveSeconds === 0) return { run, urls };
  const { partitions } = load;
  const { p50, p99 } = await latencyOf(stand, program, settings, { partitions, seconds: liveSeconds });
  return { run: { ...run, p50Ms: p50, p99Ms: p99 }, urls };
}

/** Runs a peer, and compares its tables with those in `urls`. */
async function measuredPeer(
  stand: Stand,
  peer: string,
  topics: Topics,
  urls: Readonly<Record<keyof Topics, string>>,
): Promise<Run> {
  return await withLoad(async () => {
    const small: Drained = await drainBy(peer, stand, topics.small, urls.small);
    const full = await drainBy(peer, stand, topics.full, urls.full);
    return { ...figuresOf(small, full), missing: full.missing * 100, usersOff: full.usersOff * 100 };
  });
}

/** Runs every program in every case once; every second round in the opposite order. */
async function runRound(stand: Stand, topics: Topics, plan: Plan, round: number, rows: Rows): Promise<void> {
  const add = (name: string, program: string, run: Run) => {
    const row = rows.find((row) => row.case === name && row.program === program);
    if (row === undefined) rows.push({ case: name, program, runs: [run] });
    else row.runs.push(run);
  };
  for (const name of plan.cases) {
    const results = new Map<Program, Awaited<ReturnType<typeof measured>>>();
    for (const program of round % 2 === 0 ? plan.programs : plan.programs.toReversed()) {
      if (await canRun(program, name)) results.set(program, await measured(stand, program, topics, name, plan));
    }
    for (const program of plan.programs.filter((program) => results.has(program))) {
      add(name, program.name, results.get(program)!.run);
    }
    if (name === PEERS_CASE) {
      const { urls } = results.get(plan.programs[0]!)!;
      for (const peer of plan.peers) add(name, PEERS[peer]!.title, await measuredPeer(stand, peer, topics, urls));
    }
    for (const { urls } of results.values()) {
      for (const url of Object.values(urls)) await stand.server.dropDatabase(url);
    }
  }
}

/** Starts the servers, fills the topics, and runs rounds until all are run or the time is over. */
async function runRounds(plan: Plan, { runs, endMs, data, verbose }: Limits): Promise<Rows> {
  await using broker = await startKafka({ ...data !== null && { dataDir: data }, heapMiB: 1024 });
  await using server = await startPostgres({ settings: { max_wal_size: "4GB", shared_buffers: "512MB" } });
  const topics = await fillTopics(broker, plan.load, data);
  const rows: Rows = [];
  let longestMs = 0;
  for (let round = 0; round < runs; round++) {
    const sinceMs = performance.now();
    if (round > 0 && sinceMs + longestMs > endMs) break;
    await runRound({ broker, server, verbose }, topics, plan, round, rows);
    const tookMs = performance.now() - sinceMs;
    longestMs = Math.max(longestMs, tookMs);
    console.log(`round ${round + 1} of at most ${runs}: ${(tookMs / 1000).toFixed(0)} s`);
  }
  return rows;
}

/** How far rounds go. */
interface Limits {
  /** Most rounds. */
  readonly runs: number;
  /** Time on the process's clock when the last round must have ended, unless it is the first. */
  readonly endMs: number;
  /** Folder that keeps the loaded topics; null without. */
  readonly data: string | null;
  readonly verbose: boolean;
}

/** Compares a report with the version that ran in turn, or else with the baseline; returns the exit code. */
function compare(report: Report, baseline: Report, against: string | undefined): number {
  console.log(
    against === undefined
      ? `\nCommit ${baseline.commit} cannot be built here. Compared with its report, by the calibration:`
      : `\nCompared with ${against}, which ran in turn:`,
  );
  const findings = against === undefined ? comparedWith(report, baseline) : comparedInRun(report);
  for (const line of findingsTable(findings)) console.log(line);
  return findings.some(({ isWorse }) => isWorse) ? 1 : 0;
}

/** Why these options can't be run, or null. */
async function faultOf(cases: readonly string[], peers: readonly string[], shop: boolean): Promise<string | null> {
  const unknown = cases.find((name) => !Object.hasOwn(CASES, name));
  if (unknown !== undefined) return `--case ${unknown}: there are ${Object.keys(CASES).join(", ")}`;
  return await hindrance(peers, shop);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      events: { type: "string", default: "1000000" },
      /** Events of the small topic (default: a tenth). */
      small: { type: "string" },
      users: { type: "string", default: "100000" },
      partitions: { type: "string", default: "6" },
      /** Most rounds. */
      runs: { type: "string", default: "5" },
      /** No round begins that would end later; the first always runs. 0: no limit. */
      minutes: { type: "string", default: "10" },
      case: { type: "string", multiple: true },
      /** Another version to run in turn: a checkout, a binary, or a commit. */
      against: { type: "string" },
      /** Other stream processors to run on the same topics; `--peer NAME` selects one. */
      peers: { type: "boolean", default: false },
      peer: { type: "string", multiple: true },
      /** Fill the topics by the simulator: with refused records, late events and duplicates. */
      shop: { type: "boolean", default: false },
      /** Folder that keeps the loaded topics for the next run. */
      data: { type: "string" },
      /** Seconds of the latency measurement; 0 skips it. */
      live: { type: "string", default: "10" },
      /** File for the report. */
      json: { type: "string" },
      /** Report to compare with: runs its commit in turn, if it can be built. */
      compare: { type: "string" },
      sources: { type: "boolean", default: false },
      v8: { type: "string", multiple: true, default: [] },
      verbose: { type: "boolean", default: false },
    },
  });
  const { data = null, verbose } = values;
  const endMs = values.minutes === "0" ? Infinity : performance.now() + Number(values.minutes) * 60_000;
  const limits: Limits = { runs: Number(values.runs), endMs, data, verbose };
  const date = new Date().toISOString();
  const peers = values.peer ?? (values.peers ? Object.keys(PEERS) : []);
  const chosen = values.case ?? Object.keys(CASES);
  const fault = await faultOf(chosen, peers, values.shop);
  if (fault !== null) {
    console.error(fault);
    return 1;
  }
  const cases = peers.length === 0 || chosen.includes(PEERS_CASE) ? chosen : [PEERS_CASE, ...chosen];
  const events = Number(values.events);
  const load: Load = {
    events,
    smallEvents: Number(values.small ?? Math.round(events / 10)),
    users: Number(values.users),
    partitions: Number(values.partitions),
    shop: values.shop,
  };
  const baseline = values.compare === undefined ? null : JSON.parse(await Deno.readTextFile(values.compare)) as Report;
  const released = baseline !== null && await hasCommit(baseline.commit) ? baseline.commit : undefined;
  const against = values.against ?? released;
  if (baseline !== null && against === undefined) assertEqualLoads(load, baseline.load);
  const folder = await Deno.makeTempDir({ prefix: "clickstream-against-" });
  try {
    const here = await builtHere();
    const programs = [
      values.sources ? fromSources(values.v8) : here,
      ...against === undefined ? [] : [await builtAgainst(against, folder)],
    ];
    const live = { perSecond: PER_SECOND, seconds: Number(values.live) };
    const rows = await runRounds({ cases, programs, peers, load, liveSeconds: live.seconds }, limits);
    const report: Report = { date, commit: await thisCommit(), machine: await thisMachine(), load, live, rows };
    for (const name of cases) console.log(`\n${caseTable(report, name).join("\n")}`);
    console.log(`\n${noise(report)}`);
    if (values.json !== undefined) await Deno.writeTextFile(values.json, `${JSON.stringify(report, null, 2)}\n`);
    return baseline === null ? 0 : compare(report, baseline, against);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

// KafkaJS keeps the process alive even after it has disconnected.
if (import.meta.main) Deno.exit(await main());
