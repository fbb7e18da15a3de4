import assert from "node:assert/strict";
import { expiryOf, kept, refusalIn } from "./oauth.ts";

Deno.test("a token is renewed after 80 % of its life; the old one serves while that fails", async () => {
  let nowMs = 0;
  let asked = 0;
  let isDown = false;
  const source = kept(() => {
    if (isDown) return Promise.reject(new Error("down"));
    return Promise.resolve({ value: `token ${++asked}`, expiresAtMs: nowMs + 100_000 });
  }, () => nowMs);
  assert.deepEqual(await Promise.all([source(), source()]), ["token 1", "token 1"]);
  nowMs = 79_999;
  assert.equal(await source(), "token 1");
  nowMs = 80_000;
  isDown = true;
  assert.equal(await source(), "token 1");
  isDown = false;
  assert.equal(await source(), "token 1", "the next attempt is some seconds later");
  nowMs = 85_000;
  assert.equal(await source(), "token 2");
  isDown = true;
  nowMs = 185_000;
  await assert.rejects(source(), /down/);
});

Deno.test("a token says when it expires, if it does", () => {
  const token = (claims: string) => `e30.${btoa(claims).replace(/=+$/, "")}.`;
  assert.equal(expiryOf(token('{"exp":1700000000}')), 1_700_000_000_000);
  for (const other of [token('{"exp":"soon"}'), token("[]"), "opaque", "", "a.%.b"]) {
    assert.equal(expiryOf(other), null);
  }
});

Deno.test("an answer to a token is a refusal only if it says so", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  assert.equal(refusalIn(bytes('{"status":"invalid_token"}')), "the token is refused: invalid_token");
  for (const accepted of ["", "{}", '{"version":"1"}', "\x01", "null"]) assert.equal(refusalIn(bytes(accepted)), null);
});
