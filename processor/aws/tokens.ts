/**
 * Tokens that log in to MSK and RDS instead of passwords: requests signed with AWS's Signature Version 4 that nobody
 * sends. Signing needs no network.
 * @module
 */
import { AwsV4Signer } from "aws4fetch";

/** Credentials of AWS's API. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Null for the keys of a user, which do not expire. */
  readonly sessionToken: string | null;
}

/** How long a server accepts a token, in seconds; less if the credentials expire before. */
export const TOKEN_SECONDS = 900;

/** The region that the host name of an AWS service names; null if it names none. */
export function regionIn(host: string): string | null {
  return /\.([a-z]{2}(?:-[a-z]+)+-\d)\.(?:rds\.)?amazonaws\.com(?:\.cn)?$/i.exec(host)?.[1]?.toLowerCase() ?? null;
}

/**
 * The OAUTHBEARER token of an MSK cluster with IAM access control.
 *
 * @param agent names the program in the cluster's logs
 */
export async function mskToken(
  region: string,
  credentials: AwsCredentials,
  agent: string,
  nowMs: number,
): Promise<string> {
  const url = new URL(`https://kafka.${region}.amazonaws.com/?Action=kafka-cluster%3AConnect`);
  const signed = await presigned(url, "kafka-cluster", region, credentials, nowMs);
  return new TextEncoder().encode(`${signed}&User-Agent=${encodeURIComponent(agent)}`)
    .toBase64({ alphabet: "base64url", omitPadding: true });
}

/** A server of RDS, and the user to log in as. */
export interface RdsLogin {
  /** The instance's or cluster's own name; another name for it does not work. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly region: string;
}

/** The password of a database user of RDS or Aurora that has the role `rds_iam`. */
export async function rdsToken(login: RdsLogin, credentials: AwsCredentials, nowMs: number): Promise<string> {
  const { host, port, user, region } = login;
  const url = new URL(`https://${host}:${port}/`);
  url.searchParams.set("Action", "connect");
  url.searchParams.set("DBUser", user);
  return (await presigned(url, "rds-db", region, credentials, nowMs)).slice("https://".length);
}

/** A URL with its signature as parameters. */
async function presigned(
  url: URL,
  service: string,
  region: string,
  { accessKeyId, secretAccessKey, sessionToken }: AwsCredentials,
  nowMs: number,
): Promise<string> {
  url.searchParams.set("X-Amz-Expires", String(TOKEN_SECONDS));
  const signer = new AwsV4Signer({
    url: url.href,
    method: "GET",
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === null ? {} : { sessionToken }),
    service,
    region,
    datetime: new Date(nowMs).toISOString().replace(/[:-]|\.\d{3}/g, ""),
    signQuery: true,
  });
  const { url: signed } = await signer.sign();
  // What was signed has %20; a plus sign in a value is %2B.
  return signed.href.replaceAll("+", "%20");
}
