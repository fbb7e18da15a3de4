import assert from "node:assert/strict";
import { decrypt, policy, trust } from "./policy.ts";

Deno.test("infra: a policy has the format of IAM", () => {
  assert.deepEqual(JSON.parse(policy({ actions: ["s3:GetObject"], resources: ["arn:aws:s3:::b/*"] })), {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: ["s3:GetObject"], Resource: ["arn:aws:s3:::b/*"] }],
  });
  assert.match(trust("ec2.amazonaws.com", "1"), /"Principal":\{"Service":"ec2.amazonaws.com"\}/);
  assert.match(trust("ec2.amazonaws.com", "1"), /"Condition":\{"StringEqualsIfExists":\{"aws:SourceAccount":"1"\}\}/);
  assert.match(trust("dlm.amazonaws.com", "1"), /"Condition":\{"StringEquals":\{"aws:SourceAccount":"1"\}\}/);
  assert.deepEqual(decrypt("arn:key", "s3", "eu-central-1").condition, {
    StringEquals: { "kms:ViaService": "s3.eu-central-1.amazonaws.com" },
  });
});

Deno.test("infra: a policy that allows more than it names is rejected", () => {
  assert.throws(() => policy({ actions: ["s3:*"], resources: ["arn:aws:s3:::b"] }), /name the actions/);
  assert.throws(() => policy({ actions: ["s3:GetObject"], resources: ["*"] }), /name its resources/);
  policy({ actions: ["cloudwatch:PutMetricData"], resources: ["*"] });
  policy({ effect: "Deny", actions: ["s3:*"], resources: ["*"] });
});
