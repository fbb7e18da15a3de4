/**
 * Notifies systemd (`sd_notify`): readiness, watchdog and status.
 * @module
 */
import type { Supervisor } from "../config/config.ts";

/** Sends lines such as `READY=1` to systemd. */
export interface Notifier {
  say(...lines: readonly string[]): void;
  close(): void;
}

/**
 * Opens the notification socket. Failed notifications do not stop the service; `warn` is called once.
 *
 * @throws {Error} naming NOTIFY_SOCKET, if no datagram can be sent
 */
export function openNotifier({ socket }: Supervisor, warn: (reason: string) => void): Notifier {
  const from = bound(socket);
  const to = { transport: "unixpacket", path: socket } as const;
  const encoder = new TextEncoder();
  let silent = false;
  // One at a time: a busy socket refuses to send.
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

/** A socket to send from. It needs a path only to be created. */
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
