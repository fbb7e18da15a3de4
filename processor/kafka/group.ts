/**
 * The members of a consumer group, by Kafka's DescribeGroups, version 0, which every broker supports.
 * @module
 */
import { Writer } from "@platformatic/kafka";
import type { Buffer } from "node:buffer";
import { Answer, BufferPool, parseAnswer } from "./answer.ts";
import type { BrokerConnection } from "./broker.ts";

/** A member of a group. */
export interface GroupMember {
  readonly id: string;
  readonly clientId: string;
  readonly host: string;
  /** The topics it reads; null if it doesn't use Kafka's consumer protocol. */
  readonly topics: readonly string[] | null;
}

/** A group, as its coordinator describes it. */
export interface Group {
  /** Such as `Stable`; `Dead` for a group that the coordinator doesn't know. */
  readonly state: string;
  /** `consumer` for consumer groups. */
  readonly protocolType: string;
  /** The assignment strategy, such as `roundrobin`. */
  readonly protocol: string;
  readonly members: readonly GroupMember[];
}

const LEAVE_GROUP = 13;
const DESCRIBE_GROUPS = 15;

/** Kafka's error codes of a coordinator that has just taken over the group. */
const NOT_READY: ReadonlySet<number | null> = new Set([14, 15, 16]);

/** A coordinator refuses to describe a group. */
export class GroupNotDescribed extends Error {
  /** Whether a retry may succeed. */
  readonly isNotReady: boolean;

  constructor(groupId: string, errorCode: number | null) {
    super(`Kafka does not describe the group ${groupId}: error ${errorCode}`);
    this.isNotReady = NOT_READY.has(errorCode);
  }
}

/**
 * Asks a group's coordinator to describe it.
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
  const bytes = await coordinator.request(DESCRIBE_GROUPS, 0, request, false, new BufferPool());
  const [group] = parseAnswer("a question about a group", bytes, groupsFrom);
  if (group === undefined || group.errorCode !== 0) {
    throw new GroupNotDescribed(groupId, group?.errorCode ?? null);
  }
  return group;
}

/**
 * The described groups, each with Kafka's error code.
 *
 * @throws {Malformed} if the answer breaks Kafka's protocol
 */
export function groupsFrom(answer: Answer): (Group & { readonly errorCode: number })[] {
  return answer.list(() => {
    const errorCode = answer.int16();
    answer.text(); // its id
    const [state, protocolType, protocol] = [answer.text(), answer.text(), answer.text()];
    const members = answer.list((): GroupMember => {
      const [id, clientId, host] = [answer.text(), answer.text(), answer.text()];
      const topics = topicsOf(answer.longBytes());
      answer.longBytes(); // its assignment
      return { id, clientId, host: host.replace(/^\//, ""), topics };
    });
    return { errorCode, state, protocolType, protocol, members };
  });
}

/** Makes a member leave its group, by LeaveGroup, version 0; a member that has left already is no error. */
export async function leaveFor(coordinator: BrokerConnection, groupId: string, memberId: string): Promise<void> {
  const request = Writer.create().appendString(groupId, false).appendString(memberId, false);
  await coordinator.request(LEAVE_GROUP, 0, request, false, new BufferPool());
}

/** The topics that a member subscribed to, from its metadata; null if that is of another protocol. */
export function topicsOf(metadata: Buffer): readonly string[] | null {
  try {
    const answer = new Answer(metadata);
    answer.int16(); // version
    return answer.list(() => answer.text());
  } catch {
    return null;
  }
}

/** A member as text: its client id, its host and its topics. */
export function memberInWords({ clientId, host, topics }: GroupMember): string {
  const reads = topics === null ? "speaks another protocol" : `reads ${topics.join(", ") || "nothing"}`;
  return `${clientId} at ${host.replace(/^\//, "")}, which ${reads}`;
}

/** The members that don't read a topic. */
export function strangersTo(topic: string, { members }: Group): readonly GroupMember[] {
  return members.filter(({ topics }) => !(topics?.includes(topic) ?? false));
}
