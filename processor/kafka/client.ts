/**
 * What all clients of a cluster have in common.
 * @module
 */
import type { BaseOptions } from "@platformatic/kafka";
import type { KafkaAccess } from "./broker.ts";

/** Where a cluster is, and how its brokers want to be spoken to. */
export interface ClusterAccess extends KafkaAccess {
  readonly brokers: readonly string[];
}

/** Longest time to wait for a client to close: one that leaves a group asks a broker that may be frozen. */
const CLOSE_WITHIN_MS = 2_000;

/** How a client reaches the cluster. */
export function accessOptions(
  { brokers, tlsCa, tls, sasl }: ClusterAccess,
): Pick<BaseOptions, "bootstrapBrokers" | "connectTimeout" | "tls" | "tlsServerName" | "sasl"> {
  return {
    bootstrapBrokers: [...brokers],
    connectTimeout: 5000,
    ...(tlsCa !== undefined || tls ? { tls: tlsCa === undefined ? {} : { ca: tlsCa }, tlsServerName: true } : {}),
    ...(sasl === undefined ? {} : { sasl }),
  };
}

/** How often a client repeats what failed, and how long it waits before. */
export interface Retries {
  readonly retries: number;
  /** Milliseconds before the attempt of this number, from 1 on. */
  readonly retryDelay: (client: object, operation: string, attempt: number) => number;
}

/** Repeats up to `retries` times, first after `firstMs`, then after twice as long each time, but no more than `mostMs`. */
export function retrying(retries: number, firstMs: number, mostMs: number): Retries {
  return { retries, retryDelay: (_client, _operation, attempt) => Math.min(mostMs, firstMs * 2 ** (attempt - 1)) };
}

/** Closes a client, or gives it up after 2 s. */
export async function closed(client: { close(force: true): Promise<unknown> }): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, CLOSE_WITHIN_MS));
  await Promise.race([client.close(true).catch(() => {}), late]);
  clearTimeout(timer);
}
