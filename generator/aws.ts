/**
 * Reads what the Lambda function needs from AWS: a password and the brokers' certificates.
 * @module
 */
import process from "node:process";
import { AwsClient } from "aws4fetch";

/** Longest wait for an answer, in milliseconds. */
const ANSWER_WITHIN_MS = 5000;

/** Values from Secrets Manager and Systems Manager; each is requested once and cached. */
export class Secrets {
  readonly #known = new Map<string, Promise<string>>();

  /** Returns the text of a secret, given its ARN or name. */
  secret(id: string): Promise<string> {
    return this.#once(`secret ${id}`, async () => {
      const { SecretString } = await call("secretsmanager", "secretsmanager.GetSecretValue", { SecretId: id });
      return String(SecretString);
    });
  }

  /** Returns the certificates in these parameters, joined into one text. */
  certificates(names: readonly string[]): Promise<string> {
    return this.#once(`parameters ${names.join(", ")}`, async () => {
      const found = await call("ssm", "AmazonSSM.GetParameters", { Names: names });
      const missing = found["InvalidParameters"] as readonly string[];
      if (missing.length > 0) {
        throw new Error(`there is no ${missing.join(", ")} yet; see that every broker has started`);
      }
      const values = (found["Parameters"] as readonly { readonly Value: string }[]).map(({ Value }) => Value);
      if (!values.some((value) => value.includes("-----BEGIN"))) {
        throw new Error("no broker has written its certificate yet");
      }
      return values.join("\n");
    });
  }

  /** Empties the cache, so that the values are requested again. */
  forget(): void {
    this.#known.clear();
  }

  #once(what: string, ask: () => Promise<string>): Promise<string> {
    const known = this.#known.get(what) ?? ask().catch((error) => {
      throw new Error(`can't read the ${what}: ${error instanceof Error ? error.message : error}`);
    });
    this.#known.set(what, known);
    return known;
  }
}

async function call(service: string, target: string, body: unknown): Promise<Record<string, unknown>> {
  const env = process.env;
  const region = env["AWS_REGION"] ?? "";
  const client = new AwsClient({
    accessKeyId: env["AWS_ACCESS_KEY_ID"] ?? "",
    secretAccessKey: env["AWS_SECRET_ACCESS_KEY"] ?? "",
    ...(env["AWS_SESSION_TOKEN"] ? { sessionToken: env["AWS_SESSION_TOKEN"] } : {}),
    region,
    service,
  });
  const request = new Request(env["AWS_ENDPOINT_URL"] || `https://${service}.${region}.amazonaws.com/`, {
    method: "POST",
    headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": target },
    body: JSON.stringify(body),
  });
  const answer = await fetch(await client.sign(request), { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  const said = await answer.json() as Record<string, unknown>;
  if (answer.ok) return said;
  const type = String(said["__type"] ?? answer.status).replace(/^.*#/, "");
  throw new Error(
    `${type}: ${
      said["message"] ?? said["Message"] ?? ""
    }; see that the function's role may, and that its network reaches ${service}`,
  );
}
