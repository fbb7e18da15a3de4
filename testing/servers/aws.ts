/**
 * A small AWS for tests: it gives credentials as the metadata of instances, containers and STS do, and verifies what is
 * signed with them. It shares no code with the program.
 * @module
 */
import { createHash, createHmac } from "node:crypto";

/** The region of everything. */
export const REGION = "eu-west-1";

/** The token of a web identity, and that of a container. */
export const WEB_IDENTITY = "web-identity-token";
export const CONTAINER_TOKEN = "container-token";

/** A running AWS. */
export interface Aws extends AsyncDisposable {
  readonly url: string;
  /** How often credentials were given. */
  given: number;
  /** Life of credentials, in seconds. */
  lifeSeconds: number;
  /** Whether it refuses to give credentials. */
  refuses: boolean;
  /** The secrets that it gave; nobody may print them. */
  readonly secrets: readonly string[];
  /** Keys that do not expire. */
  readonly keys: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Why a signed request is refused; null if it is accepted. */
  refusal(host: string, query: string): string | null;
}

interface Key {
  readonly secret: string;
  readonly token: string | null;
  readonly expiresAtMs: number;
}

/** Starts it. */
export function startAws(): Aws {
  const keys = new Map<string, Key>();
  const add = (key: Key): string => {
    const id = `AKIA${String(keys.size).padStart(16, "0")}`;
    keys.set(id, key);
    return id;
  };
  const lasting = { secret: "lasting/secret+key", token: null, expiresAtMs: Infinity };
  const lastingId = add(lasting);
  const sessions = new Set<string>();
  const temporary = () => {
    aws.given++;
    const expiresAtMs = Date.now() + aws.lifeSeconds * 1000;
    const [secret, token] = ["secret", "session"].map((kind) => `${kind}/${crypto.randomUUID()}+=`) as [string, string];
    return { id: add({ secret, token, expiresAtMs }), secret, token, expiresAtMs };
  };
  const credentials = () => {
    const { id, secret, token, expiresAtMs } = temporary();
    const Expiration = new Date(expiresAtMs).toISOString();
    return Response.json({ Code: "Success", AccessKeyId: id, SecretAccessKey: secret, Token: token, Expiration });
  };
  const denied = (status: number) => new Response("no", { status });
  const answer = async (request: Request): Promise<Response> => {
    const { pathname, search } = new URL(request.url);
    if (request.headers.has("x-signed-host")) {
      const refusal = aws.refusal(request.headers.get("x-signed-host")!, search.slice(1));
      return refusal === null ? new Response("clicks") : denied(403);
    }
    if (aws.refuses) return denied(500);
    if (pathname === "/latest/api/token") {
      if (request.method !== "PUT" || !request.headers.has("x-aws-ec2-metadata-token-ttl-seconds")) return denied(400);
      const session = crypto.randomUUID();
      sessions.add(session);
      return new Response(session);
    }
    if (pathname.startsWith("/latest/")) {
      if (!sessions.has(request.headers.get("x-aws-ec2-metadata-token") ?? "")) return denied(401);
      return pathname.endsWith("/") ? new Response("the-role") : credentials();
    }
    if (pathname === "/container") {
      return request.headers.get("authorization") === CONTAINER_TOKEN ? credentials() : denied(401);
    }
    const form = new URLSearchParams(await request.text());
    if (form.get("WebIdentityToken") !== WEB_IDENTITY) return denied(400);
    const { id, secret, token, expiresAtMs } = temporary();
    const Credentials = {
      AccessKeyId: id,
      SecretAccessKey: secret,
      SessionToken: token,
      Expiration: expiresAtMs / 1000,
    };
    return Response.json({ AssumeRoleWithWebIdentityResponse: { AssumeRoleWithWebIdentityResult: { Credentials } } });
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
  const aws: Aws = {
    url: `http://127.0.0.1:${server.addr.port}`,
    given: 0,
    lifeSeconds: 3600,
    refuses: false,
    get secrets() {
      return [...keys.values()].flatMap(({ secret, token }) => token === null ? [secret] : [secret, token]);
    },
    keys: { accessKeyId: lastingId, secretAccessKey: lasting.secret },
    refusal: (host, query) => refusalOf(keys, host, query),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return aws;
}

/** Verifies the signature of a request that is in its query, by the rules of Signature Version 4. */
function refusalOf(keys: ReadonlyMap<string, Key>, host: string, query: string): string | null {
  const signature = /&X-Amz-Signature=([0-9a-f]{64})/.exec(query)?.[1];
  const signed = query.replace(/&X-Amz-Signature=[^&]*/, "").replace(/&User-Agent=[^&]*/, "");
  const value = (name: string) => new URLSearchParams(query).get(name) ?? "";
  const [id = "", day = "", region = "", service = "", last = ""] = value("X-Amz-Credential").split("/");
  const key = keys.get(id);
  const date = value("X-Amz-Date");
  const at = Date.parse(date.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  if (key === undefined || signature === undefined) return "unknown key, or not signed";
  if (key.token !== (value("X-Amz-Security-Token") || null)) return "another session token";
  if (Date.now() >= key.expiresAtMs) return "expired credentials";
  if (!(Math.abs(Date.now() - at) < Number(value("X-Amz-Expires")) * 1000)) return "expired request";
  if (value("X-Amz-Expires") !== "900" || region !== REGION || last !== "aws4_request") return "another scope";
  if (!date.startsWith(day) || value("X-Amz-SignedHeaders") !== "host") return "another day or header";
  const sorted = signed.split("&").sort().join("&");
  const request = ["GET", "/", sorted, `host:${host}`, "", "host", sha256("")].join("\n");
  const text = ["AWS4-HMAC-SHA256", date, `${day}/${region}/${service}/aws4_request`, sha256(request)].join("\n");
  const signing = [day, region, service, "aws4_request"].reduce<Uint8Array | string>(hmac, `AWS4${key.secret}`);
  return hmac(signing, text).toString("hex") === signature ? null : "another signature";
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function hmac(key: Uint8Array | string, text: string) {
  return createHmac("sha256", key).update(text).digest();
}
