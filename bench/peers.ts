/**
 * The peers: other stream processors that write the windows of one of our cases from the same topic to the same
 * PostgreSQL, as an engineer who knows them would. Their tables are compared with ours.
 * @module
 */
import { fileURLToPath } from "node:url";
import { Child, run, until } from "../testing/servers/child.ts";
import { jarsOf } from "../testing/servers/maven.ts";
import { type Server, using } from "../testing/servers/postgres.ts";
import type { Stand } from "./drain.ts";
import type { Drained } from "./figures.ts";
import type { Topic } from "./fill.ts";
import { type Compared, compareWindows, tablesSql, type Written, written } from "./peers_tables.ts";
import { residentPeakMb, treeCpuSeconds } from "../testing/servers/usage.ts";

/** Java packages that Spark accesses beyond Java's defaults. */
const OPENED = [
  ...["lang", "lang.invoke", "lang.reflect", "io", "net", "nio", "util", "util.concurrent", "util.concurrent.atomic"]
    .map((name) => `java.base/java.${name}`),
  ...["nio.ch", "nio.cs", "security.action", "util.calendar"].map((name) => `java.base/sun.${name}`),
  "java.base/jdk.internal.ref",
];

/** A stream processor: the folder of its jars, and Java's options for it. */
interface Peer {
  readonly title: string;
  readonly jars: string;
  readonly java: readonly string[];
}

/** Peers that can be compared. `peers/` has a folder for each, with its pom and its job. */
export const PEERS: Readonly<Record<string, Peer>> = {
  streams: {
    title: "Kafka Streams 4.3.1",
    jars: "kafka-streams-4.3.1",
    java: ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"],
  },
  spark: {
    title: "Spark 4.2.0",
    jars: "spark-4.2.0",
    java: OPENED.map((name) => `--add-opens=${name}=ALL-UNNAMED`),
  },
};

/** State of a run when its tables changed. */
interface Sample {
  readonly held: Written;
  readonly atMs: number;
  readonly cpu: number;
  readonly databaseCpu: number;
}

/**
 * A peer is done when everything is there and stable, or when nearly everything is and nothing more comes (the rest was
 * late).
 */
const SETTLED_MS = 3000;
const ENOUGH = 0.99;
const STALLED_MS = 10_000;
/** Without any write for this long, it is stuck. */
const STUCK_MS = 120_000;

/** Returns why these peers can't run, or null. */
export async function hindrance(peers: readonly string[], byShop: boolean): Promise<string | null> {
  const unknown = peers.find((name) => !Object.hasOwn(PEERS, name));
  if (unknown !== undefined) return `--peer ${unknown}: there are ${Object.keys(PEERS).join(" and ")}`;
  if (peers.length === 0) return null;
  if (byShop) return "--peers and --shop: the peers can't take the shop's broken messages";
  const has = await run("javac", ["--version"]).then(() => true, () => false);
  return has ? null : "--peers: Java is missing: apt-get install openjdk-17-jdk-headless";
}

/** Lets a peer drain a topic, and compares its tables with those that we wrote from the same topic. */
export async function drainBy(
  name: string,
  { broker, server }: Stand,
  { topic, counts }: Topic,
  oursUrl: string,
): Promise<Drained & Compared> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-peer-" });
  const url = await server.createDatabase();
  await using(url, (db) => db.exec(tablesSql()));
  const goal = await using(oursUrl, (db) => written(db, "clickstream"));
  const start = await compiled(name, `${folder}/classes`);
  const args = [broker.bootstrap, topic, jdbcUrl(url), folder];
  const databaseBefore = await treeCpuSeconds(server.pid);
  const startedMs = performance.now();
  try {
    await using job = start(args, `${folder}/log`);
    const { first, last } = await watch(job, url, server, goal);
    const peakMb = await residentPeakMb(job.pid);
    await job.end("SIGTERM");
    const compared = await compareWindows(oursUrl, url);
    return {
      ...compared,
      events: counts.records,
      cpuSeconds: last.cpu,
      databaseCpuSeconds: last.databaseCpu - databaseBefore,
      perSecond: first === last ? null : (last.held.events - first.held.events) / (last.atMs - first.atMs) * 1000,
      firstResultSeconds: (first.atMs - startedMs) / 1000,
      peakMb,
    };
  } finally {
    // Repartition topics are named after the folder.
    await broker.deleteTopics(folder.slice(folder.lastIndexOf("/") + 1));
    await Deno.remove(folder, { recursive: true });
    await server.dropDatabase(url);
  }
}

/** Waits until a job has written everything; returns the times of its first and last write. */
async function watch(job: Child, url: string, server: Server, goal: Written): Promise<{ first: Sample; last: Sample }> {
  let first: Sample | null = null;
  let last: Sample | null = null;
  const startedMs = performance.now();
  await using(url, (db) =>
    until(
      "the peer is through",
      async () => {
        if (job.ended) throw new Error(`the peer ended:\n${await job.tail()}`);
        const held = await written(db, "public", goal.events * ENOUGH);
        const atMs = performance.now();
        if (held.events > 0 && JSON.stringify(held) !== JSON.stringify(last?.held)) {
          const [cpu, databaseCpu] = await Promise.all([treeCpuSeconds(job.pid), treeCpuSeconds(server.pid)]);
          last = { held, atMs, cpu, databaseCpu };
          first ??= last;
        }
        const quietMs = atMs - (last?.atMs ?? startedMs);
        if (quietMs > STUCK_MS) {
          const tables = `${JSON.stringify(held)} of ${JSON.stringify(goal)}`;
          throw new Error(`the peer is stuck, its tables hold ${tables}:\n${await job.tail()}`);
        }
        const share = Math.min(held.events / goal.events, held.views / goal.views, held.windows / goal.windows);
        return share >= 1 ? quietMs > SETTLED_MS : share >= ENOUGH && quietMs > STALLED_MS;
      },
      1_800_000,
      200,
    ));
  return { first: first!, last: last! };
}

/** Compiles a job, which is not measured; returns the command that starts it. */
async function compiled(name: string, classes: string): Promise<(args: readonly string[], log: string) => Child> {
  const { jars, java } = PEERS[name]!;
  const libs = `${await jarsOf(jars, new URL(`peers/${name}/pom.xml`, import.meta.url))}/*`;
  await run("javac", ["-cp", libs, "-d", classes, fileURLToPath(new URL(`peers/${name}/Job.java`, import.meta.url))]);
  const options = ["-Xmx2g", "-XX:+UseParallelGC", "-Duser.timezone=UTC", ...java, "-cp", `${classes}:${libs}`, "Job"];
  return (args, log) => Child.start("java", [...options, ...args], log);
}

/** JDBC URL of the same database; statements of a batch are sent as one. */
function jdbcUrl(url: string): string {
  const { host, pathname, username } = new URL(url);
  return `jdbc:postgresql://${host}${pathname}?user=${username}&reWriteBatchedInserts=true`;
}
