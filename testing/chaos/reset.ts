/**
 * Ends TCP connections with a reset, which Deno itself can't send.
 * @module
 */

const libc = Deno.dlopen("libc.so.6", {
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
});

/** An address of no family: connecting to it breaks the connection. */
const NOWHERE = new Uint8Array(16);

/** Sends a reset to the peer of a connection over IPv4, and closes it. Bytes that are not sent yet are lost. */
export function reset(connection: Deno.TcpConn): void {
  try {
    const handle = handleOf(connection);
    if (handle !== null) libc.symbols.connect(handle, NOWHERE, NOWHERE.length);
  } catch {
    // It was closed meanwhile.
  }
  closed(connection);
}

/** Closes a connection, unless it is closed. */
export function closed(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It is closed.
  }
}

/** The number of the connection's file: Linux lists sockets by their ports, and open files by their sockets. */
function handleOf({ localAddr, remoteAddr }: Deno.TcpConn): number | null {
  const ends = [localAddr, remoteAddr].map((address) => `:${address.port.toString(16).toUpperCase().padStart(4, "0")}`);
  const line = Deno.readTextFileSync("/proc/self/net/tcp").split("\n").map((line) => line.trim().split(/\s+/))
    .find(([, local, remote]) => local?.endsWith(ends[0]!) && remote?.endsWith(ends[1]!));
  const socket = `socket:[${line?.[9]}]`;
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    if (linkOf(`/proc/self/fd/${name}`) === socket) return Number(name);
  }
  return null;
}

function linkOf(path: string): string | null {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return null;
  }
}
