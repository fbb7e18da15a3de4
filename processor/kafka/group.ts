/**
 * Who is in a consumer group: Kafka's DescribeGroups, version 0, which every broker answers.
 * @module
 */
import { Reader, Writer } from "@platformatic/kafka";
import type { Buffer } from "node:buffer";
import type { BrokerConnection } from "./broker.ts";
import { BufferPool } from "./buffer_pool.ts";

/** A member of a group. */
export interface GroupMember {
  readonly clientId: string;
  readonly host: string;
  /** What it reads; null where it says so in a way that isn't Kafka's consumer protocol. */
  readonly topics: readonly string[] | null;
}

/** A group, as its coordinator describes it. */
export interface Group {
  /** Such as `Stable`; `Dead` where the coordinator has never heard of it. */
  readonly state: string;
  /** `consumer` for groups of consumers. */
  readonly protocolType: string;
  /** How it divides partitions, such as `roundrobin`. */
  readonly protocol: string;
  readonly members: readonly GroupMember[];
}

const DESCRIBE_GROUPS = 15;

/** Kafka's error codes of a coordinator that has just come to the group. */
const NOT_READY: ReadonlySet<number | null> = new Set([14, 15, 16]);

/** A coordinator does not describe a group. */
export class GroupNotDescribed extends Error {
  /** Whether it may a moment later. */
  readonly isNotReady: boolean;

  constructor(groupId: string, errorCode: number | null) {
    super(`Kafka does not describe the group ${groupId}: error ${errorCode}`);
    this.isNotReady = NOT_READY.has(errorCode);
  }
}

/**
 * Asks the coordinator of a group about it.
 *
 * @throws {Unavailable} if it doesn't answer
 * @throws {GroupNotDescribed} with Kafka's error code, if it refuses
 */
export async function describeGroup(coordinator: BrokerConnection, groupId: string): Promise<Group> {
  const request = Writer.create().appendArray(
    [groupId],
    (writer, id) => {
      writer.appendString(id, false);
    },
    false,
    false,
  );
  const reader = Reader.from(await coordinator.request(DESCRIBE_GROUPS, 0, request, false, new BufferPool()));
  const [group] = reader.readArray(
    (r) => {
      const errorCode = r.readInt16();
      r.readString(false); // its id
      const [state, protocolType, protocol] = [r.readString(false), r.readString(false), r.readString(false)];
      const members = r.readArray(
        (m): GroupMember => {
          m.readString(false); // its id
          const [clientId, host] = [m.readString(false), m.readString(false)];
          const topics = topicsOf(m.readBytes(false));
          m.readBytes(false); // its share
          return { clientId, host: host.replace(/^\//, ""), topics };
        },
        false,
        false,
      );
      return { errorCode, state, protocolType, protocol, members };
    },
    false,
    false,
  );
  if (group === undefined || group.errorCode !== 0) {
    throw new GroupNotDescribed(groupId, group?.errorCode ?? null);
  }
  return group;
}

/** The topics that a member has subscribed to, out of its metadata; null where that is of another protocol. */
export function topicsOf(metadata: Buffer): readonly string[] | null {
  try {
    const reader = Reader.from(metadata);
    reader.readInt16(); // version
    return reader.readArray((r) => r.readString(false), false, false);
  } catch {
    return null;
  }
}

/** A member in words: what it is, where it is and what it reads. */
export function memberInWords({ clientId, host, topics }: GroupMember): string {
  const reads = topics === null ? "speaks another protocol" : `reads ${topics.join(", ") || "nothing"}`;
  return `${clientId} at ${host.replace(/^\//, "")}, which ${reads}`;
}

/** The members that don't read a topic. */
export function strangersTo(topic: string, { members }: Group): readonly GroupMember[] {
  return members.filter(({ topics }) => !(topics?.includes(topic) ?? false));
}
