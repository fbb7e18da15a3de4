import assert from "node:assert/strict";
import { deploySettings } from "../../infra/settings.ts";
import { EMAIL } from "../../infra/testing/synth.ts";
import { AwsError } from "./aws.ts";
import { accountOf, type Asks, chooseZones, faultOfTerraform, faultsOfAccount, vcpus, zonesOf } from "./preflight.ts";

/** Reads settings; production must have an address. */
const choose = (choices: Readonly<Record<string, string>>) =>
  deploySettings((name) => ({ ...EMAIL, ...choices } as Record<string, string>)[name]);

type Answer = unknown | AwsError;

const refusal = (code: string) => new AwsError(["x"], `An error occurred (${code}) when calling X: no`);

const offers = (machines: readonly string[], zones: readonly string[]) => ({
  InstanceTypeOfferings: zones.flatMap((Location) => machines.map((InstanceType) => ({ InstanceType, Location }))),
});

/** Answers of an account that lacks nothing, in the shape of AWS's command line. */
const GOOD: Readonly<Record<string, Answer>> = {
  "sts get-caller-identity": { Account: "123456789012" },
  "ec2 describe-availability-zones": {
    AvailabilityZones: ["ca-central-1a", "ca-central-1b", "ca-central-1d"].map((ZoneName) => ({ ZoneName })),
  },
  "ec2 describe-instance-type-offerings": offers(
    ["t4g.small", "t4g.medium", "c7g.large", "c7g.xlarge", "m7g.large"],
    ["ca-central-1a", "ca-central-1b", "ca-central-1d"],
  ),
  "service-quotas get-service-quota": { Quota: { Value: 32 } },
  "ec2 describe-instances": { Reservations: [] },
  "lambda get-account-settings": { AccountLimit: { UnreservedConcurrentExecutions: 1000 } },
  "iam get-role": { Role: {} },
  "s3api get-bucket-versioning": { Status: "Enabled" },
};

function account(changed: Readonly<Record<string, Answer>> = {}): Asks {
  const answers: Readonly<Record<string, Answer>> = { ...GOOD, ...changed };
  return {
    region: "ca-central-1",
    json: <T>(...args: readonly string[]) => {
      const answer = answers[args.slice(0, 2).join(" ")] ?? assert.fail(args.join(" "));
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer as T);
    },
  };
}

const PRODUCTION = { AWS_REGION: "ca-central-1", DEPLOY_SIZE: "production", DEPLOY_ZONES: "a,b,d" };

const machine = (InstanceType: string, deployment?: string) => ({
  InstanceType,
  ...(deployment === undefined ? {} : { Tags: [{ Key: "deployment", Value: deployment }] }),
});

/** What the account answers otherwise, with which settings, and the fault with its cure. */
const FAULTS: readonly (readonly [Readonly<Record<string, Answer>>, Readonly<Record<string, string>>, RegExp])[] = [
  [{}, { DEPLOY_ZONES: "a,b,c" }, /^zones c of ca-central-1 don't have these machines: set DEPLOY_ZONES to .* a,b,d,/],
  [
    { "ec2 describe-instance-type-offerings": offers(["t4g.medium", "c7g.xlarge"], ["ca-central-1a"]) },
    {},
    /^zones a, b, d of/,
  ],
  [
    { "service-quotas get-service-quota": { Quota: { Value: 5 } } },
    {},
    /^16 vCPUs are needed and 0 are in use, and the account may run 5 .* --desired-value 16$/,
  ],
  [
    {
      "service-quotas get-service-quota": { Quota: { Value: 16 } },
      "ec2 describe-instances": {
        Reservations: [{ Instances: [machine("m7g.large", "clickstream"), machine("x.2xlarge")] }],
      },
    },
    {},
    /^16 vCPUs are needed and 8 are in use/,
  ],
  [
    { "lambda get-account-settings": { AccountLimit: { UnreservedConcurrentExecutions: 10 } } },
    {},
    /^the account may run 10 functions at once and none can be reserved: set DEPLOY_RESERVED=false/,
  ],
  [{ "iam get-role": refusal("NoSuchEntity") }, {}, /aws iam create-service-linked-role --aws-service-name rds\.amaz/],
  [
    { "s3api get-bucket-versioning": refusal("NoSuchBucket") },
    { DEPLOY_STATE_BUCKET: "states" },
    /^there is no bucket states: aws s3 mb s3:\/\/states --region ca-central-1$/,
  ],
];

Deno.test("preflight: what the account lacks is said before anything is created, with its cure", async () => {
  const never = (what: string) => assert.fail(what);
  assert.deepEqual(await faultsOfAccount(account(), choose(PRODUCTION), never), []);
  for (const [answers, choices, says] of FAULTS) {
    const faults = await faultsOfAccount(account(answers), choose({ ...PRODUCTION, ...choices }), never);
    assert.equal(faults.length, 1, faults.join("\n"));
    assert.match(faults[0]!, says);
  }
  const none = { "lambda get-account-settings": { AccountLimit: { UnreservedConcurrentExecutions: 10 } } };
  assert.deepEqual(
    await faultsOfAccount(account(none), choose({ ...PRODUCTION, DEPLOY_RESERVED: "false" }), never),
    [],
  );
});

Deno.test("preflight: a check without rights is skipped and said", async () => {
  const skipped: string[] = [];
  const denied = account({ "service-quotas get-service-quota": refusal("AccessDeniedException") });
  assert.deepEqual(await faultsOfAccount(denied, choose(PRODUCTION), (what) => skipped.push(what)), []);
  assert.match(skipped.join(), /^vCPUs could not be checked: .*AccessDenied/);
  await assert.rejects(accountOf(account({ "sts get-caller-identity": refusal("ExpiredToken") })), /aws sso login/);
});

Deno.test("preflight: the account's zones are taken, not a, b and c", async () => {
  const settings = choose({ AWS_REGION: "ca-central-1", DEPLOY_SIZE: "production" });
  const zones = await zonesOf(account(), settings);
  assert.deepEqual(zones, ["a", "b", "d"]);
  assert.equal(chooseZones(zones, settings), "a,b,d");
  assert.equal(chooseZones(zones, choose({ DEPLOY_SIZE: "small" })), "a,b");
});

Deno.test("preflight: vCPUs by size, and the version of Terraform", () => {
  const sizes = ["dev", "small", "production"].map((size) => vcpus(choose({ DEPLOY_SIZE: size })));
  assert.deepEqual(sizes, [6, 6, 16]);
  for (const version of ["1.11.0", "1.12.3", "2.0.0"]) assert.deepEqual(faultOfTerraform(version), [], version);
  for (const version of ["1.10.9", "0.15.0"]) assert.match(faultOfTerraform(version).join(), /is needed/, version);
});
