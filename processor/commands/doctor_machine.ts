/**
 * What this machine must allow.
 * @module
 */
import { addressText } from "../address.ts";
import type { Settings } from "../config.ts";
import { bad, type Finding, good } from "./finding.ts";

/** Whether the port is free, or this program's. */
export async function checkMachine({ HTTP_LISTEN: address }: Settings<"HTTP_LISTEN">): Promise<Finding[]> {
  const check = "port";
  const where = addressText(address);
  try {
    Deno.listen({ ...address, transport: "tcp" }).close();
    return [good(check, `${where} is free`)];
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) {
      const found = `it is not possible to listen on ${where}: ${error instanceof Error ? error.message : error}`;
      return [bad(check, found, "set HTTP_LISTEN to an address of this machine, and to a port of 1024 or more")];
    }
    const mine = await fetch(`http://${where}/api/status`, { signal: AbortSignal.timeout(2000) })
      .then((response) => response.json()).then((report) => typeof report.state === "string", () => false);
    if (mine) return [good(check, `${where}: the service is running`)];
    return [bad(check, `another program listens on ${where}`, "end it, or set HTTP_LISTEN to another port")];
  }
}
