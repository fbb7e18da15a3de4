/**
 * The bucket from which hosts and the function get their programs. A file's key contains its hash: a new version has a
 * new key, and a key always has the same content.
 * @module
 */
import {
  type Construct,
  S3Bucket,
  S3BucketEncryption,
  S3BucketLifecycleConfiguration,
  S3BucketOwnershipControls,
  S3BucketPolicy,
  S3BucketPublicAccessBlock,
  S3BucketVersioning,
  S3Object,
  TerraformAsset,
} from "./aws.ts";
import type { Artifact, ArtifactName, HostKind } from "./hosts/settings.ts";
import type { NetworkStack } from "./network.ts";
import { policy } from "./policy.ts";
import type { Settings } from "./settings.ts";
import { AwsStack } from "./stack.ts";

/** Names of the files in the bucket of every deployment. */
export const FILES = [
  "clickstream",
  "generator",
  "host-kafka",
  "host-processor",
  "host-monitoring",
  "kafka",
  "rds-ca",
  "prometheus",
  "node_exporter",
  "postgres_exporter",
  "grafana",
  "dashboards",
] as const;

/** A file in the bucket. */
export type FileName = typeof FILES[number];

/** A built file. */
export interface BuiltFile {
  readonly path: string;
  /** SHA-256 in hexadecimal. */
  readonly sha256: string;
  /** Whether it only stands for a file that was not built. */
  readonly unbuilt?: boolean;
}

/** All files of a deployment; `views` is the one of `VIEWS_FILE`. */
export type BuiltFiles = Readonly<Record<FileName, BuiltFile>> & { readonly views?: BuiltFile };

/** Files that each kind of host fetches, if the deployment has them. */
export const NEEDS: Readonly<Record<HostKind, readonly ArtifactName[]>> = {
  kafka: ["host", "kafka", "node_exporter"],
  processor: ["host", "clickstream", "rds-ca", "node_exporter", "views"],
  monitoring: ["host", "rds-ca", "prometheus", "grafana", "dashboards", "node_exporter", "postgres_exporter"],
};

/** Fails every plan. Terraform wants a condition that refers to something. */
const NOT_BUILT = { condition: '${path.module == ""}', errorMessage: "Not built: ./deno task artifacts builds it." };

/** The bucket and its files. */
export class ArtifactsStack extends AwsStack {
  readonly bucket: S3Bucket;
  readonly #built: BuiltFiles;

  constructor(
    scope: Construct,
    settings: Settings,
    { keys }: Pick<NetworkStack, "keys">,
    built: BuiltFiles,
  ) {
    super(scope, "artifacts", settings);
    this.#built = built;
    // Everything in it can be built again, so destroying the deployment deletes it with its content.
    this.bucket = new S3Bucket(this, "bucket", { bucketPrefix: `${this.named("artifacts")}-`, forceDestroy: true });
    const key = keys.arn("artifacts");
    this.#closeBucket(key);
    for (const name of [...FILES, "views"] as const) {
      if (built[name] === undefined) continue;
      const { path, sha256, unbuilt } = built[name];
      new S3Object(this, `file-${name}`, {
        bucket: this.bucket.id,
        key: this.artifact(name).key,
        source: new TerraformAsset(this, name, { path, assetHash: sha256 }).path,
        sourceHash: sha256,
        serverSideEncryption: "aws:kms",
        kmsKeyId: key,
        ...(unbuilt ? { lifecycle: { precondition: [NOT_BUILT] } } : {}),
      });
    }
  }

  /** Returns where a file is. */
  artifact(name: keyof BuiltFiles): Artifact {
    const { sha256 } = this.#built[name]!;
    return { key: `${name}/${sha256}`, sha256 };
  }

  /** Returns the files that a host of this kind fetches. */
  artifactsOf(kind: HostKind): Partial<Record<ArtifactName, Artifact>> {
    return Object.fromEntries(this.#filesOf(kind).map(([name, file]) => [name, this.artifact(file)]));
  }

  /** ARNs that a host of this kind may read: every version of its own files, and no other files. */
  readableBy(kind: HostKind): string[] {
    return this.#filesOf(kind).map(([, file]) => `${this.bucket.arn}/${file}/*`);
  }

  /** The names by which a host of this kind knows its files, and those of the files. */
  #filesOf(kind: HostKind): (readonly [ArtifactName, keyof BuiltFiles])[] {
    return NEEDS[kind].map((name) => [name, name === "host" ? `host-${kind}` as const : name] as const)
      .filter(([, file]) => this.#built[file] !== undefined);
  }

  #closeBucket(keyArn: string): void {
    const bucket = this.bucket.id;
    const closed = new S3BucketPublicAccessBlock(this, "closed", {
      bucket,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    new S3BucketOwnershipControls(this, "owner", { bucket, rule: { objectOwnership: "BucketOwnerEnforced" } });
    new S3BucketEncryption(this, "encryption", {
      bucket,
      rule: [{
        applyServerSideEncryptionByDefault: { sseAlgorithm: "aws:kms", kmsMasterKeyId: keyArn },
        bucketKeyEnabled: true,
      }],
    });
    const versions = new S3BucketVersioning(this, "versions", {
      bucket,
      versioningConfiguration: { status: "Enabled" },
    });
    new S3BucketLifecycleConfiguration(this, "lifecycle", {
      bucket,
      dependsOn: [versions],
      rule: [{
        id: "old versions",
        status: "Enabled",
        filter: [{ prefix: "" }],
        noncurrentVersionExpiration: [{ noncurrentDays: 90 }],
        abortIncompleteMultipartUpload: [{ daysAfterInitiation: 1 }],
      }],
    });
    new S3BucketPolicy(this, "encrypted-ways-only", {
      bucket,
      dependsOn: [closed],
      policy: policy({
        effect: "Deny",
        actions: ["s3:*"],
        resources: [this.bucket.arn, `${this.bucket.arn}/*`],
        principal: "everybody",
        condition: { Bool: { "aws:SecureTransport": "false" } },
      }),
    });
  }
}
