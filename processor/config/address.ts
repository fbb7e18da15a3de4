/**
 * Where something listens.
 * @module
 */

/** Host and port; port 0 is any that is free. */
export interface Address {
  readonly hostname: string;
  readonly port: number;
}

const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?)$/i;

/**
 * Reads `host:port`, an IPv6 host in brackets; without a port it is `otherwisePort`.
 *
 * @throws {RangeError} if it is none
 */
export function addressOf(text: string, otherwisePort: number | null = null): Address {
  const [, host = "", port = otherwisePort] = /^(\[.*\]|[^:]*)(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (!HOST.test(host) || port === null || Number(port) > 65_535) {
    throw new RangeError(`${JSON.stringify(text.slice(0, 100))} is not host:port`);
  }
  return { hostname: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}

/** An address as `host:port`, an IPv6 host in brackets. */
export function addressText({ hostname, port }: Address): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}
