/**
 * All imports from CDKTF and its AWS provider. HashiCorp archived CDKTF in December 2025. The community continues it as
 * `cdktn`, whose packages have the same API: the import map `infra/cdktn.json` switches to it.
 * @module
 */

// CDKTF has its own copy of this package. Import the newest in the lock, or it gets the older one of another package.
import "lru-cache";

export { App, Fn, LocalBackend, S3Backend, TerraformAsset, TerraformOutput, TerraformStack } from "cdktf";
export { Construct } from "constructs";

// Import each resource by itself: loading the package's index takes ten times as long.
export { CloudwatchEventRule } from "@cdktf/provider-aws/lib/cloudwatch-event-rule/index.js";
export { CloudwatchEventTarget } from "@cdktf/provider-aws/lib/cloudwatch-event-target/index.js";
export { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group/index.js";
export { CloudwatchMetricAlarm } from "@cdktf/provider-aws/lib/cloudwatch-metric-alarm/index.js";
export { DataAwsAvailabilityZones } from "@cdktf/provider-aws/lib/data-aws-availability-zones/index.js";
export { DataAwsCallerIdentity } from "@cdktf/provider-aws/lib/data-aws-caller-identity/index.js";
export { DataAwsSsmParameter } from "@cdktf/provider-aws/lib/data-aws-ssm-parameter/index.js";
export { DataAwsSsmParametersByPath } from "@cdktf/provider-aws/lib/data-aws-ssm-parameters-by-path/index.js";
export { DbInstance } from "@cdktf/provider-aws/lib/db-instance/index.js";
export { DbParameterGroup } from "@cdktf/provider-aws/lib/db-parameter-group/index.js";
export { DbSubnetGroup } from "@cdktf/provider-aws/lib/db-subnet-group/index.js";
export { DefaultSecurityGroup } from "@cdktf/provider-aws/lib/default-security-group/index.js";
export { EbsVolume } from "@cdktf/provider-aws/lib/ebs-volume/index.js";
export { Eip } from "@cdktf/provider-aws/lib/eip/index.js";
export { FlowLog } from "@cdktf/provider-aws/lib/flow-log/index.js";
export { IamInstanceProfile } from "@cdktf/provider-aws/lib/iam-instance-profile/index.js";
export { IamRole } from "@cdktf/provider-aws/lib/iam-role/index.js";
export { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy/index.js";
export { Instance } from "@cdktf/provider-aws/lib/instance/index.js";
export { InternetGateway } from "@cdktf/provider-aws/lib/internet-gateway/index.js";
export { KmsAlias } from "@cdktf/provider-aws/lib/kms-alias/index.js";
export { KmsKey } from "@cdktf/provider-aws/lib/kms-key/index.js";
export { LambdaFunction } from "@cdktf/provider-aws/lib/lambda-function/index.js";
export { LambdaFunctionEventInvokeConfig } from "@cdktf/provider-aws/lib/lambda-function-event-invoke-config/index.js";
export { LambdaPermission } from "@cdktf/provider-aws/lib/lambda-permission/index.js";
export { LaunchTemplate } from "@cdktf/provider-aws/lib/launch-template/index.js";
export { NatGateway } from "@cdktf/provider-aws/lib/nat-gateway/index.js";
export { AwsProvider } from "@cdktf/provider-aws/lib/provider/index.js";
export { Route } from "@cdktf/provider-aws/lib/route/index.js";
export { RouteTable } from "@cdktf/provider-aws/lib/route-table/index.js";
export { RouteTableAssociation } from "@cdktf/provider-aws/lib/route-table-association/index.js";
export { Route53Record } from "@cdktf/provider-aws/lib/route53-record/index.js";
export { Route53Zone } from "@cdktf/provider-aws/lib/route53-zone/index.js";
export { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket/index.js";
export { S3BucketLifecycleConfiguration } from "@cdktf/provider-aws/lib/s3-bucket-lifecycle-configuration/index.js";
export { S3BucketOwnershipControls } from "@cdktf/provider-aws/lib/s3-bucket-ownership-controls/index.js";
export { S3BucketPolicy } from "@cdktf/provider-aws/lib/s3-bucket-policy/index.js";
export { S3BucketPublicAccessBlock } from "@cdktf/provider-aws/lib/s3-bucket-public-access-block/index.js";
export {
  S3BucketServerSideEncryptionConfigurationA as S3BucketEncryption,
} from "@cdktf/provider-aws/lib/s3-bucket-server-side-encryption-configuration/index.js";
export { S3BucketVersioningA as S3BucketVersioning } from "@cdktf/provider-aws/lib/s3-bucket-versioning/index.js";
export { S3Object } from "@cdktf/provider-aws/lib/s3-object/index.js";
export { SecretsmanagerSecret } from "@cdktf/provider-aws/lib/secretsmanager-secret/index.js";
export { SecretsmanagerSecretVersion } from "@cdktf/provider-aws/lib/secretsmanager-secret-version/index.js";
export { SecurityGroup } from "@cdktf/provider-aws/lib/security-group/index.js";
export { SnsTopic } from "@cdktf/provider-aws/lib/sns-topic/index.js";
export { SnsTopicPolicy } from "@cdktf/provider-aws/lib/sns-topic-policy/index.js";
export { SnsTopicSubscription } from "@cdktf/provider-aws/lib/sns-topic-subscription/index.js";
export { SqsQueue } from "@cdktf/provider-aws/lib/sqs-queue/index.js";
export { SqsQueuePolicy } from "@cdktf/provider-aws/lib/sqs-queue-policy/index.js";
export { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter/index.js";
export { Subnet } from "@cdktf/provider-aws/lib/subnet/index.js";
export { VolumeAttachment } from "@cdktf/provider-aws/lib/volume-attachment/index.js";
export { Vpc } from "@cdktf/provider-aws/lib/vpc/index.js";
export { VpcEndpoint } from "@cdktf/provider-aws/lib/vpc-endpoint/index.js";
export {
  VpcSecurityGroupEgressRule as EgressRule,
} from "@cdktf/provider-aws/lib/vpc-security-group-egress-rule/index.js";
export {
  VpcSecurityGroupIngressRule as IngressRule,
} from "@cdktf/provider-aws/lib/vpc-security-group-ingress-rule/index.js";
