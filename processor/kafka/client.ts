/**
 * What all clients of a cluster have in common.
 * @module
 */
import type { BaseOptions, ConnectionPoolEventPayload } from "@platformatic/kafka";
import type { KafkaAccess } from "./broker.ts";
import { refusalIn } from "./login/oauth.ts";

/** Where a cluster is, and how to connect to its brokers. */
export interface ClusterAccess extends KafkaAccess {
  readonly brokers: readonly string[];
}

/** Longest time to wait for a client to close: to leave a group it asks a broker, which may be frozen. */
const CLOSE_WITHIN_MS = 2_000;

/** The client's options for reaching the cluster. */
export function accessOptions(
  { brokers, sasl, ...access }: ClusterAccess,
): Pick<BaseOptions, "bootstrapBrokers" | "connectTimeout" | "tls" | "tlsServerName" | "sasl"> {
  const tls = tlsOptions(access);
  return {
    bootstrapBrokers: [...brokers],
    connectTimeout: 5000,
    ...(tls === null ? {} : { tls, tlsServerName: true }),
    ...(sasl === undefined ? {} : { sasl: saslOptions(sasl) }),
  };
}

/** Node's options for TLS; null without TLS. */
export function tlsOptions(
  { tlsCa, tls, tlsClient }: KafkaAccess,
): { ca?: string; cert?: string; key?: string } | null {
  if (tlsCa === undefined && tlsClient === undefined && tls !== true) return null;
  return { ...(tlsCa === undefined ? {} : { ca: tlsCa }), ...tlsClient };
}

function saslOptions(sasl: NonNullable<KafkaAccess["sasl"]>): NonNullable<BaseOptions["sasl"]> {
  if (sasl.mechanism !== "OAUTHBEARER") return sasl;
  const { mechanism, token, extensions } = sasl;
  return {
    mechanism,
    token,
    oauthBearerExtensions: { ...extensions },
    authBytesValidator: (bytes, callback) => {
      const refusal = refusalIn(bytes);
      callback(refusal === null ? null : new Error(refusal), bytes);
    },
  };
}

/** How often a client retries, and how long it waits before each retry. */
export interface Retries {
  readonly retries: number;
  /** Milliseconds before the attempt with this number, from 1. */
  readonly retryDelay: (client: object, operation: string, attempt: number) => number;
}

/** Up to `retries` retries: the first after `firstMs`, each next one after twice as long, but at most `mostMs`. */
export function retrying(retries: number, firstMs: number, mostMs: number): Retries {
  return { retries, retryDelay: (_client, _operation, attempt) => Math.min(mostMs, firstMs * 2 ** (attempt - 1)) };
}

/** Events of a client. */
interface Emitter {
  on(event: "error", listener: () => void): unknown;
  on(
    event: "client:broker:connect" | "client:broker:failed",
    listener: (payload: ConnectionPoolEventPayload) => void,
  ): unknown;
}

/**
 * Ignores errors that a client emits besides: its calls report the same. Without a listener they would end the process.
 * A connection that fails during a login, its first or a later one, emits more than one.
 */
export function quiet(client: Emitter): void {
  client.on("error", () => {});
  for (const event of ["client:broker:connect", "client:broker:failed"] as const) {
    client.on(event, ({ connection }) => connection.on("error", () => {}));
  }
}

/** Closes a client; stops waiting for it after 2 s. */
export async function closed(client: { close(force: true): Promise<unknown> }): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, CLOSE_WITHIN_MS));
  await Promise.race([client.close(true).catch(() => {}), late]);
  clearTimeout(timer);
}
