/**
 * What hosts are set up by.
 * @module
 */
import type { BootSettings, HostKind } from "./settings.ts";

/** The user data of a host: what it does at its first boot. */
export function userData(boot: BootSettings): string {
  return `#cloud-config\n${JSON.stringify(boot)}\n`;
}

/** The units and scripts of a host, as a tar, compressed. */
export function hostArchive(kind: HostKind): Uint8Array {
  return new TextEncoder().encode(kind);
}
