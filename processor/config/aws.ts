/**
 * Reads what AWS's own clients read of the environment.
 * @module
 */
import type { AwsEnvironment } from "../aws/credentials.ts";

/** Where containers on ECS find their credentials. */
const CONTAINER = "http://169.254.170.2";
const METADATA = "http://169.254.169.254";

/** Where this process finds AWS credentials. */
export function awsEnvironment(region: string | null): AwsEnvironment {
  const get = (name: string) => Deno.env.get(name) || null;
  const [accessKeyId, secretAccessKey] = [get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")];
  const [roleArn, tokenFile] = [get("AWS_ROLE_ARN"), get("AWS_WEB_IDENTITY_TOKEN_FILE")];
  const relative = get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const url = relative === null ? get("AWS_CONTAINER_CREDENTIALS_FULL_URI") : CONTAINER + relative;
  const sts = region === null ? "https://sts.amazonaws.com/" : `https://sts.${region}.amazonaws.com/`;
  return {
    keys: accessKeyId === null || secretAccessKey === null
      ? null
      : { accessKeyId, secretAccessKey, sessionToken: get("AWS_SESSION_TOKEN") },
    webIdentity: roleArn === null || tokenFile === null
      ? null
      : { roleArn, tokenFile, endpoint: get("AWS_ENDPOINT_URL_STS") ?? get("AWS_ENDPOINT_URL") ?? sts },
    container: url === null ? null : {
      url,
      token: get("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
      tokenFile: get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    },
    metadata: get("AWS_EC2_METADATA_DISABLED")?.toLowerCase() === "true"
      ? null
      : get("AWS_EC2_METADATA_SERVICE_ENDPOINT") ?? METADATA,
  };
}
