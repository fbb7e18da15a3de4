/**
 * A small identity provider for tests: a token endpoint for client credentials over TLS, and the key set with which
 * brokers verify its tokens.
 * @module
 */
import type { Certificate } from "./certificates.ts";

/** The only client, and its secret; both need encoding in a login. */
export const CLIENT = { id: "clicks:shop", secret: "oauth secret/100%" } as const;

const AUDIENCE = "kafka";
const ISSUER = "https://identity.example";

/** A running identity provider. */
export interface Identity extends AsyncDisposable {
  readonly tokenUrl: string;
  /** URL of the key set, without TLS. */
  readonly keysUrl: string;
  /** How often a token was asked for. */
  asked: number;
  /** Life of its tokens, in seconds. */
  lifeSeconds: number;
  /** Whether it refuses everybody with this HTTP status, as a broken one does. */
  refuses: number | null;
  /** A token of this subject. */
  token(subject: string, lifeSeconds?: number): Promise<string>;
}

const ALGORITHM = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" } as const;

/** Starts a provider whose tokens are valid for a minute. */
export async function startIdentity(certificate: Certificate): Promise<Identity> {
  const { publicKey, privateKey } = await crypto.subtle.generateKey(
    { ...ALGORITHM, modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) },
    true,
    ["sign", "verify"],
  );
  const key = { ...await crypto.subtle.exportKey("jwk", publicKey), kid: "1", use: "sig", alg: "RS256" };
  const token = async (subject: string, seconds = identity.lifeSeconds): Promise<string> => {
    const nowS = Math.floor(Date.now() / 1000);
    const claims = { sub: subject, iss: ISSUER, aud: AUDIENCE, iat: nowS, exp: nowS + seconds, scope: "clicks" };
    const text = [{ alg: "RS256", typ: "JWT", kid: "1" }, claims].map((part) => base64url(JSON.stringify(part))).join(
      ".",
    );
    return `${text}.${base64url(await crypto.subtle.sign(ALGORITHM, privateKey, new TextEncoder().encode(text)))}`;
  };
  const quiet = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
  const keys = Deno.serve(quiet, () => Response.json({ keys: [key] }));
  const { cert, key: certKey } = certificate;
  const tokens = Deno.serve({ ...quiet, cert, key: certKey }, async (request) => {
    identity.asked++;
    const form = new URLSearchParams(await request.text());
    if (identity.refuses !== null) return Response.json({ error: "server_error" }, { status: identity.refuses });
    const expected = `Basic ${btoa([CLIENT.id, CLIENT.secret].map(formEncoded).join(":"))}`;
    if (request.method !== "POST" || request.headers.get("authorization") !== expected) {
      // A careless provider, which repeats what it was sent.
      const said = atob(request.headers.get("authorization")?.slice(6) ?? "");
      return Response.json({ error: "invalid_client", error_description: `no client ${said}` }, { status: 401 });
    }
    if (form.get("grant_type") !== "client_credentials" || form.get("scope") !== "clicks") {
      return Response.json({ error: "invalid_scope" }, { status: 400 });
    }
    return Response.json({
      access_token: await token(CLIENT.id),
      token_type: "Bearer",
      expires_in: identity.lifeSeconds,
    });
  });
  const identity: Identity = {
    tokenUrl: `https://localhost:${tokens.addr.port}/token`,
    keysUrl: `http://127.0.0.1:${keys.addr.port}/keys`,
    asked: 0,
    lifeSeconds: 60,
    refuses: null,
    token,
    async [Symbol.asyncDispose]() {
      await Promise.all([keys.shutdown(), tokens.shutdown()]);
    },
  };
  return identity;
}

/** Settings of a broker whose `handler` accepts the provider's tokens, and the JVM option that lets it read the key set. */
export function trusting(
  { keysUrl }: Identity,
  handler = "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler",
): { properties: Record<string, string>; java: readonly string[] } {
  const prefix = "listener.name.secure.oauthbearer.sasl";
  return {
    properties: {
      [`${prefix}.server.callback.handler.class`]: handler,
      [`${prefix}.oauthbearer.jwks.endpoint.url`]: keysUrl,
      [`${prefix}.oauthbearer.expected.audience`]: AUDIENCE,
      [`${prefix}.oauthbearer.expected.issuer`]: ISSUER,
    },
    java: [`-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${keysUrl}`],
  };
}

function base64url(data: string | ArrayBuffer): string {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : new Uint8Array(data);
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

function formEncoded(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}
