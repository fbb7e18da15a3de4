/**
 * Finds the brokers in `KAFKA_BROKERS` that answer. Kafka clients use the first one that accepts a connection and wait
 * long for it, but a frozen process accepts connections and never answers.
 * @module
 */
import { Buffer } from "node:buffer";
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { addressOf } from "../config/address.ts";
import type { KafkaAccess } from "./broker.ts";
import { tlsOptions } from "./client.ts";
import { connectionError } from "./errors.ts";

/** Time that each broker has for its answer, in milliseconds. */
const ANSWER_WITHIN_MS = 5000;
/** After the first answer, how long the other brokers still have to answer, in milliseconds. */
const OTHERS_WITHIN_MS = 250;

/** ApiVersions, version 0, without a client id: brokers answer it before authentication. */
const CORRELATION = 0x636c6b73;
const REQUEST = Buffer.alloc(14);
REQUEST.writeInt32BE(10, 0);
REQUEST.writeInt16BE(18, 4);
REQUEST.writeInt32BE(CORRELATION, 8);
REQUEST.writeInt16BE(-1, 12);

/** Bytes of an answer up to the end of its correlation id. */
const ANSWER_BYTES = 8;

/**
 * Asks one broker for its API versions.
 *
 * @param broker `host:port`
 * @throws {Error} naming the broker, if it doesn't answer within 5 s or doesn't speak Kafka's protocol
 */
export async function askBroker(broker: string, access: KafkaAccess): Promise<void> {
  let socket: Socket | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const late = `no answer within ${ANSWER_WITHIN_MS / 1000} s; it is frozen, or something else listens there`;
      timer = setTimeout(() => reject(new Error(late)), ANSWER_WITHIN_MS);
      socket = opened(broker, access);
      let answer = Buffer.alloc(0);
      socket.on("data", (bytes: Buffer) => {
        answer = Buffer.concat([answer, bytes]);
        if (answer.length < ANSWER_BYTES) return;
        if (answer.readInt32BE(4) === CORRELATION) resolve();
        else reject(new Error("the server does not speak Kafka's protocol, or requires TLS"));
      });
      socket.on("error", reject);
      const needs = tlsOptions(access) === null ? "TLS" : "a certificate of the client that it trusts (KAFKA_TLS_CERT)";
      const closed = `the server closed the connection; it is not Kafka, or requires ${needs}`;
      socket.on("close", () => reject(new Error(closed)));
      socket.write(REQUEST);
    });
  } catch (error) {
    throw new Error(`Kafka at ${broker}: ${connectionError(error)}`, { cause: error });
  } finally {
    clearTimeout(timer);
    socket?.destroy();
  }
}

/**
 * The brokers that answer, in the order of the list. All are asked at once; one answer is enough.
 *
 * @param warn called for each broker that doesn't answer, with the reason
 * @throws {Error} if none answers, with the reason of each
 */
export async function answeringBrokers(
  brokers: readonly string[],
  access: KafkaAccess,
  warn: (message: string, broker: string) => void,
): Promise<readonly string[]> {
  const answered = new Set<string>();
  const asked = brokers.map(async (broker) => {
    await askBroker(broker, access);
    answered.add(broker);
  });
  try {
    await Promise.any(asked);
  } catch (error) {
    const reasons = error instanceof AggregateError ? error.errors : [error];
    throw new Error(reasons.map((reason) => reason instanceof Error ? reason.message : String(reason)).join("; "));
  }
  for (const [n, broker] of brokers.entries()) {
    asked[n]!.catch((error) => warn(`${error.message}. The other brokers of KAFKA_BROKERS are used`, broker));
  }
  let timer: ReturnType<typeof setTimeout> | undefined;
  const grace = new Promise<void>((resolve) => timer = setTimeout(resolve, OTHERS_WITHIN_MS));
  await Promise.race([grace, Promise.allSettled(asked)]);
  clearTimeout(timer);
  return brokers.filter((broker) => answered.has(broker));
}

function opened(broker: string, access: KafkaAccess): Socket {
  const { hostname: host, port } = addressOf(broker);
  const tls = tlsOptions(access);
  if (tls === null) return connect(port, host);
  return connectTls({ host, port, servername: isIP(host) ? "" : host, ...tls });
}
