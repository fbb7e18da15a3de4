/**
 * A cloud for tests: moto's server, which keeps S3, Systems Manager and Secrets Manager in memory.
 * @module
 */
import { fileURLToPath } from "node:url";
import { Child, freePort, until } from "../../testing/servers/child.ts";
import { python } from "./tools.ts";

/** Endpoint of all services. */
export const REGION = "eu-central-1";

/** A running cloud. */
export interface Cloud extends AsyncDisposable {
  readonly endpoint: string;
  /** Environment variables with which programs find it. */
  readonly env: Readonly<Record<string, string>>;
  /** Puts a file into a bucket; creates the bucket if necessary. */
  upload(bucket: string, key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  setParameter(name: string, value: string): Promise<void>;
  parameter(name: string): Promise<string>;
  /** Creates a secret and returns its ARN. */
  makeSecret(name: string, value: string): Promise<string>;
  setSecret(arn: string, value: string): Promise<void>;
  /** Largest value of a metric that a host has reported to CloudWatch; null if it has reported none. */
  reported(namespace: string, metric: string, host: string): Promise<number | null>;
}

/** Starts a cloud at an address of this machine, and waits until it answers. */
export async function startCloud(address = "127.0.0.1"): Promise<Cloud> {
  const port = freePort();
  const log = await Deno.makeTempFile({ prefix: "clickstream-moto-" });
  const script = fileURLToPath(new URL("cloud.py", import.meta.url));
  const server = Child.start(await python(), [script, "-H", address, "-p", String(port)], log);
  const endpoint = `http://${address}:${port}`;
  await until("the cloud answers", async () => {
    if (server.ended) throw new Error(`moto did not start:\n${await server.tail()}`);
    return await fetch(`${endpoint}/moto-api/`).then(async (answer) => {
      await answer.body?.cancel();
      return true;
    }, () => false);
  });
  const call = (service: string, target: string, body: unknown) => ask(endpoint, service, target, body);
  return {
    endpoint,
    env: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
    },
    async upload(bucket, key, bytes) {
      const place = `<LocationConstraint>${REGION}</LocationConstraint>`;
      await put(`${endpoint}/${bucket}`, `<CreateBucketConfiguration>${place}</CreateBucketConfiguration>`);
      await put(`${endpoint}/${bucket}/${key}`, bytes);
    },
    async setParameter(Name, Value) {
      await call("ssm", "AmazonSSM.PutParameter", { Name, Value, Type: "String", Tier: "Advanced", Overwrite: true });
    },
    async parameter(Name) {
      const { Parameter } = await call("ssm", "AmazonSSM.GetParameter", { Name });
      return (Parameter as { readonly Value: string }).Value;
    },
    async makeSecret(Name, SecretString) {
      const { ARN } = await call("secretsmanager", "secretsmanager.CreateSecret", {
        Name,
        SecretString,
        ClientRequestToken: crypto.randomUUID(),
      });
      return String(ARN);
    },
    async setSecret(SecretId, SecretString) {
      const ClientRequestToken = crypto.randomUUID();
      await call("secretsmanager", "secretsmanager.PutSecretValue", { SecretId, SecretString, ClientRequestToken });
    },
    async reported(namespace, metric, host) {
      const hourMs = 3_600_000;
      const body = new URLSearchParams({
        Action: "GetMetricStatistics",
        Version: "2010-08-01",
        Namespace: namespace,
        MetricName: metric,
        "Dimensions.member.1.Name": "Host",
        "Dimensions.member.1.Value": host,
        StartTime: new Date(Date.now() - hourMs).toISOString(),
        EndTime: new Date(Date.now() + hourMs).toISOString(),
        Period: "60",
        "Statistics.member.1": "Maximum",
      });
      const answer = await fetch(endpoint, {
        method: "POST",
        headers: { authorization: authorization("monitoring") },
        body,
      });
      const values = [...(await answer.text()).matchAll(/<Maximum>([^<]*)<\/Maximum>/g)].map(([, value]) =>
        Number(value)
      );
      return values.length === 0 ? null : Math.max(...values);
    },
    async [Symbol.asyncDispose]() {
      await server.end("SIGKILL");
      await Deno.remove(log);
    },
  };
}

/** Names the service, as a signature would. */
const authorization = (service: string) =>
  `AWS4-HMAC-SHA256 Credential=test/20260101/${REGION}/${service}/aws4_request, SignedHeaders=host, Signature=none`;

async function put(url: string, body: Uint8Array<ArrayBuffer> | string): Promise<void> {
  const answer = await fetch(url, {
    method: "PUT",
    headers: { authorization: authorization("s3"), "content-type": "application/octet-stream" },
    body,
  });
  await answer.body?.cancel();
  if (!answer.ok && answer.status !== 409) throw new Error(`PUT ${url} was answered with ${answer.status}`);
}

async function ask(endpoint: string, service: string, target: string, body: unknown): Promise<Record<string, unknown>> {
  const answer = await fetch(endpoint, {
    method: "POST",
    headers: {
      authorization: authorization(service),
      "content-type": "application/x-amz-json-1.1",
      "x-amz-target": target,
    },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${target} was answered with ${answer.status}: ${text}`);
  return JSON.parse(text);
}
