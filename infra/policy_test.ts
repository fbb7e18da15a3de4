import assert from "node:assert/strict";
import { policy, trust } from "./policy.ts";

Deno.test("infra: a policy has the format of IAM", () => {
  assert.deepEqual(JSON.parse(policy({ actions: ["s3:GetObject"], resources: ["arn:aws:s3:::b/*"] })), {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: ["s3:GetObject"], Resource: ["arn:aws:s3:::b/*"] }],
  });
  assert.match(trust("ec2.amazonaws.com"), /"Principal":\{"Service":"ec2.amazonaws.com"\}/);
});

Deno.test("infra: a policy that allows more than it names is rejected", () => {
  assert.throws(() => policy({ actions: ["s3:*"], resources: ["arn:aws:s3:::b"] }), /name the actions/);
  assert.throws(() => policy({ actions: ["s3:GetObject"], resources: ["*"] }), /name its resources/);
  policy({ actions: ["cloudwatch:PutMetricData"], resources: ["*"] });
  policy({ effect: "Deny", actions: ["s3:*"], resources: ["*"] });
});
