import assert from "node:assert/strict";
import { addressIn, type Cidr, cidrOf, cidrText, isPrivate, subnetOf, type Tier, ZONES_MAX } from "./addresses.ts";

const TIERS: readonly Tier[] = ["hosts", "services", "database", "public"];

Deno.test("infra: networks are parsed and formatted alike", () => {
  for (const text of ["0.0.0.0/0", "10.40.0.0/16", "192.168.4.0/22", "255.255.255.255/32"]) {
    assert.equal(cidrText(cidrOf(text)), text);
  }
  for (const text of ["", "10.0.0.0", "10.0.0.256/32", "10.0.0.0/33", "10.0.0.1/24", "a.b.c.d/8", "10.0.0.0/16 "]) {
    assert.throws(() => cidrOf(text), RangeError, text);
  }
});

Deno.test("infra: subnets are inside their network and don't overlap", () => {
  for (const text of ["10.40.0.0/16", "192.168.4.0/22", "172.31.240.0/20"]) {
    const network = cidrOf(text);
    const subnets = TIERS.flatMap((tier) => [...Array(ZONES_MAX).keys()].map((zone) => subnetOf(network, tier, zone)));
    const sorted = subnets.toSorted((a, b) => a.first - b.first);
    assert.equal(sorted[0]!.first, network.first);
    sorted.forEach((subnet, i) => assert.equal(after(subnet), sorted[i + 1]?.first ?? after(network)));
    for (const subnet of subnets) assert.equal(cidrText(cidrOf(cidrText(subnet))), cidrText(subnet));
  }
  assert.throws(() => subnetOf(cidrOf("10.0.0.0/16"), "hosts", ZONES_MAX), RangeError);
});

Deno.test("infra: the smallest allowed network has an address for every host", () => {
  const smallest = subnetOf(cidrOf("192.168.4.0/22"), "hosts", 0);
  assert.equal(cidrText(smallest), "192.168.4.0/26");
  assert.equal(addressIn(smallest, 39), "192.168.4.39");
  for (const number of [0, 3, 63, 64]) assert.throws(() => addressIn(smallest, number), RangeError);
});

Deno.test("infra: private networks are told apart from public ones", () => {
  for (const text of ["10.0.0.0/8", "10.255.0.0/16", "172.16.0.0/12", "172.31.0.0/16", "192.168.0.0/24"]) {
    assert.ok(isPrivate(cidrOf(text)), text);
  }
  for (const text of ["0.0.0.0/0", "11.0.0.0/8", "172.32.0.0/16", "192.169.0.0/16", "192.0.0.0/8"]) {
    assert.ok(!isPrivate(cidrOf(text)), text);
  }
});

function after({ first, bits }: Cidr): number {
  return first + 2 ** (32 - bits);
}
