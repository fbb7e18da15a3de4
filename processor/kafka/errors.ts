/**
 * Explains Kafka's errors.
 * @module
 */
import type { ErrorCode } from "@platformatic/kafka";
import type { Classification } from "../pipeline/causes.ts";

/** The kind of most connection errors. */
export const UNREACHABLE: Classification = { kind: "kafka_unreachable" };

const CHECK_LOGIN = "check KAFKA_SASL_MECHANISM and the settings of its login";

/** The client's code for an unknown topic, and for other errors too. */
const USER_ERROR: ErrorCode = "PLT_KFK_USER";

/** An error of the client, and all its causes. */
export function withCauses(error: unknown): readonly Error[] {
  if (!(error instanceof Error)) return [];
  const inner: readonly unknown[] = "errors" in error && Array.isArray(error.errors) ? error.errors : [];
  return [error, ...[...inner, error.cause].flatMap(withCauses)];
}

/** True if Kafka answered with this error, such as `TOPIC_ALREADY_EXISTS`, however the client words it. */
export function isAnswer(error: unknown, id: string): boolean {
  return withCauses(error).some((each) => "apiId" in each && each.apiId === id);
}

/**
 * True if the client says that a requested topic does not exist. The client replaces Kafka's code by its own code,
 * which other errors have only as a nested cause.
 */
export function isUnknownTopic(error: unknown): boolean {
  if (isAnswer(error, "UNKNOWN_TOPIC_OR_PARTITION")) return true;
  return error instanceof Error && "code" in error && error.code === USER_ERROR;
}

/** What to do about errors, by their name in Kafka or in the client. */
const ADVICE: Readonly<Record<string, string>> = {
  TOPIC_AUTHORIZATION_FAILED: "give the user the right to create, describe and write the topic",
  CLUSTER_AUTHORIZATION_FAILED: "give the user the right IdempotentWrite, and to create topics",
  MESSAGE_TOO_LARGE: "leave out records of a MiB and more, or raise the topic's max.message.bytes",
  RECORD_LIST_TOO_LARGE: "raise the brokers' message.max.bytes",
  INVALID_TIMESTAMP: "use a time that is not in the future, or raise the topic's message.timestamp.after.max.ms",
  INVALID_PARTITIONS: "set KAFKA_PARTITIONS to a number that the brokers allow",
  INVALID_REPLICATION_FACTOR: "start more brokers, or lower their default.replication.factor",
  // The two clients' own names for a refused login: first the one for transactions, then the other.
  KafkaJSSASLAuthenticationError: CHECK_LOGIN,
  PLT_KFK_AUTHENTICATION: CHECK_LOGIN,
};

const CHECK = "see that it runs, and check KAFKA_BROKERS, KAFKA_TLS_CA, KAFKA_TLS_CERT and KAFKA_SASL_MECHANISM";

/** TLS alerts of a server that demands a certificate of the client, or refuses the one that it got. */
const CERTIFICATE_ALERT =
  /alert:? ?(bad ?certificate|certificate ?(required|unknown|expired|revoked)|unknown ?ca|access ?denied)/i;

/** The message of an error on a connection to a broker; says what to do about the client's certificate. */
export function connectionError(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (!CERTIFICATE_ALERT.test(message)) return message;
  return `${message}: the broker demands a certificate of the client, or does not accept the one that it got; check KAFKA_TLS_CERT`;
}

/**
 * Runs an action on Kafka; `verb` names it in errors.
 *
 * @throws {Error} that says what was tried, names the brokers and the topic, and says what to do
 */
export async function attempt<T>(
  verb: string,
  { brokers, topic }: { readonly brokers: readonly string[]; readonly topic: string },
  action: () => Promise<T>,
): Promise<T> {
  try {
    return await action();
  } catch (error) {
    const { message, names } = rootOf(error);
    const advice = names.map((name) => ADVICE[name]).find((each) => each !== undefined) ?? CHECK;
    throw new Error(`can't ${verb} Kafka at ${brokers.join(",")}, topic ${topic}: ${message}; ${advice}`, {
      cause: error,
    });
  }
}

/** Fields in which clients keep an error's name: Kafka's or their own. */
const NAMES = ["type", "apiId", "code"];

/** The root cause of a client's error: its message, and all its names. */
function rootOf(error: unknown): { message: string; names: string[] } {
  const names: string[] = [];
  let message = String(error);
  for (let at: unknown = error; at instanceof Error; at = inner(at)) {
    names.push(at.name);
    for (const name of NAMES) {
      const named = Reflect.get(at, name);
      if (typeof named === "string") names.push(named);
    }
    message = at.message;
  }
  return { message, names };
}

function inner(error: Error): unknown {
  if ("errors" in error && Array.isArray(error.errors)) return error.errors[0];
  return error.cause;
}
