/**
 * Checks that Kafka can be read, and keeps records for long enough.
 * @module
 */
import { Admin } from "../../kafka/admin.ts";
import { retrying } from "../../kafka/client.ts";
import { attempt } from "../../kafka/errors.ts";
import { addressOf } from "../../config/address.ts";
import type { Settings } from "../../config/config.ts";
import { currentTopicId } from "../../kafka/source.ts";
import { ADOPT, type TopicChange, topicChangeInWords } from "../../pipeline/source.ts";
import { askBroker } from "../../kafka/bootstrap.ts";
import { memberInWords } from "../../kafka/group.ts";
import { isWorkerClientId } from "../../kafka/member.ts";
import { inWords } from "../../config/secret.ts";
import { DAY_MS } from "../../views/view.ts";
import { clusterOf } from "../cli/cluster.ts";
import { kafkaLogin, ownCertificate } from "./logins.ts";
import { checkPeer, isWell } from "./network.ts";
import type { Followed } from "./postgres.ts";
import { advice, bad, type Finding, good } from "./finding.ts";
import type { READS } from "../cli/reads.ts";

type DoctorSettings = Settings<typeof READS.doctor[number]>;

/** Kafka's API key of fetch requests, and the version that the service sends: Kafka 3.1 introduced it. */
const FETCH = 1;
const FETCH_VERSION = 13;

/** A larger difference between clocks makes lags and latencies look wrong, in milliseconds. */
const CLOCK_MS = 5000;

/** How far ahead timestamps are looked for, in milliseconds and in words. */
const AHEAD = [[3_600_000, "an hour"], [600_000, "10 minutes"], [60_000, "a minute"], [CLOCK_MS, "5 seconds"]] as const;

/** Shortest retention, in days: a weekend without anyone on call. */
const RETENTION_DAYS = 3;

/**
 * Checks Kafka until a check fails that the next ones need. `followed` is the log that the tables follow; null if not
 * known.
 */
export async function checkKafka(
  settings: DoctorSettings,
  followed: Followed | null,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const { KAFKA_TLS_CERT: certificate } = settings;
  if (certificate !== null) {
    findings.push(ownCertificate("kafka client certificate", certificate.pem, "KAFKA_TLS_CERT"));
  }
  const { tlsClient } = clusterOf(settings);
  const ca = settings.KAFKA_TLS_CA === null ? null : { pem: settings.KAFKA_TLS_CA.pem, setting: "KAFKA_TLS_CA" };
  const checked = await Promise.all(settings.KAFKA_BROKERS.map(async (broker) => {
    const peer = {
      name: `kafka ${broker}`,
      address: addressOf(broker),
      setting: "KAFKA_BROKERS",
      ca,
      ...tlsClient && { client: tlsClient },
    };
    const found = await checkPeer(peer);
    return { broker, found: isWell(found) ? [...found, await answer(broker, settings)] : found };
  }));
  findings.push(...checked.flatMap(({ found }) => found));
  const brokers = checked.filter(({ found }) => isWell(found)).map(({ broker }) => broker);
  if (brokers.length === 0) return findings;
  // Only brokers that answered: the client would wait for a frozen one again and again.
  const cluster = { ...clusterOf(settings), brokers };
  await using admin = new Admin(cluster, "clickstream-doctor", retrying(1, 200, 200));
  const { as, todo } = kafkaLogin(settings);
  try {
    await attempt("log in to", cluster, () => admin.connect());
    findings.push(good("kafka login", as));
  } catch (error) {
    return [...findings, bad("kafka login", inWords(error), todo)];
  }
  findings.push(await tried("kafka version", () => version(admin)));
  if (await topic(admin, settings, findings)) {
    findings.push(...await several("kafka retention", () => retention(admin, settings)));
    findings.push(await tried("kafka clock", () => clock(admin, settings)));
    findings.push(await tried("kafka log", () => log(admin, settings, followed)));
  }
  findings.push(await tried("kafka group", () => group(admin, settings)));
  return findings;
}

/** Checks that a broker that accepts connections also answers. */
async function answer(broker: string, settings: DoctorSettings): Promise<Finding> {
  const check = `kafka ${broker} answer`;
  try {
    await askBroker(broker, clusterOf(settings));
    return good(check, "it answers as a Kafka broker");
  } catch (error) {
    const todo = "restart the broker if it is frozen; check its port and KAFKA_TLS_CA; or remove it from KAFKA_BROKERS";
    return bad(check, inWords(error), todo);
  }
}

const RIGHTS = "grant the user the rights to describe the cluster, and to describe and read the topic and the group";

async function tried(check: string, body: () => Promise<Finding>): Promise<Finding> {
  return (await several(check, async () => [await body()]))[0]!;
}

async function several(check: string, body: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await body();
  } catch (error) {
    return [bad(check, `cannot be checked: ${inWords(error)}`, RIGHTS)];
  }
}

async function version(admin: Admin): Promise<Finding> {
  const most = await admin.latestVersion(FETCH);
  const found = `the brokers answer fetch requests up to version ${most}; the service sends version ${FETCH_VERSION}`;
  if (most >= FETCH_VERSION) return good("kafka version", found);
  return bad("kafka version", found, "upgrade the brokers to Kafka 3.1 or later");
}

/** Checks the topic; returns whether it exists. */
async function topic(admin: Admin, { KAFKA_TOPIC: name }: DoctorSettings, findings: Finding[]): Promise<boolean> {
  const check = "kafka topic";
  try {
    if (!await admin.hasTopic(name)) {
      const todo =
        "check KAFKA_TOPIC; create the topic (`clickstream produce` does); or grant the user the right to describe it";
      findings.push(bad(check, `topic ${name} does not exist, or the user may not describe it`, todo));
      return false;
    }
    const partitions = await admin.partitions(name);
    const leaderless = partitions.filter(({ leader }) => leader < 0);
    const behind = partitions.filter(({ isr, replicas }) => isr.length < replicas.length);
    const found = `${name} has ${partitions.length} partitions`;
    if (leaderless.length > 0) {
      findings.push(bad(check, `${found}, ${leaderless.length} without a leader`, "start the brokers that hold them"));
    } else if (behind.length > 0) {
      findings.push(
        advice(
          check,
          `${found}, ${behind.length} with out-of-sync replicas`,
          "check the brokers that hold these replicas",
        ),
      );
    } else findings.push(good(check, `${found}, each with a leader and all replicas in sync`));
    return true;
  } catch (error) {
    findings.push(bad(check, `cannot describe topic ${name}: ${inWords(error)}`, RIGHTS));
    return false;
  }
}

async function retention(
  admin: Admin,
  { KAFKA_TOPIC: name, KAFKA_SASL_USERNAME: user }: DoctorSettings,
): Promise<Finding[]> {
  const check = "kafka retention";
  const config = await admin.topicSettings(name);
  if (config === null) {
    // The service itself works without this right.
    const found = `unknown: the user ${user ?? "ANONYMOUS"} lacks the right DescribeConfigs on topic ${name}`;
    const grant = `--add --allow-principal User:${user ?? "ANONYMOUS"} --operation DescribeConfigs --topic ${name}`;
    return [advice(check, found, `grant it to have retention checked: kafka-acls.sh --bootstrap-server … ${grant}`)];
  }
  const findings: Finding[] = [];
  if (config.get("cleanup.policy")?.includes("compact")) {
    const todo = `kafka-configs.sh --alter --topic ${name} --add-config cleanup.policy=delete`;
    findings.push(bad(check, "the topic is compacted: Kafka keeps only the last event of each user", todo));
  }
  const ms = Number(config.get("retention.ms") ?? -1);
  const bytes = Number(config.get("retention.bytes") ?? -1);
  const found = `records are kept ${ms < 0 ? "forever" : `for ${(ms / DAY_MS).toFixed(1)} days`}` +
    (bytes < 0 ? "" : `, at most ${bytes} bytes per partition`);
  const todo =
    `keep records for longer than the service or its database may be down, at least ${RETENTION_DAYS} days: ` +
    "raise retention.ms, and retention.bytes if it deletes records sooner";
  findings.push(ms >= 0 && ms < RETENTION_DAYS * DAY_MS ? advice(check, found, todo) : good(check, found));
  return findings;
}

/** Brokers do not report their clock, but record timestamps show the clock of the broker or producer that set them. */
async function clock(admin: Admin, { KAFKA_TOPIC: name }: DoctorSettings): Promise<Finding> {
  const check = "kafka clock";
  const nowMs = Date.now();
  const ends = new Map((await admin.bounds(name)).map(({ partition, end }) => [partition, end]));
  for (const [ms, words] of AHEAD) {
    // Without a record that new, Kafka returns the end of the partition, which is at or after the end read above.
    const first = [...await admin.offsetsAt(name, nowMs + ms)];
    const ahead = first.find(([partition, offset]) => offset < (ends.get(partition) ?? 0));
    if (ahead === undefined) continue;
    const [partition, offset] = ahead;
    const found =
      `the record at offset ${offset} of partition ${partition} has a timestamp more than ${words} ahead of ` +
      "this machine's clock";
    return advice(
      check,
      found,
      "synchronize the clocks of producers, brokers and this machine by NTP (timedatectl set-ntp true)",
    );
  }
  return good(check, "no record has a timestamp ahead of this machine's clock");
}

async function log(
  admin: Admin,
  settings: DoctorSettings,
  followed: Followed | null,
): Promise<Finding> {
  const check = "kafka log";
  const { KAFKA_TOPIC: name } = settings;
  if (followed === null) return good(check, "not compared: the committed offsets cannot be read from PostgreSQL");
  const { topicId, positions } = followed;
  const found = await currentTopicId({ ...clusterOf(settings), groupId: null, clientId: "clickstream-doctor" });
  if (topicId !== null && found !== null && topicId !== found) {
    return changed({ kind: "recreated", topic: name, followed: topicId, found });
  }
  const truncated = await admin.truncated(name, positions);
  let behind = 0;
  let forgot = "";
  for (const { partition, begin, end } of await admin.bounds(name)) {
    const position = positions.get(partition);
    if (position === undefined) {
      behind += end - begin;
      continue;
    }
    const { next, replay } = position;
    if (next > end) {
      return changed({ kind: "truncated", topic: name, partition, next, end, isOverwritten: false });
    }
    const from = truncated.get(partition);
    if (from !== undefined) {
      return changed({ kind: "truncated", topic: name, partition, next, end: from, isOverwritten: true });
    }
    if (next < begin) {
      const found = `offsets ${next} to ${begin - 1} of partition ${partition} were deleted before they were read`;
      return bad(
        check,
        found,
        "these records are lost, and the service will add them to clickstream.gaps; keep records for longer " +
          "(retention.ms), and keep the service running",
      );
    }
    if (replay < begin && replay < next) {
      forgot =
        `; after a restart, duplicates of events below offset ${begin} of partition ${partition} would be counted ` +
        "again, because Kafka deleted their ids";
    }
    behind += end - next;
  }
  return good(
    check,
    `${behind.toLocaleString("en")} records are not committed yet, and all of them are still in Kafka${forgot}`,
  );
}

function changed(change: TopicChange): Finding {
  return bad("kafka log", topicChangeInWords(change), `run: ${ADOPT}`);
}

async function group(admin: Admin, { KAFKA_GROUP_ID: id, KAFKA_TOPIC: topic }: DoctorSettings): Promise<Finding> {
  const check = "kafka group";
  const { state, members, protocol, protocolType } = await admin.group(id);
  const strangers = members.filter(({ clientId, topics }) =>
    !isWorkerClientId(clientId) || !(topics?.includes(topic) ?? false)
  );
  if (strangers.length > 0) {
    const how = [protocolType, protocol].filter((each) => each !== "").join("/");
    const found = `${id} has a member that is not this service: ${strangers.map(memberInWords).join("; ")}; ` +
      `the group assigns partitions by ${
        how || "no protocol yet"
      }, and nothing processes the partitions of that member`;
    return bad(check, found, "stop it, or use another group id for it or for this service (KAFKA_GROUP_ID)");
  }
  if (["Dead", ""].includes(state)) {
    if (!await admin.hasGroup(id)) return good(check, `${id} is new: it has no members yet`);
    const found = `${id} has members that use the newer group protocol; doctor cannot see who they are`;
    return advice(
      check,
      found,
      `check that they take no partitions from this service: kafka-consumer-groups.sh --describe --group ${id} --members`,
    );
  }
  return good(check, `${id} is ${state}, with ${members.length} members`);
}
