/**
 * PostgreSQL on RDS: private, encrypted, reached over TLS only. RDS creates and rotates its administrator's password.
 * @module
 */
import { alarm } from "./alarm.ts";
import {
  CloudwatchLogGroup,
  type Construct,
  DbInstance,
  DbParameterGroup,
  DbSubnetGroup,
  Fn,
  IamRole,
  IamRolePolicy,
} from "./aws.ts";
import { DATABASE_CLASSES } from "./instances.ts";
import type { NetworkStack } from "./network.ts";
import { Password } from "./password.ts";
import { policy, trust } from "./policy.ts";
import type { Settings } from "./settings.ts";
import { AwsStack } from "./stack.ts";

const VERSION = "18";

/** Name of the database and of its administrator, who runs migrations. */
const NAME = "clickstream";
const ADMINISTRATOR = "clickstream_admin";

/** Storage grows automatically up to this multiple of its initial size. */
const GROWTH = 5;

const GIB = 2 ** 30;

/**
 * Parameters that differ from RDS's defaults: one writer commits large transactions once a second, and reports run
 * beside it. Parameters that need a restart are marked.
 */
const PARAMETERS: readonly (readonly [name: string, value: string, restart?: true])[] = [
  ["rds.force_ssl", "1"],
  ["password_encryption", "scram-sha-256"],
  ["shared_preload_libraries", "pg_stat_statements", true],
  // Each commit writes many pages of current windows. With longer checkpoint intervals, full-page writes are rarer.
  ["checkpoint_timeout", "900"],
  ["max_wal_size", "4096"],
  // Rows of the current minute are updated once a second: vacuum their dead versions early.
  ["autovacuum_vacuum_scale_factor", "0.05"],
  ["autovacuum_naptime", "15"],
  ["random_page_cost", "1.1"],
  // Reports of weeks look expensive enough to be compiled, which takes longer than they do.
  ["jit", "0"],
  ["idle_in_transaction_session_timeout", "60000"],
  ["log_min_duration_statement", "1000"],
  ["log_lock_waits", "1"],
  ["log_statement", "ddl"],
];

/** The database. */
export class DatabaseStack extends AwsStack {
  readonly host: string;
  readonly port: string;
  /** ARN of the administrator's secret with `username` and `password`. */
  readonly administrator: string;
  readonly processor: Password;
  readonly monitoring: Password;

  constructor(scope: Construct, settings: Settings, network: NetworkStack) {
    super(scope, "database", settings);
    const identifier = settings.DEPLOY_NAME;
    const secretsKey = network.keys.arn("secrets");
    // Created here, so that they have the same retention as other logs and are destroyed with the deployment.
    const logs = ["postgresql", "upgrade"].map((name) =>
      new CloudwatchLogGroup(this, `logs-${name}`, {
        name: `/aws/rds/instance/${identifier}/${name}`,
        retentionInDays: settings.DEPLOY_LOG_DAYS,
        kmsKeyId: network.keys.arn("logs"),
      })
    );
    const database = new DbInstance(this, "database", {
      identifier,
      engine: "postgres",
      engineVersion: VERSION,
      instanceClass: settings.DEPLOY_DATABASE_CLASS,
      dbName: NAME,
      username: ADMINISTRATOR,
      manageMasterUserPassword: true,
      masterUserSecretKmsKeyId: secretsKey,
      iamDatabaseAuthenticationEnabled: true,
      caCertIdentifier: "rds-ca-rsa2048-g1",
      allocatedStorage: settings.DEPLOY_DATABASE_DISK_GIB,
      maxAllocatedStorage: Math.min(GROWTH * settings.DEPLOY_DATABASE_DISK_GIB, 65_536),
      storageType: "gp3",
      // AWS's own key: a final snapshot would be unreadable once our key is destroyed.
      storageEncrypted: true,
      multiAz: settings.DEPLOY_DATABASE_STANDBY,
      dbSubnetGroupName: new DbSubnetGroup(this, "subnets", {
        name: identifier,
        description: `where the database of ${identifier} may stand`,
        subnetIds: network.subnets("database").map(({ id }) => id),
      }).name,
      vpcSecurityGroupIds: [network.group("database").id],
      publiclyAccessible: false,
      parameterGroupName: this.#makeParameters().name,
      backupRetentionPeriod: settings.DEPLOY_BACKUP_DAYS,
      backupWindow: "02:00-03:00",
      maintenanceWindow: "sun:03:30-sun:04:30",
      copyTagsToSnapshot: true,
      deleteAutomatedBackups: true,
      deletionProtection: settings.DEPLOY_PROTECTED,
      skipFinalSnapshot: !settings.DEPLOY_SNAPSHOT,
      // A new name for each deployment, because a second final snapshot with the same name would fail.
      ...(settings.DEPLOY_SNAPSHOT
        ? { finalSnapshotIdentifier: `${identifier}-last-${Fn.trimprefix(network.vpc.id, "vpc-")}` }
        : {}),
      autoMinorVersionUpgrade: true,
      applyImmediately: !settings.DEPLOY_PROTECTED,
      performanceInsightsEnabled: true,
      performanceInsightsRetentionPeriod: 7,
      performanceInsightsKmsKeyId: network.keys.arn("logs"),
      monitoringInterval: 60,
      monitoringRoleArn: this.#makeMonitoringRole(network.account).arn,
      enabledCloudwatchLogsExports: ["postgresql", "upgrade"],
      dependsOn: logs,
      lifecycle: this.keeping("database/database"),
    });
    this.host = database.address;
    this.port = Fn.tostring(database.port);
    this.administrator = database.masterUserSecret.get(0).secretArn;
    this.processor = new Password(this, "database-processor", "the database's user who counts", secretsKey);
    this.monitoring = new Password(this, "database-monitoring", "the database's user who reads", secretsKey);
    this.#makeAlarms(database.identifier, network.alarms.arn);
  }

  /** Name of the database. */
  get databaseName(): string {
    return NAME;
  }

  #makeParameters(): DbParameterGroup {
    return new DbParameterGroup(this, "parameters", {
      namePrefix: `${this.settings.DEPLOY_NAME}-`,
      family: `postgres${VERSION}`,
      description: "for one writer of large transactions",
      parameter: PARAMETERS.map(([name, value, restart]) => ({
        name,
        value,
        applyMethod: restart ? "pending-reboot" : "immediate",
      })),
      // A parameter group in use can't be deleted, so create the new one first.
      lifecycle: { createBeforeDestroy: true },
    });
  }

  #makeMonitoringRole(account: string): IamRole {
    const role = new IamRole(this, "monitoring-role", {
      name: this.named("database-monitoring"),
      assumeRolePolicy: trust("monitoring.rds.amazonaws.com", account),
    });
    new IamRolePolicy(this, "monitoring-policy", {
      name: "write",
      role: role.id,
      policy: policy({
        actions: [
          "logs:CreateLogGroup",
          "logs:PutRetentionPolicy",
          "logs:CreateLogStream",
          "logs:PutLogEvents",
          "logs:DescribeLogStreams",
        ],
        // RDS's own log group, which all databases of an account share.
        resources: ["", ":log-stream:*"].map((rest) =>
          `arn:aws:logs:${this.settings.AWS_REGION}:${account}:log-group:RDSOSMetrics${rest}`
        ),
      }),
    });
    return role;
  }

  #makeAlarms(identifier: string, topic: string): void {
    const of = { DBInstanceIdentifier: identifier };
    const common = { namespace: "AWS/RDS", of, tell: [topic] };
    const { memoryMiB } = DATABASE_CLASSES[this.settings.DEPLOY_DATABASE_CLASS]!;
    alarm(this, "alarm-disk", {
      ...common,
      name: this.named("database-disk"),
      about:
        "The database's disk is nearly full and no longer grows: raise DEPLOY_DATABASE_DISK_GIB, or keep fewer days.",
      metric: "FreeStorageSpace",
      statistic: "Minimum",
      when: "below",
      threshold: Math.floor(0.1 * this.settings.DEPLOY_DATABASE_DISK_GIB * GIB),
      minutes: 5,
    });
    alarm(this, "alarm-cores", {
      ...common,
      name: this.named("database-cores"),
      about: "The database has been busy for a quarter of an hour: see Performance Insights, or choose a larger class.",
      metric: "CPUUtilization",
      statistic: "Average",
      when: "above",
      threshold: 90,
      minutes: 15,
    });
    alarm(this, "alarm-memory", {
      ...common,
      name: this.named("database-memory"),
      about: "The database is short of memory: choose a larger class.",
      metric: "FreeableMemory",
      statistic: "Average",
      when: "below",
      threshold: Math.floor(memoryMiB * 2 ** 20 * 0.05),
      minutes: 15,
    });
  }
}
