/**
 * Whether Kafka can be read, and keeps what is needed.
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
import { inWords } from "../../config/secret.ts";
import { DAY_MS } from "../../views/view.ts";
import { clusterOf } from "../cli/cluster.ts";
import { checkPeer, isWell } from "./network.ts";
import type { Followed } from "./postgres.ts";
import { advice, bad, type Finding, good } from "./finding.ts";
import type { READS } from "../cli/reads.ts";

type DoctorSettings = Settings<typeof READS.doctor[number]>;

/** Kafka's number of a fetch, and the version that is sent: Kafka 3.1 was the first to know it. */
const FETCH = 1;
const FETCH_VERSION = 13;

/** Clocks that differ by more make lags and latencies look wrong, in milliseconds. */
const CLOCK_MS = 5000;

/** How far ahead records are looked for, in milliseconds, and what it is called. */
const AHEAD = [[3_600_000, "an hour"], [600_000, "10 minutes"], [60_000, "a minute"], [CLOCK_MS, "5 seconds"]] as const;

/** Shortest time that the log should reach back: a weekend in which nobody looks. */
const RETENTION_DAYS = 3;

/** Checks Kafka as far as can be got. `followed` is the log that the tables follow, if that could be learnt. */
export async function checkKafka(
  settings: DoctorSettings,
  followed: Followed | null,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const ca = settings.KAFKA_TLS_CA === null ? null : { pem: settings.KAFKA_TLS_CA.pem, setting: "KAFKA_TLS_CA" };
  const checked = await Promise.all(settings.KAFKA_BROKERS.map(async (broker) => {
    const peer = { name: `kafka ${broker}`, address: addressOf(broker), setting: "KAFKA_BROKERS", ca };
    const found = await checkPeer(peer);
    return { broker, found: isWell(found) ? [...found, await answer(broker, settings)] : found };
  }));
  findings.push(...checked.flatMap(({ found }) => found));
  const brokers = checked.filter(({ found }) => isWell(found)).map(({ broker }) => broker);
  if (brokers.length === 0) return findings;
  // What takes connections and never answers would be waited for again and again.
  const cluster = { ...clusterOf(settings), brokers };
  await using admin = new Admin(cluster, "clickstream-doctor", retrying(1, 200, 200));
  const how = settings.KAFKA_SASL_MECHANISM ?? "nobody in particular";
  try {
    await attempt("log in to", cluster, () => admin.connect());
    findings.push(good("kafka login", `as ${settings.KAFKA_SASL_USERNAME ?? "nobody"}, by ${how}`));
  } catch (error) {
    const todo = settings.KAFKA_SASL_MECHANISM === null
      ? "see whether the listener asks for TLS or a login: KAFKA_TLS_CA, KAFKA_SASL_MECHANISM"
      : "check KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, and the user on the brokers";
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

/** Whether a broker that takes connections answers as well. */
async function answer(broker: string, settings: DoctorSettings): Promise<Finding> {
  const check = `kafka ${broker} answer`;
  try {
    await askBroker(broker, clusterOf(settings));
    return good(check, "it answers as Kafka does");
  } catch (error) {
    const todo = "restart the broker if it is frozen; check port and KAFKA_TLS_CA; or take it out of KAFKA_BROKERS";
    return bad(check, inWords(error), todo);
  }
}

const RIGHTS = "give the user the rights to describe the cluster, and to describe and read topic and group";

async function tried(check: string, body: () => Promise<Finding>): Promise<Finding> {
  return (await several(check, async () => [await body()]))[0]!;
}

async function several(check: string, body: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await body();
  } catch (error) {
    return [bad(check, `could not be asked for: ${inWords(error)}`, RIGHTS)];
  }
}

async function version(admin: Admin): Promise<Finding> {
  const most = await admin.latestVersion(FETCH);
  const found = `fetches up to version ${most} are answered; ${FETCH_VERSION} is sent`;
  if (most >= FETCH_VERSION) return good("kafka version", found);
  return bad("kafka version", found, "use brokers of Kafka 3.1 or later");
}

/** Whether there is such a topic. */
async function topic(admin: Admin, { KAFKA_TOPIC: name }: DoctorSettings, findings: Finding[]): Promise<boolean> {
  const check = "kafka topic";
  try {
    if (!await admin.hasTopic(name)) {
      const todo =
        "check KAFKA_TOPIC, or create it: `clickstream produce` does; or give the user the right to describe it";
      findings.push(bad(check, `there is no topic ${name}, or it is not shown`, todo));
      return false;
    }
    const partitions = await admin.partitions(name);
    const leaderless = partitions.filter(({ leader }) => leader < 0);
    const behind = partitions.filter(({ isr, replicas }) => isr.length < replicas.length);
    const found = `${name} has ${partitions.length} partitions`;
    if (leaderless.length > 0) {
      findings.push(bad(check, `${found}, ${leaderless.length} without a leader`, "start the brokers that have them"));
    } else if (behind.length > 0) {
      findings.push(
        advice(check, `${found}, ${behind.length} with copies behind`, "see to the brokers with the copies"),
      );
    } else findings.push(good(check, `${found}, each with a leader and all its copies`));
    return true;
  } catch (error) {
    findings.push(bad(check, `${name} could not be asked for: ${inWords(error)}`, RIGHTS));
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
    // The service itself does not need this right.
    const found = `not known: the user ${user ?? "ANONYMOUS"} may not DescribeConfigs on the topic ${name}`;
    const grant = `--add --allow-principal User:${user ?? "ANONYMOUS"} --operation DescribeConfigs --topic ${name}`;
    return [advice(check, found, `to have it checked: kafka-acls.sh --bootstrap-server … ${grant}`)];
  }
  const findings: Finding[] = [];
  if (config.get("cleanup.policy")?.includes("compact")) {
    const todo = `kafka-configs.sh --alter --topic ${name} --add-config cleanup.policy=delete`;
    findings.push(bad(check, "the topic is compacted: of each user only the last event is kept", todo));
  }
  const ms = Number(config.get("retention.ms") ?? -1);
  const bytes = Number(config.get("retention.bytes") ?? -1);
  const found = `records are kept for ${ms < 0 ? "ever" : `${(ms / DAY_MS).toFixed(1)} days`}` +
    (bytes < 0 ? "" : `, and ${bytes} bytes of each partition at most`);
  const todo = `keep them for longer than the service or its database may be down, at least ${RETENTION_DAYS} days: ` +
    "retention.ms, and no retention.bytes that ends it sooner";
  findings.push(ms >= 0 && ms < RETENTION_DAYS * DAY_MS ? advice(check, found, todo) : good(check, found));
  return findings;
}

/** Brokers don't say what time it is; but whoever stamps records, they or the producers, says it with each. */
async function clock(admin: Admin, { KAFKA_TOPIC: name }: DoctorSettings): Promise<Finding> {
  const check = "kafka clock";
  const nowMs = Date.now();
  const ends = new Map((await admin.bounds(name)).map(({ partition, end }) => [partition, end]));
  for (const [ms, words] of AHEAD) {
    // Where no record is as new, it is where the partition ends now, which is not before where it ended then.
    const first = [...await admin.offsetsAt(name, nowMs + ms)];
    const ahead = first.find(([partition, offset]) => offset < (ends.get(partition) ?? 0));
    if (ahead === undefined) continue;
    const [partition, offset] = ahead;
    const found = `the record at offset ${offset} of partition ${partition} is stamped more than ${words} ahead of ` +
      "this machine's clock";
    return advice(
      check,
      found,
      "let producers, brokers and this machine keep their clocks by NTP (timedatectl set-ntp true)",
    );
  }
  return good(check, "no record is stamped ahead of this machine's clock");
}

async function log(
  admin: Admin,
  settings: DoctorSettings,
  followed: Followed | null,
): Promise<Finding> {
  const check = "kafka log";
  const { KAFKA_TOPIC: name } = settings;
  if (followed === null) return good(check, "not compared, for the database does not say how far it has come");
  const { topicId, positions } = followed;
  const found = await currentTopicId({ ...clusterOf(settings), groupId: null, clientId: "clickstream-doctor" });
  if (topicId !== null && found !== null && topicId !== found) {
    return changed({ kind: "recreated", topic: name, followed: topicId, found });
  }
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
      return changed({ kind: "truncated", topic: name, partition, next, end });
    }
    if (next < begin) {
      const found = `offsets ${next} to ${begin - 1} of partition ${partition} were deleted before they were read`;
      return bad(
        check,
        found,
        "what is lost stays lost, and will be noted in clickstream.gaps; keep records for longer (retention.ms), and " +
          "the service running",
      );
    }
    if (replay < begin && replay < next) {
      forgot =
        `; after a start repeats of events below offset ${begin} of partition ${partition} would count again, for ` +
        "their ids were deleted";
    }
    behind += end - next;
  }
  return good(
    check,
    `${behind.toLocaleString("en")} records are still to be taken in, and all of them are there${forgot}`,
  );
}

function changed(change: TopicChange): Finding {
  return bad("kafka log", topicChangeInWords(change), `type: ${ADOPT}`);
}

async function group(admin: Admin, { KAFKA_GROUP_ID: id, KAFKA_TOPIC: topic }: DoctorSettings): Promise<Finding> {
  const check = "kafka group";
  const { state, members, protocol, protocolType } = await admin.group(id);
  const strangers = members.filter(({ clientId, topics }) =>
    clientId !== "clickstream" || !(topics?.includes(topic) ?? false)
  );
  if (strangers.length > 0) {
    const how = [protocolType, protocol].filter((each) => each !== "").join("/");
    const found = `${id} has a member that is not this program: ${strangers.map(memberInWords).join("; ")}; ` +
      `the group divides by ${how || "nothing yet"}, and what that member gets is not taken in`;
    return bad(check, found, "end it, or give it or this program another KAFKA_GROUP_ID");
  }
  if (["Dead", ""].includes(state)) {
    if (!await admin.hasGroup(id)) return good(check, `${id} is new: nobody has joined it yet`);
    const found = `${id} has members that speak the newer group protocol; who they are can't be seen from here`;
    return advice(
      check,
      found,
      `see that they are not in the way: kafka-consumer-groups.sh --describe --group ${id} --members`,
    );
  }
  return good(check, `${id} is ${state}, with ${members.length} members`);
}
