import assert from "node:assert/strict";
import { expiryOf, kept, refusalIn, tokensOf } from "./oauth.ts";

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

/** What a token endpoint answers, and what becomes of it. */
const ANSWERS: readonly (readonly [string, Response | ((sent: string) => Response), RegExp])[] = [
  ["a token", Response.json({ access_token: "abc", expires_in: 60 }), /^abc$/],
  ["a token that does not say when it expires", Response.json({ access_token: "abc" }), /^abc$/],
  [
    "no token",
    Response.json({ token: "abc" }),
    /cannot get a token from http.*the answer has no access_token; check KAFKA/,
  ],
  ["null", Response.json(null), /the answer has no access_token/],
  ["a page", new Response("<html>"), /the answer is not JSON; check KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL/],
  [
    "a page of a proxy",
    new Response("<html>", { status: 502 }),
    /: HTTP status 502; check KAFKA_SASL_OAUTHBEARER_TOKEN/,
  ],
  [
    "a redirect",
    new Response(null, { status: 302, headers: { location: "http://127.0.0.1:1" } }),
    /cannot get a token/,
  ],
  [
    "a refusal that repeats the login, in each form",
    (sent) =>
      Response.json({ error: "invalid_client", error_description: `${sent} a b/% a%20b%2F%25 a+b%2F%25` }, {
        status: 401,
      }),
    /HTTP status 401 \(invalid_client, me:… … … …\); check KAFKA_SASL_OAUTHBEARER_CLIENT_ID, _CLIENT_SECRET/,
  ],
];

Deno.test("an endpoint gives a token, or an error that says what to do and shows no secret", async () => {
  let answer: Response | ((sent: string) => Response) = new Response();
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    await request.text();
    const sent = atob(request.headers.get("authorization")!.slice("Basic ".length));
    return answer instanceof Response ? answer : answer(sent);
  });
  const url = `http://127.0.0.1:${server.addr.port}/`;
  for (const [name, given, expected] of ANSWERS) {
    answer = given;
    const source = tokensOf({ url, clientId: "me", clientSecret: "a b/%", scope: null, tlsCa: null });
    assert.match(await source().catch(({ message }) => message), expected, name);
  }
});
