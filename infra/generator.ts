/**
 * The simulator as a Lambda function: once a minute it sends a minute's events to the brokers.
 * @module
 */
import { Buffer } from "node:buffer";
import { alarm } from "./alarm.ts";
import {
  CloudwatchEventRule,
  CloudwatchEventTarget,
  CloudwatchLogGroup,
  type Construct,
  IamRole,
  IamRolePolicy,
  LambdaFunction,
  LambdaFunctionEventInvokeConfig,
  LambdaPermission,
  SqsQueue,
  SqsQueuePolicy,
} from "./aws.ts";
import type { Ground } from "./host.ts";
import type { FunctionEnvironment } from "./hosts/settings.ts";
import { decrypt, policy, trust } from "./policy.ts";
import type { Settings } from "./settings.ts";
import { AwsStack } from "./stack.ts";
import type { StreamStack } from "./stream.ts";

/** Supported until April 2028. */
const RUNTIME = "nodejs24.x";

const TICK_SECONDS = 60;

/** A tick that was not sent by then is dropped. */
const TICK_AGE_SECONDS = 6 * 3600;

/** Ends before the next tick, which waits for it. */
const TIMEOUT_SECONDS = 50;

/** What Lambda does with the function's network interfaces. */
const CHANGE_INTERFACES = [
  "ec2:DeleteNetworkInterface",
  "ec2:AssignPrivateIpAddresses",
  "ec2:UnassignPrivateIpAddresses",
] as const;

/** The function and its schedule. */
export class GeneratorStack extends AwsStack {
  readonly #ground: Ground;

  constructor(scope: Construct, settings: Settings, ground: Ground, stream: StreamStack) {
    super(scope, "generator", settings);
    this.#ground = ground;
    const queue = this.#makeQueue();
    const lambda = this.#makeFunction(stream, queue);
    const rule = this.#schedule(lambda, queue);
    new SqsQueuePolicy(this, "lost-ticks-policy", {
      queueUrl: queue.url,
      policy: policy({
        actions: ["sqs:SendMessage"],
        resources: [queue.arn],
        principal: { service: "events.amazonaws.com" },
        condition: { ArnEquals: { "aws:SourceArn": rule.arn } },
      }),
    });
    this.#makeAlarms(lambda, queue);
    this.says("generator", lambda.functionName, "function that sends events");
  }

  get #functionArn(): string {
    return `arn:aws:lambda:${this.settings.AWS_REGION}:${this.#ground.network.account}:function:${
      this.named("generator")
    }`;
  }

  /** Queue of failed ticks. */
  #makeQueue(): SqsQueue {
    return new SqsQueue(this, "lost-ticks", {
      name: this.named("lost-ticks"),
      kmsMasterKeyId: this.#ground.network.keys.arn("messages"),
      messageRetentionSeconds: 14 * 86_400,
    });
  }

  #makeFunction(stream: StreamStack, queue: SqsQueue): LambdaFunction {
    const { network, artifacts } = this.#ground;
    const name = this.named("generator");
    const logs = new CloudwatchLogGroup(this, "logs", {
      name: `/aws/lambda/${name}`,
      retentionInDays: this.settings.DEPLOY_LOG_DAYS,
      kmsKeyId: network.keys.arn("logs"),
    });
    const { role, rights } = this.#makeRole(stream, queue, logs);
    const { key, sha256 } = artifacts.artifact("generator");
    return new LambdaFunction(this, "function", {
      functionName: name,
      description: "sends events of a simulated shop",
      role: role.arn,
      runtime: RUNTIME,
      architectures: ["arm64"],
      handler: "index.handler",
      s3Bucket: artifacts.bucket.id,
      s3Key: key,
      sourceCodeHash: Buffer.from(sha256, "hex").toString("base64"),
      memorySize: 512,
      timeout: TIMEOUT_SECONDS,
      reservedConcurrentExecutions: this.settings.DEPLOY_RESERVED ? 1 : -1,
      environment: { variables: { ...this.#environment(stream) } },
      kmsKeyArn: network.keys.arn("messages"),
      vpcConfig: {
        subnetIds: network.subnets("services").map(({ id }) => id),
        securityGroupIds: [network.group("generator").id],
      },
      deadLetterConfig: { targetArn: queue.arn },
      loggingConfig: { logFormat: "JSON", logGroup: logs.name },
      dependsOn: [logs, rights],
    });
  }

  #environment(stream: StreamStack): FunctionEnvironment {
    const { KAFKA_BROKERS, KAFKA_TOPIC, KAFKA_PARTITIONS, KAFKA_SASL_USERNAME } = stream.environment("generator");
    return {
      KAFKA_BROKERS: KAFKA_BROKERS!,
      KAFKA_TOPIC: KAFKA_TOPIC!,
      KAFKA_PARTITIONS: KAFKA_PARTITIONS!,
      KAFKA_SASL_MECHANISM: "SCRAM-SHA-512",
      KAFKA_SASL_USERNAME: KAFKA_SASL_USERNAME!,
      KAFKA_SASL_PASSWORD_SECRET: stream.generator.arn,
      KAFKA_TLS_CA_PARAMETERS: stream.certificates.map(({ name }) => name).join(","),
      GENERATOR_RATE: `${this.settings.DEPLOY_RATE}`,
      GENERATOR_SECONDS: `${TICK_SECONDS}`,
      GENERATOR_SEED: "1",
    };
  }

  #makeRole(stream: StreamStack, queue: SqsQueue, logs: CloudwatchLogGroup): { role: IamRole; rights: IamRolePolicy } {
    const { network } = this.#ground;
    const region = this.settings.AWS_REGION;
    const ec2 = `arn:aws:ec2:${region}:${network.account}`;
    const role = new IamRole(this, "role", {
      name: this.named("generator"),
      assumeRolePolicy: trust("lambda.amazonaws.com", network.account),
    });
    const rights = new IamRolePolicy(this, "policy", {
      name: "function",
      role: role.id,
      policy: policy(
        // A network interface, which Lambda creates with the function's rights, in these subnets only.
        { actions: ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"], resources: ["*"] },
        {
          actions: ["ec2:CreateNetworkInterface"],
          resources: [
            `${ec2}:network-interface/*`,
            `${ec2}:security-group/${network.group("generator").id}`,
            ...network.subnets("services").map(({ id }) => `${ec2}:subnet/${id}`),
          ],
        },
        // Lambda refuses a function whose role may do these on fewer resources.
        { actions: CHANGE_INTERFACES, resources: [`${ec2}:*/*`] },
        {
          // The function itself needs none of that.
          effect: "Deny",
          actions: [
            "ec2:CreateNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            ...CHANGE_INTERFACES,
          ],
          resources: ["*"],
          condition: { ArnEquals: { "lambda:SourceFunctionArn": this.#functionArn } },
        },
        { actions: ["logs:CreateLogStream", "logs:PutLogEvents"], resources: [`${logs.arn}:*`] },
        { actions: ["secretsmanager:GetSecretValue"], resources: [stream.generator.arn] },
        { actions: ["ssm:GetParameters"], resources: stream.certificates.map(({ arn }) => arn) },
        { actions: ["sqs:SendMessage"], resources: [queue.arn] },
        decrypt(network.keys.arn("secrets"), "secretsmanager", region),
        decrypt(network.keys.arn("messages"), "lambda", region),
        {
          actions: ["kms:Decrypt", "kms:GenerateDataKey"],
          resources: [network.keys.arn("messages")],
          condition: { StringEquals: { "kms:ViaService": `sqs.${region}.amazonaws.com` } },
        },
      ),
    });
    return { role, rights };
  }

  /** A tick carries its time, which determines its events: sent twice, it has the same events. */
  #schedule(lambda: LambdaFunction, queue: SqsQueue): CloudwatchEventRule {
    const rule = new CloudwatchEventRule(this, "schedule", {
      name: this.named("ticks"),
      description: "a minute of the shop",
      scheduleExpression: "rate(1 minute)",
    });
    new CloudwatchEventTarget(this, "target", {
      rule: rule.name,
      arn: lambda.arn,
      retryPolicy: { maximumRetryAttempts: 10, maximumEventAgeInSeconds: TICK_AGE_SECONDS },
      deadLetterConfig: { arn: queue.arn },
    });
    new LambdaPermission(this, "schedule-may", {
      action: "lambda:InvokeFunction",
      functionName: lambda.functionName,
      principal: "events.amazonaws.com",
      sourceArn: rule.arn,
    });
    new LambdaFunctionEventInvokeConfig(this, "retries", {
      functionName: lambda.functionName,
      maximumRetryAttempts: 2,
      maximumEventAgeInSeconds: TICK_AGE_SECONDS,
    });
    return rule;
  }

  #makeAlarms(lambda: LambdaFunction, queue: SqsQueue): void {
    const tell = [this.#ground.network.alarms.arn];
    const common = { namespace: "AWS/Lambda", of: { FunctionName: lambda.functionName }, when: "above", tell } as const;
    alarm(this, "alarm-errors", {
      ...common,
      name: this.named("generator-errors"),
      about: "The shop can't send: its log says why.",
      metric: "Errors",
      statistic: "Sum",
      threshold: 0,
      minutes: 3,
    });
    alarm(this, "alarm-slow", {
      ...common,
      name: this.named("generator-slow"),
      about: "A minute of the shop takes nearly a minute to send: lower DEPLOY_RATE, or look at the brokers.",
      metric: "Duration",
      statistic: "Maximum",
      threshold: 0.8 * TIMEOUT_SECONDS * 1000,
      minutes: 5,
    });
    alarm(this, "alarm-throttled", {
      ...common,
      name: this.named("generator-throttled"),
      about: "Ticks wait for one that isn't over: see the alarm for slow ones.",
      metric: "Throttles",
      statistic: "Sum",
      threshold: 0,
      minutes: 5,
    });
    alarm(this, "alarm-lost", {
      name: this.named("generator-lost"),
      about: "Minutes of the shop were given up: they are in the queue, with the reason.",
      namespace: "AWS/SQS",
      of: { QueueName: queue.name },
      metric: "ApproximateNumberOfMessagesVisible",
      statistic: "Maximum",
      when: "above",
      threshold: 0,
      minutes: 1,
      tell,
    });
  }
}
