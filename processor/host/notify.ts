/**
 * What systemd is told of the service by datagrams (`sd_notify`): that it is ready, that it is alive, and how it is.
 * @module
 */
import type { Supervisor } from "../config/config.ts";

/** Says lines such as `READY=1` to whoever supervises the process. */
export interface Notifier {
  say(...lines: readonly string[]): void;
  close(): void;
}

/**
 * Opens the way to the supervisor. What can't be told is not worth ending for: `warn` hears of it once.
 *
 * @throws {Error} naming NOTIFY_SOCKET, if no datagram can be sent from here
 */
export function openNotifier({ socket }: Supervisor, warn: (reason: string) => void): Notifier {
  const from = bound(socket);
  const to = { transport: "unixpacket", path: socket } as const;
  const encoder = new TextEncoder();
  let silent = false;
  // One after another: a socket that is sending refuses to send.
  let last: Promise<unknown> = Promise.resolve();
  return {
    say(...lines) {
      const bytes = encoder.encode(`${lines.join("\n")}\n`);
      last = last.then(() => from.send(bytes, to)).catch((error) => {
        if (!silent) warn(`Cannot notify systemd through NOTIFY_SOCKET=${socket}: ${error.message}`);
        silent = true;
      });
    },
    close: () => from.close(),
  };
}

/** A socket to send from. It needs a name to be made, and none to send. */
function bound(socket: string): Deno.DatagramConn {
  try {
    const folder = Deno.makeTempDirSync({ prefix: "clickstream-" });
    try {
      return Deno.listenDatagram({ transport: "unixpacket", path: `${folder}/notify` });
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  } catch (error) {
    throw new Error(
      `Cannot open NOTIFY_SOCKET=${socket}: ${error instanceof Error ? error.message : error}`,
      {
        cause: error,
      },
    );
  }
}
