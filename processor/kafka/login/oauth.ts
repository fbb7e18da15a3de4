/**
 * Tokens for Kafka's OAUTHBEARER logins.
 * @module
 */

/** A token, and when it expires: milliseconds since the epoch. */
export interface Token {
  readonly value: string;
  readonly expiresAtMs: number;
}

/** Gives a valid token for a login. */
export type TokenSource = () => Promise<string>;

/** Where a client gets its tokens. */
export interface TokenEndpoint {
  /** `https`, `http` or `file`. */
  readonly url: string;
  readonly clientId: string | null;
  readonly clientSecret: string | null;
  readonly scope: string | null;
  /** PEM text of authorities to trust beside the well-known ones. */
  readonly tlsCa: string | null;
}

/** A token is renewed after this share of its life. */
const RENEW_AFTER = 0.8;
/** After a failed renewal, the old token serves this long before the next attempt, in milliseconds. */
const RETRY_MS = 5000;
/** How long a token counts as valid that does not say so, in milliseconds. */
const UNKNOWN_LIFE_MS = 60_000;
const ANSWER_WITHIN_MS = 5000;
/** Most characters of an answer in an error. */
const MOST_SHOWN = 200;

/** A source that keeps a token for most of its life; while a renewal fails, the old one serves until it expires. */
export function kept(ask: () => Promise<Token>, now: () => number = Date.now): TokenSource {
  let token: Token | null = null;
  let renewAtMs = -Infinity;
  let asking: Promise<Token> | null = null;
  return async () => {
    if (token !== null && now() < renewAtMs) return token.value;
    asking ??= ask().finally(() => asking = null);
    try {
      token = await asking;
      renewAtMs = now() + (token.expiresAtMs - now()) * RENEW_AFTER;
    } catch (error) {
      if (token === null || now() >= token.expiresAtMs) throw error;
      renewAtMs = now() + RETRY_MS;
    }
    return token.value;
  };
}

/** A source of tokens from an endpoint, by client credentials, or from a file, which is read again for each login. */
export function tokensOf(endpoint: TokenEndpoint): TokenSource {
  if (!endpoint.url.startsWith("file:")) return kept(() => granted(endpoint));
  return async () => {
    try {
      const text = (await Deno.readTextFile(new URL(endpoint.url))).trim();
      if (text === "") throw new Error("the file is empty");
      return text;
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      throw new Error(`cannot read a token from ${endpoint.url}: ${said}; ${CHECK_URL}`, { cause: error });
    }
  };
}

const CHECK_URL = "check KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL";

/** Asks for a token by the client credentials grant of RFC 6749. */
async function granted({ url, clientId, clientSecret, scope, tlsCa }: TokenEndpoint): Promise<Token> {
  const login = [clientId ?? "", clientSecret ?? ""].map(formEncoded).join(":");
  const client = tlsCa === null ? null : Deno.createHttpClient({ caCerts: [tlsCa] });
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { authorization: `Basic ${btoa(login)}`, accept: "application/json" },
      body: new URLSearchParams({ grant_type: "client_credentials", ...(scope === null ? {} : { scope }) }),
      redirect: "error",
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      ...(client === null ? {} : { client }),
    });
    const said = await response.text();
    if (!response.ok) throw new Error(refusalOf(response.status, said, clientSecret ?? ""));
    return tokenIn(said);
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    const cure = /^HTTP status 40[013]/.test(said)
      ? "check KAFKA_SASL_OAUTHBEARER_CLIENT_ID, _CLIENT_SECRET and _SCOPE"
      : `${CHECK_URL}, and that KAFKA_TLS_CA contains the endpoint's authority if that is not a well-known one`;
    throw new Error(`cannot get a token from ${url}: ${said}; ${cure}`, { cause: error });
  } finally {
    client?.close();
  }
}

function tokenIn(said: string): Token {
  let answer: { readonly access_token?: unknown; readonly expires_in?: unknown };
  try {
    answer = JSON.parse(said);
  } catch {
    throw new Error("the answer is not JSON");
  }
  const { access_token: value, expires_in: seconds } = answer ?? {};
  if (typeof value !== "string" || value === "") throw new Error("the answer has no access_token");
  const life = Number(seconds);
  const expiresAtMs = life > 0 ? Date.now() + life * 1000 : expiryOf(value) ?? Date.now() + UNKNOWN_LIFE_MS;
  return { value, expiresAtMs };
}

/** When a JSON Web Token expires, in milliseconds since the epoch; null if it does not say. */
export function expiryOf(token: string): number | null {
  try {
    const claims = JSON.parse(
      new TextDecoder().decode(Uint8Array.fromBase64(token.split(".")[1] ?? "", { alphabet: "base64url" })),
    );
    return Number.isFinite(claims.exp) ? claims.exp * 1000 : null;
  } catch {
    return null;
  }
}

/** What an endpoint said when it refused, without the secret, which it might repeat. */
function refusalOf(status: number, said: string, secret: string): string {
  let reason = "";
  try {
    const { error, error_description: more } = JSON.parse(said);
    reason = [error, more].filter((each) => typeof each === "string").join(", ");
  } catch {
    // A page of a proxy, which explains nothing.
  }
  const shown = [secret, formEncoded(secret), encodeURIComponent(secret)].filter((form) => form !== "")
    .reduce((text, form) => text.replaceAll(form, "…"), reason);
  return `HTTP status ${status}${shown === "" ? "" : ` (${shown.slice(0, MOST_SHOWN)})`}`;
}

/** A part of a login as RFC 6749 encodes it. */
function formEncoded(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}

/** Why a broker refuses a token, as its answer to a login says; null if it accepts it. */
export function refusalIn(answer: Uint8Array): string | null {
  try {
    const { status, error_description: more } = JSON.parse(new TextDecoder().decode(answer));
    if (typeof status !== "string") return null;
    return `the token is refused: ${[status, more].filter((each) => typeof each === "string").join(", ")}`;
  } catch {
    return null;
  }
}
