/**
 * Credentials of AWS's API: from the environment, of a role for a web identity (EKS), of a container (ECS, EKS) or of an
 * instance (EC2), in this order, as AWS's own clients look for them. Temporary ones are renewed before they expire.
 * @module
 */
import type { AwsCredentials } from "./tokens.ts";

/** What the environment says about credentials; each is null if its variable is not set. */
export interface AwsEnvironment {
  /** `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`. */
  readonly keys: AwsCredentials | null;
  /** `AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE`. */
  readonly webIdentity: { readonly roleArn: string; readonly tokenFile: string; readonly endpoint: string } | null;
  /** `AWS_CONTAINER_CREDENTIALS_FULL_URI` or `_RELATIVE_URI`, and `AWS_CONTAINER_AUTHORIZATION_TOKEN` or its file. */
  readonly container: { readonly url: string; readonly token: string | null; readonly tokenFile: string | null } | null;
  /** `AWS_EC2_METADATA_SERVICE_ENDPOINT`; null if `AWS_EC2_METADATA_DISABLED` is `true`. */
  readonly metadata: string | null;
}

/** Temporary credentials are renewed this long before they expire, in milliseconds. */
const RENEW_BEFORE_MS = 5 * 60_000;
/** After a failed renewal, the next one is tried this much later, in milliseconds, while the old ones are valid. */
const RETRY_MS = 10_000;
/** Longest wait for an answer, in milliseconds: the metadata service is near, or there is none. */
const METADATA_WITHIN_MS = 2000;
const ANSWER_WITHIN_MS = 5000;
const METADATA_TOKEN_SECONDS = 300;

/** Credentials, and when they expire: milliseconds since the epoch. */
interface Temporary {
  readonly credentials: AwsCredentials;
  readonly expiresAtMs: number;
}

/** Looks for credentials once, and again before they expire. */
export class CredentialSource {
  readonly #environment: AwsEnvironment;
  readonly #now: () => number;
  #known: Temporary | null = null;
  #asking: Promise<Temporary> | null = null;
  #notBeforeMs = -Infinity;

  constructor(environment: AwsEnvironment, now: () => number = Date.now) {
    this.#environment = environment;
    this.#now = now;
  }

  /**
   * Credentials that are valid for at least a moment.
   *
   * @throws {Error} that says where they were looked for, what came back and what to do
   */
  async get(): Promise<AwsCredentials> {
    const known = this.#known;
    const nowMs = this.#now();
    if (known !== null && nowMs < known.expiresAtMs - RENEW_BEFORE_MS) return known.credentials;
    if (known !== null && nowMs < Math.min(this.#notBeforeMs, known.expiresAtMs)) return known.credentials;
    this.#asking ??= found(this.#environment).finally(() => this.#asking = null);
    try {
      this.#known = await this.#asking;
      return this.#known.credentials;
    } catch (error) {
      if (known === null || this.#now() >= known.expiresAtMs) throw error;
      this.#notBeforeMs = this.#now() + RETRY_MS;
      return known.credentials;
    }
  }
}

async function found({ keys, webIdentity, container, metadata }: AwsEnvironment): Promise<Temporary> {
  if (keys !== null) return { credentials: keys, expiresAtMs: Infinity };
  if (webIdentity !== null) return await ofWebIdentity(webIdentity);
  if (container !== null) return await ofContainer(container);
  if (metadata !== null) return await ofInstance(metadata);
  throw new Error(`cannot find AWS credentials: no variable names any, and AWS_EC2_METADATA_DISABLED is set; ${CURE}`);
}

const CURE = "give the host, the task or the pod a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";

async function ofWebIdentity(from: NonNullable<AwsEnvironment["webIdentity"]>): Promise<Temporary> {
  const { roleArn, tokenFile, endpoint } = from;
  return await told(
    `for ${roleArn} from ${endpoint}`,
    "check the role's trust policy and the pod's service account",
    async () => {
      const body = new URLSearchParams({
        Action: "AssumeRoleWithWebIdentity",
        Version: "2011-06-15",
        RoleArn: roleArn,
        RoleSessionName: "clickstream",
        WebIdentityToken: (await Deno.readTextFile(tokenFile)).trim(),
      });
      const said = await json(
        endpoint,
        { method: "POST", body, headers: { accept: "application/json" } },
        ANSWER_WITHIN_MS,
      );
      const { AssumeRoleWithWebIdentityResponse: { AssumeRoleWithWebIdentityResult: { Credentials: found } } } =
        said as {
          readonly AssumeRoleWithWebIdentityResponse: {
            readonly AssumeRoleWithWebIdentityResult: { readonly Credentials: Readonly<Record<string, unknown>> };
          };
        };
      // In JSON, STS writes seconds since the epoch.
      const { Expiration: expires } = found;
      return temporary(
        found,
        "SessionToken",
        typeof expires === "number" ? expires * 1000 : Date.parse(String(expires)),
      );
    },
  );
}

async function ofContainer({ url, token, tokenFile }: NonNullable<AwsEnvironment["container"]>): Promise<Temporary> {
  return await told(`from the container's ${url}`, "check the role of the task or pod", async () => {
    const authorization = tokenFile === null ? token : (await Deno.readTextFile(tokenFile)).trim();
    const said = await json(url, { headers: authorization === null ? {} : { authorization } }, METADATA_WITHIN_MS);
    return temporary(said, "Token", Date.parse(String(said["Expiration"])));
  });
}

/** By version 2 of the metadata service, which gives nothing without a token. */
async function ofInstance(endpoint: string): Promise<Temporary> {
  return await told(`from the instance metadata at ${endpoint}`, CURE, async () => {
    const asked = (path: string, init: RequestInit) => answer(new URL(path, endpoint).href, init, METADATA_WITHIN_MS);
    const token = await (await asked("/latest/api/token", {
      method: "PUT",
      headers: { "x-aws-ec2-metadata-token-ttl-seconds": String(METADATA_TOKEN_SECONDS) },
    })).text();
    const headers = { "x-aws-ec2-metadata-token": token };
    const path = "/latest/meta-data/iam/security-credentials/";
    const role = (await (await asked(path, { headers })).text()).trim();
    const said = await (await asked(path + encodeURIComponent(role), { headers })).json();
    return temporary(said, "Token", Date.parse(String(said["Expiration"])));
  });
}

async function told(where: string, cure: string, ask: () => Promise<Temporary>): Promise<Temporary> {
  try {
    return await ask();
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new Error(`cannot get AWS credentials ${where}: ${said}; ${cure}`, { cause: error });
  }
}

function temporary(said: Readonly<Record<string, unknown>>, tokenName: string, expiresAtMs: number): Temporary {
  const [accessKeyId, secretAccessKey, sessionToken] = ["AccessKeyId", "SecretAccessKey", tokenName]
    .map((name) => said[name]);
  if (typeof accessKeyId !== "string" || typeof secretAccessKey !== "string" || !(expiresAtMs > 0)) {
    throw new Error("the answer contains no credentials");
  }
  const credentials = {
    accessKeyId,
    secretAccessKey,
    sessionToken: typeof sessionToken === "string" ? sessionToken : null,
  };
  return { credentials, expiresAtMs };
}

async function json(url: string, init: RequestInit, withinMs: number): Promise<Readonly<Record<string, unknown>>> {
  return await (await answer(url, init, withinMs)).json();
}

async function answer(url: string, init: RequestInit, withinMs: number): Promise<Response> {
  const response = await fetch(url, { ...init, redirect: "error", signal: AbortSignal.timeout(withinMs) });
  if (response.ok) return response;
  await response.body?.cancel();
  throw new Error(`HTTP status ${response.status}`);
}
