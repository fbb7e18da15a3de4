/**
 * Hostile requests to the real server over real sockets. `deno task hostile --target requests` runs more.
 */
import assert from "node:assert/strict";
import { runs } from "../../../testing/effort.ts";
import { hunt } from "./hunt.ts";
import { connection, requests } from "./requests.ts";
import { bytesOf } from "./target.ts";

const CASES = 1500;

Deno.test(`requests: ${requests.about}`, async () => {
  const { found, outcomes } = await hunt(requests, { cases: runs(CASES), seed: 1 });
  assert.equal(found, null, `case ${found?.at} of seed 1: ${found?.error.stack}\n${found?.input.toBase64()}`);
  if (runs(CASES) < CASES) return;
  for (const outcome of ["200", "400", "404", "405", "421", "505"]) assert.ok(outcomes.has(outcome), outcome);
});

Deno.test("a server that answers wrongly is found out", async () => {
  const ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
  const table: readonly (readonly [answer: string, isRight: boolean])[] = [
    [ok, true],
    [`${ok}${ok}`, true],
    ["", true],
    [ok.slice(0, 30), false],
    [ok.replace("200 OK", "500 Internal Server Error"), false],
    [ok.replace("OK", "\x1b[2J"), false],
    [ok.replace("\r\n\r\n", "\r\nx-a: \x07\r\n\r\n"), false],
    [`${ok}no answer`, false],
    [ok.repeat(9), false],
  ];
  for (const [answer, isRight] of table) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const served = listener.accept().then(async (client) => {
      await client.write(bytesOf(answer));
      await client.closeWrite();
      await client.read(new Uint8Array(100));
      client.close();
    });
    const checked = connection(listener.addr, bytesOf("\0GET / HTTP/1.1\r\n\r\n"));
    if (isRight) await checked;
    else await assert.rejects(checked, assert.AssertionError, answer);
    await served;
  }
});
