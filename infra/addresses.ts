/**
 * Plans the addresses of the private network: its subnets, and a fixed address for each host, so that a host's name
 * stays valid when its machine is replaced.
 * @module
 */

/** Purpose of a subnet. `hosts` contains only hosts, so that nothing else takes their addresses. */
export type Tier = "hosts" | "services" | "database" | "public";

const TIERS: readonly Tier[] = ["hosts", "services", "database", "public"];

/** Most zones with subnets. */
export const ZONES_MAX = 4;

/** A network is cut into 16 subnets: 4 tiers in up to 4 zones. */
const SUBNET_BITS = 4;

/** An IPv4 network: its first address as a number, and its prefix length. */
export interface Cidr {
  readonly first: number;
  readonly bits: number;
}

/**
 * Parses a network such as `10.40.0.0/16`.
 *
 * @throws {RangeError} if the text is no network or does not begin with the network's first address
 */
export function cidrOf(text: string): Cidr {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text)?.slice(1).map(Number);
  if (parts === undefined || parts.slice(0, 4).some((part) => part > 255) || parts[4]! > 32) {
    throw new RangeError("it is not like 10.40.0.0/16");
  }
  const bits = parts.pop()!;
  const first = parts.reduce((number, part) => number * 256 + part, 0);
  if (first % 2 ** (32 - bits) !== 0) throw new RangeError("it doesn't begin with its network's first address");
  return { first, bits };
}

/** Formats a network as text. */
export function cidrText({ first, bits }: Cidr): string {
  return `${addressText(first)}/${bits}`;
}

/** Whether these addresses are private (not routed on the Internet). */
export function isPrivate(cidr: Cidr): boolean {
  return ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map(cidrOf).some((of) =>
    cidr.bits >= of.bits && Math.floor(cidr.first / 2 ** (32 - of.bits)) === of.first / 2 ** (32 - of.bits)
  );
}

/** Returns the subnet of a tier in a zone; zones count from 0. */
export function subnetOf(network: Cidr, tier: Tier, zone: number): Cidr {
  if (zone < 0 || zone >= ZONES_MAX) throw new RangeError(`there is no zone ${zone}`);
  const bits = network.bits + SUBNET_BITS;
  return { first: network.first + (TIERS.indexOf(tier) * ZONES_MAX + zone) * 2 ** (32 - bits), bits };
}

/**
 * Returns the address with this number in a subnet. AWS reserves the first four and the last.
 *
 * @throws {RangeError} if the subnet has no such address
 */
export function addressIn(subnet: Cidr, number: number): string {
  if (number < 4 || number >= 2 ** (32 - subnet.bits) - 1) throw new RangeError(`there is no address ${number}`);
  return addressText(subnet.first + number);
}

function addressText(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}
