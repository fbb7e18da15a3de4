/**
 * Deployment sizes: the defaults that each size defines.
 * @module
 */

/** All sizes. */
export const SIZES = ["dev", "small", "production"] as const;

/** For evaluation, for one shop, and for one that must stay available. */
export type Size = typeof SIZES[number];

/** Settings that a size defines, as text; x86_64 uses the machine after the slash. */
export const CHOICES = {
  dev: {
    DEPLOY_ZONES: "a,b",
    DEPLOY_BROKERS: "1",
    DEPLOY_PROCESSORS: "1",
    DEPLOY_BROKER_MACHINE: "t4g.small/t3.small",
    DEPLOY_PROCESSOR_MACHINE: "t4g.small/t3.small",
    DEPLOY_MONITORING_MACHINE: "t4g.small/t3.small",
    DEPLOY_BROKER_DISK_GIB: "20",
    DEPLOY_MONITORING_DISK_GIB: "10",
    DEPLOY_DATABASE_CLASS: "db.t4g.micro",
    DEPLOY_DATABASE_DISK_GIB: "20",
    DEPLOY_DATABASE_STANDBY: "false",
    DEPLOY_BACKUP_DAYS: "1",
    DEPLOY_PROTECTED: "false",
    DEPLOY_SNAPSHOT: "false",
    DEPLOY_LOG_DAYS: "7",
    DEPLOY_RATE: "5",
  },
  small: {
    DEPLOY_ZONES: "a,b",
    DEPLOY_BROKERS: "1",
    DEPLOY_PROCESSORS: "1",
    DEPLOY_BROKER_MACHINE: "t4g.medium/t3.medium",
    DEPLOY_PROCESSOR_MACHINE: "c7g.large/c7i.large",
    DEPLOY_MONITORING_MACHINE: "t4g.small/t3.small",
    DEPLOY_BROKER_DISK_GIB: "100",
    DEPLOY_MONITORING_DISK_GIB: "20",
    DEPLOY_DATABASE_CLASS: "db.t4g.medium",
    DEPLOY_DATABASE_DISK_GIB: "50",
    DEPLOY_DATABASE_STANDBY: "false",
    DEPLOY_BACKUP_DAYS: "7",
    DEPLOY_PROTECTED: "false",
    DEPLOY_SNAPSHOT: "true",
    DEPLOY_LOG_DAYS: "30",
    DEPLOY_RATE: "20",
  },
  production: {
    DEPLOY_ZONES: "a,b,c",
    DEPLOY_BROKERS: "3",
    DEPLOY_PROCESSORS: "2",
    DEPLOY_BROKER_MACHINE: "m7g.large/m7i.large",
    DEPLOY_PROCESSOR_MACHINE: "c7g.xlarge/c7i.xlarge",
    DEPLOY_MONITORING_MACHINE: "t4g.medium/t3.medium",
    DEPLOY_BROKER_DISK_GIB: "500",
    DEPLOY_MONITORING_DISK_GIB: "50",
    DEPLOY_DATABASE_CLASS: "db.m7g.xlarge",
    DEPLOY_DATABASE_DISK_GIB: "400",
    DEPLOY_DATABASE_STANDBY: "true",
    DEPLOY_BACKUP_DAYS: "14",
    DEPLOY_PROTECTED: "true",
    DEPLOY_SNAPSHOT: "true",
    DEPLOY_LOG_DAYS: "90",
    DEPLOY_RATE: "100",
  },
} as const satisfies Readonly<Record<Size, Readonly<Record<string, string>>>>;
