/**
 * What this machine must allow.
 * @module
 */
import { addressText } from "../../config/address.ts";
import { type Settings, workersOf } from "../../config/config.ts";
import { MOST_CLIENTS } from "../../http/stream.ts";
import { bad, type Finding, good } from "./finding.ts";

/** Files that a process has open of itself, and connections of a worker, to some brokers and PostgreSQL. */
const FILES = 50;
const FILES_PER_WORKER = 16;

/** Whether the port is free, or this program's, and as many files can be open as the service may need. */
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
      const found = `it is not possible to listen on ${where}: ${error instanceof Error ? error.message : error}`;
      return bad(check, found, "set HTTP_LISTEN to an address of this machine, and to a port of 1024 or more");
    }
    const mine = await fetch(`http://${where}/api/status`, { signal: AbortSignal.timeout(2000) })
      .then((response) => response.json()).then((report) => typeof report.state === "string", () => false);
    if (mine) return good(check, `${where}: the service is running`);
    return bad(check, `another program listens on ${where}`, "end it, or set HTTP_LISTEN to another port");
  }
}

/** The limit itself is shown in a file that the program may not read, so it is tried. */
function files(settings: Settings<"WORKERS">): Finding {
  const check = "open files";
  const wanted = FILES + FILES_PER_WORKER * workersOf(settings) + MOST_CLIENTS;
  const open: Deno.FsFile[] = [];
  try {
    while (open.length < wanted) open.push(Deno.openSync(Deno.execPath()));
    return good(check, `${wanted} more can be open, as many as the service may need`);
  } catch (error) {
    const found = `only ${open.length} more can be open, and the service may need ${wanted}: ` +
      `${error instanceof Error ? error.message : error}`;
    return bad(check, found, "raise the limit: LimitNOFILE= in its unit, or ulimit -n");
  } finally {
    for (const file of open) file.close();
  }
}
