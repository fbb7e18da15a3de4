/**
 * What hosts are set up by.
 * @module
 */
import type { BootSettings } from "./settings.ts";

/** The user data of a host: what it does at its first boot. */
export function userData(boot: BootSettings): string {
  return `#cloud-config\n${JSON.stringify(boot)}\n`;
}
