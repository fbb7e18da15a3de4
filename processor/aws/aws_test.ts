import assert from "node:assert/strict";
import { REGION, startAws } from "../../testing/servers/aws.ts";
import { type AwsEnvironment, CredentialSource } from "./credentials.ts";
import { mskToken, rdsToken, regionIn } from "./tokens.ts";

// AWS's example credentials and time, of its test suite of Signature Version 4.
const AT_MS = Date.parse("2015-08-30T12:36:00Z");
const KEYS = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
const SESSION = "IQoJ/b3JpZ2+luX2VjE=";

/** What AWS's own signers write for these: aws-msk-iam-sasl-signer-js 1.0.3 and @aws-sdk/rds-signer. */
const SIGNED = [
  {
    sessionToken: SESSION,
    msk: "bb4f4935a69881c3efb93f0411083cd9954b6b59ee524d830aecddc7433af7ad",
    rds: "5758066ee4eacf5d6cb1b62480c30eef4ec20dcf4fe81c63d5c7c711a9f3781f",
  },
  {
    sessionToken: null,
    msk: "f28e8f5d58461eadd7f29727b37c00ba271af034a7d0c0c1510fa07467b22862",
    rds: "08e3132848cc6cd6e4af5281c3bca2a5cd2757a9561aae51951b91290ce00524",
  },
] as const;

const RDS = { host: "shop.abc123.eu-west-1.rds.amazonaws.com", port: 5432, user: "clicks service+ü", region: REGION };

Deno.test("tokens are those of AWS's own signers", async () => {
  for (const { sessionToken, msk, rds } of SIGNED) {
    const credentials = { ...KEYS, sessionToken };
    const token = await mskToken(REGION, credentials, "clickstream/1", AT_MS);
    assert.match(token, /^[\w-]+$/);
    const url = new TextDecoder().decode(Uint8Array.fromBase64(token, { alphabet: "base64url" }));
    const session = sessionToken === null ? "" : "&X-Amz-Security-Token=IQoJ%2Fb3JpZ2%2BluX2VjE%3D";
    const signed = (service: string) =>
      `X-Amz-Expires=900&X-Amz-Date=20150830T123600Z${session}&X-Amz-Algorithm=AWS4-HMAC-SHA256` +
      `&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2F${REGION}%2F${service}%2Faws4_request&X-Amz-SignedHeaders=host`;
    assert.equal(
      url,
      `https://kafka.eu-west-1.amazonaws.com/?Action=kafka-cluster%3AConnect&${signed("kafka-cluster")}` +
        `&X-Amz-Signature=${msk}&User-Agent=clickstream%2F1`,
    );
    assert.equal(
      await rdsToken(RDS, credentials, AT_MS),
      `${RDS.host}:5432/?Action=connect&DBUser=clicks%20service%2B%C3%BC&${signed("rds-db")}&X-Amz-Signature=${rds}`,
    );
  }
});

Deno.test("host names of MSK and RDS name their region", () => {
  const regions: Readonly<Record<string, string | null>> = {
    "b-1.clicks.abc123.c2.kafka.eu-west-1.amazonaws.com": "eu-west-1",
    "boot-abc.c1.kafka-serverless.us-gov-west-1.amazonaws.com": "us-gov-west-1",
    "Shop.abc123.EU-central-2.rds.amazonaws.com": "eu-central-2",
    "shop.cluster-ro-abc123.ap-southeast-1.rds.amazonaws.com": "ap-southeast-1",
    "shop.abc123.rds.cn-north-1.amazonaws.com.cn": "cn-north-1",
    "db.internal": null,
    "eu-west-1.rds.amazonaws.com.example": null,
  };
  for (const [host, region] of Object.entries(regions)) assert.equal(regionIn(host), region, host);
});

const NOWHERE: AwsEnvironment = { keys: null, webIdentity: null, container: null, metadata: null };

Deno.test("temporary credentials are renewed before they expire; old ones serve while that fails", async () => {
  await using aws = startAws();
  let nowMs = Date.now();
  const source = new CredentialSource({ ...NOWHERE, metadata: aws.url }, () => nowMs);
  aws.lifeSeconds = 3600;
  const [first, same] = await Promise.all([source.get(), source.get()]);
  assert.equal(first, same);
  const renewalMs = nowMs + 55 * 60_000;
  nowMs = renewalMs - 2000;
  assert.equal(await source.get(), first);
  assert.equal(aws.given, 1);
  nowMs = renewalMs + 2000;
  aws.refuses = true;
  assert.equal(await source.get(), first, "the renewal fails");
  aws.refuses = false;
  assert.equal(await source.get(), first, "the next attempt is some seconds later");
  nowMs += 11_000;
  aws.lifeSeconds = 7200;
  const second = await source.get();
  assert.notEqual(second.accessKeyId, first.accessKeyId);
  assert.equal(aws.given, 2);
  aws.refuses = true;
  nowMs += 3 * 3600_000;
  await assert.rejects(
    source.get(),
    /cannot get AWS credentials from the instance metadata at .*HTTP status 500; give /,
  );
});

Deno.test("credentials come from the first place that the environment names, and an error says which", async () => {
  await using aws = startAws();
  const keys = { ...KEYS, sessionToken: null };
  const container = { url: `${aws.url}/container`, token: "wrong", tokenFile: null };
  const webIdentity = { roleArn: "arn:aws:iam::1:role/x", tokenFile: "/nowhere", endpoint: aws.url };
  const all = { keys, webIdentity, container, metadata: aws.url };
  assert.equal(await new CredentialSource(all).get(), keys);
  const refused = (environment: AwsEnvironment) =>
    new CredentialSource(environment).get().then(() => "", ({ message }) => message);
  assert.match(await refused({ ...all, keys: null }), /for arn:aws:iam::1:role\/x from http.*\/nowhere.*trust policy/);
  assert.match(await refused({ ...all, keys: null, webIdentity: null }), /from the container's http.*HTTP status 401;/);
  assert.match(await refused(NOWHERE), /AWS_EC2_METADATA_DISABLED is set; give the host/);
});
