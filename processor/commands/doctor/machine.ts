/**
 * Checks what this machine must allow: a port and open files.
 * @module
 */
import { addressText } from "../../config/address.ts";
import { type Settings, workersOf } from "../../config/config.ts";
import { MOST_CLIENTS } from "../../http/stream.ts";
import { bad, type Finding, good } from "./finding.ts";

/** Open files of a process, and additional ones of each worker: its connections to brokers and PostgreSQL. */
const FILES = 50;
const FILES_PER_WORKER = 16;

/** Checks that the port is free or used by the service, and that enough files can be opened. */
export async function checkMachine(settings: Settings<"HTTP_LISTEN" | "WORKERS">): Promise<Finding[]> {
  return [await port(settings), files(settings)];
}

async function port({ HTTP_LISTEN: address }: Settings<"HTTP_LISTEN">): Promise<Finding> {
  const check = "port";
  const where = addressText(address);
  try {
    Deno.listen({ ...address, transport: "tcp" }).close();
    return good(check, `${where} is free`);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) {
      const found = `cannot listen on ${where}: ${error instanceof Error ? error.message : error}`;
      return bad(check, found, "set HTTP_LISTEN to an address of this machine, and to a port of 1024 or higher");
    }
    const mine = await fetch(`http://${where}/api/status`, { signal: AbortSignal.timeout(2000) })
      .then((response) => response.json()).then((report) => typeof report.state === "string", () => false);
    if (mine) return good(check, `${where}: the service is running`);
    return bad(check, `another program listens on ${where}`, "stop it, or set HTTP_LISTEN to another port");
  }
}

/** Opens files until the limit: the file that shows the limit may not be readable. */
function files(settings: Settings<"WORKERS">): Finding {
  const check = "open files";
  const wanted = FILES + FILES_PER_WORKER * workersOf(settings) + MOST_CLIENTS;
  const open: Deno.FsFile[] = [];
  try {
    while (open.length < wanted) open.push(Deno.openSync(Deno.execPath()));
    return good(check, `${wanted} more files can be opened; the service may need that many`);
  } catch (error) {
    const found = `only ${open.length} more files can be opened; the service may need ${wanted}: ` +
      `${error instanceof Error ? error.message : error}`;
    return bad(check, found, "raise the limit: LimitNOFILE= in the unit, or ulimit -n");
  } finally {
    for (const file of open) file.close();
  }
}
