/**
 * Prometheus and Grafana on their own host, reached only through SSM port forwarding.
 * @module
 */
import type { Construct } from "./aws.ts";
import type { DatabaseStack } from "./database.ts";
import { type Ground, Host } from "./host.ts";
import { Password } from "./password.ts";
import type { Settings } from "./settings.ts";
import { AwsStack } from "./stack.ts";
import type { StreamStack } from "./stream.ts";

/** Where Prometheus keeps its data. */
const PROMETHEUS_DATA = "/var/lib/prometheus";

/** The monitoring host. */
export class MonitoringStack extends AwsStack {
  constructor(scope: Construct, settings: Settings, ground: Ground, database: DatabaseStack, stream: StreamStack) {
    super(scope, "monitoring", settings);
    const password = new Password(this, "grafana-admin", "Grafana's user admin", ground.network.keys.arn("secrets"));
    const host = new Host(this, ground, {
      kind: "monitoring",
      number: 1,
      machine: settings.DEPLOY_MONITORING_MACHINE,
      disk: { gib: settings.DEPLOY_MONITORING_DISK_GIB, mount: PROMETHEUS_DATA },
      secrets: { "database-monitoring": database.monitoring.arn, "grafana-admin": password.arn },
      certificates: [],
      release: { ...stream.shared, environment: {} },
    });
    this.says("monitoring", host.instanceId, "machine of Prometheus and Grafana");
    this.says("grafana_password", password.arn, "secret with the password of Grafana's admin");
  }
}
