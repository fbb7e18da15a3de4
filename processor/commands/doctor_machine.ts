/**
 * What this machine must allow.
 * @module
 */
import { addressText } from "../address.ts";
import type { Settings } from "../config.ts";
import { bad, type Finding, good } from "./finding.ts";

/** Files and connections that the service may have open: a few for each worker, and one for each that looks at its page. */
const OPEN_FILES = 1024;

/** Whether the port is free, or this program's; and whether enough files may be opened. */
export async function checkMachine({ HTTP_LISTEN: address }: Settings<"HTTP_LISTEN">): Promise<Finding[]> {
  return [await checkPort(address), await checkFiles()];
}

async function checkPort(address: Settings<"HTTP_LISTEN">["HTTP_LISTEN"]): Promise<Finding> {
  const check = "port";
  const where = addressText(address);
  try {
    Deno.listen({ ...address, transport: "tcp" }).close();
    return good(check, `${where} is free`);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) {
      const found = `it is not possible to listen on ${where}: ${error instanceof Error ? error.message : error}`;
      return bad(check, found, "set HTTP_LISTEN to an address of this machine, and to a port of 1024 or more");
    }
    const mine = await fetch(`http://${where}/api/status`, { signal: AbortSignal.timeout(2000) })
      .then((response) => response.json()).then((report) => typeof report.state === "string", () => false);
    if (mine) return good(check, `${where}: the service is running`);
    return bad(check, `another program listens on ${where}`, "end it, or set HTTP_LISTEN to another port");
  }
}

async function checkFiles(): Promise<Finding> {
  const check = "open files";
  const limits = await Deno.readTextFile("/proc/self/limits").catch(() => "");
  const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
  if (soft === undefined) return good(check, "this system does not say how many are allowed");
  const found = `${soft} are allowed`;
  if (soft === "unlimited" || Number(soft) >= OPEN_FILES) return good(check, found);
  return bad(check, found, `allow ${OPEN_FILES} or more: ulimit -n, or LimitNOFILE= of the unit`);
}
