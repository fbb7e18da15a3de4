/**
 * Addresses of hosts and ports.
 * @module
 */

/** Host and port; port 0 picks a free one. */
export interface Address {
  readonly hostname: string;
  readonly port: number;
}

const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?)$/i;

/**
 * Parses `host:port`, with an IPv6 host in brackets; `defaultPort` is used if there is no port.
 *
 * @throws {RangeError} if the text is not an address
 */
export function addressOf(text: string, defaultPort: number | null = null): Address {
  const [, host = "", port = defaultPort] = /^(\[.*\]|[^:]*)(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (!HOST.test(host) || port === null || Number(port) > 65_535) {
    throw new RangeError(`${JSON.stringify(text.slice(0, 100))} is not host:port`);
  }
  return { hostname: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}

/** An address as `host:port`, with an IPv6 host in brackets. */
export function addressText({ hostname, port }: Address): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}
