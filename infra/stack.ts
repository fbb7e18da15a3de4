/**
 * Common parts of all stacks: provider, state backend, tags, and names with the deployment's prefix.
 * @module
 */
import { App, AwsProvider, type Construct, LocalBackend, S3Backend, TerraformOutput, TerraformStack } from "./aws.ts";
import type { Settings } from "./settings.ts";

/** Versions of Terraform that know everything in the stacks: passwords that are never in the state need 1.11. */
export const TERRAFORM = ">=1.11.0";

/** Returns an application whose stacks are synthesized into a folder (default: `cdktf.out`, or CDKTF's choice). */
export function newApp(outdir?: string): App {
  // The fork checks that this version knows what the stacks use; CDKTF ignores it.
  const context = { targetVersions: { terraform: TERRAFORM } };
  return new App({ context, ...(outdir === undefined ? {} : { outdir }) });
}

/** One part of a deployment, applied and destroyed as a whole. */
export abstract class AwsStack extends TerraformStack {
  /** The deployment's settings. */
  readonly settings: Settings;

  constructor(scope: Construct, id: string, settings: Settings) {
    super(scope, id);
    this.settings = settings;
    new AwsProvider(this, "aws", {
      region: settings.AWS_REGION,
      defaultTags: [{ tags: this.tags }],
      ...(settings.elsewhere ? { s3UsePathStyle: true } : {}),
    });
    this.addOverride("terraform.required_version", TERRAFORM);
    const bucket = settings.DEPLOY_STATE_BUCKET;
    const file = `${settings.DEPLOY_NAME}.${settings.AWS_REGION}.${id}.tfstate`;
    // Relative to the stack's folder, cdktf.out/stacks/…, where Terraform runs.
    if (bucket === null) new LocalBackend(this, { path: `../../../${file}` });
    else {
      const region = settings.DEPLOY_STATE_REGION ?? settings.AWS_REGION;
      new S3Backend(this, { bucket, key: `clickstream/${file}`, region, encrypt: true });
      if (settings.elsewhere) this.addOverride("terraform.backend.s3.use_path_style", true);
      this.addOverride("terraform.backend.s3.use_lockfile", true);
    }
  }

  /** Tags of everything in the stack, by which its cost can be found; Terraform does not add them in templates. */
  get tags(): Record<string, string> {
    return { application: "clickstream", deployment: this.settings.DEPLOY_NAME, stack: this.node.id };
  }

  /** A name within the deployment. */
  named(name: string): string {
    return `${this.settings.DEPLOY_NAME}-${name}`;
  }

  /** The lifecycle of something that holds data: Terraform refuses to destroy it unless it or the deployment is named. */
  keeping(name: string): { preventDestroy: boolean } {
    const { DEPLOY_DESTROY: named, DEPLOY_NAME: deployment } = this.settings;
    return { preventDestroy: !named.includes(name) && !named.includes(deployment) };
  }

  /** Adds an output with exactly this name. */
  says(name: string, value: unknown, description: string): void {
    new TerraformOutput(this, name, { value, description, staticId: true });
  }
}
