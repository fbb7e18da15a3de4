import assert from "node:assert/strict";
import { openNotifier } from "./notify.ts";

Deno.test("sends messages to the socket in order, and leaves no file behind", async () => {
  const folder = await Deno.makeTempDir();
  const socket = `${folder}/notify`;
  const systemd = Deno.listenDatagram({ transport: "unixpacket", path: socket });
  const notifier = openNotifier({ socket, watchdogMs: null }, (reason) => assert.fail(reason));
  notifier.say("READY=1", "STATUS=ready");
  notifier.say("WATCHDOG=1");
  const heard = async () => new TextDecoder().decode((await systemd.receive())[0]);
  assert.equal(await heard(), "READY=1\nSTATUS=ready\n");
  assert.equal(await heard(), "WATCHDOG=1\n");
  notifier.close();
  systemd.close();
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["notify"]);
});

Deno.test("warns once if nothing listens, and continues", async () => {
  const socket = `${await Deno.makeTempDir()}/notify`;
  const warned = Promise.withResolvers<string>();
  const warnings: string[] = [];
  const notifier = openNotifier({ socket, watchdogMs: null }, (reason) => {
    warnings.push(reason);
    warned.resolve(reason);
  });
  notifier.say("READY=1");
  notifier.say("WATCHDOG=1");
  assert.ok((await warned.promise).startsWith(`Cannot notify systemd through NOTIFY_SOCKET=${socket}: `));
  notifier.close();
  assert.equal(warnings.length, 1);
});
