/**
 * The machines that can be chosen, and their properties. Add others here.
 * @module
 */

/** Architecture of a processor. */
export type Architecture = "arm64" | "x86_64";

/** An EC2 instance type or an RDS class (its name begins with `db.`). */
export interface Machine {
  readonly architecture: Architecture;
  readonly memoryMiB: number;
  /** List price in us-east-1, US dollars an hour, on demand, Linux or PostgreSQL in one zone. */
  readonly dollarsPerHour: number;
}

const GIB = 1024;

/** EC2 instance types. */
export const MACHINES: Readonly<Record<string, Machine>> = {
  "t4g.small": { architecture: "arm64", memoryMiB: 2 * GIB, dollarsPerHour: 0.0168 },
  "t4g.medium": { architecture: "arm64", memoryMiB: 4 * GIB, dollarsPerHour: 0.0336 },
  "t4g.large": { architecture: "arm64", memoryMiB: 8 * GIB, dollarsPerHour: 0.0672 },
  "c7g.large": { architecture: "arm64", memoryMiB: 4 * GIB, dollarsPerHour: 0.0725 },
  "c7g.xlarge": { architecture: "arm64", memoryMiB: 8 * GIB, dollarsPerHour: 0.145 },
  "c7g.2xlarge": { architecture: "arm64", memoryMiB: 16 * GIB, dollarsPerHour: 0.29 },
  "m7g.large": { architecture: "arm64", memoryMiB: 8 * GIB, dollarsPerHour: 0.0816 },
  "m7g.xlarge": { architecture: "arm64", memoryMiB: 16 * GIB, dollarsPerHour: 0.1632 },
  "t3.small": { architecture: "x86_64", memoryMiB: 2 * GIB, dollarsPerHour: 0.0208 },
  "t3.medium": { architecture: "x86_64", memoryMiB: 4 * GIB, dollarsPerHour: 0.0416 },
  "t3.large": { architecture: "x86_64", memoryMiB: 8 * GIB, dollarsPerHour: 0.0832 },
  "c7i.large": { architecture: "x86_64", memoryMiB: 4 * GIB, dollarsPerHour: 0.08925 },
  "c7i.xlarge": { architecture: "x86_64", memoryMiB: 8 * GIB, dollarsPerHour: 0.1785 },
  "c7i.2xlarge": { architecture: "x86_64", memoryMiB: 16 * GIB, dollarsPerHour: 0.357 },
  "m7i.large": { architecture: "x86_64", memoryMiB: 8 * GIB, dollarsPerHour: 0.1008 },
  "m7i.xlarge": { architecture: "x86_64", memoryMiB: 16 * GIB, dollarsPerHour: 0.2016 },
};

/** Classes of RDS for PostgreSQL. */
export const DATABASE_CLASSES: Readonly<Record<string, Machine>> = {
  "db.t4g.micro": { architecture: "arm64", memoryMiB: 1 * GIB, dollarsPerHour: 0.016 },
  "db.t4g.small": { architecture: "arm64", memoryMiB: 2 * GIB, dollarsPerHour: 0.032 },
  "db.t4g.medium": { architecture: "arm64", memoryMiB: 4 * GIB, dollarsPerHour: 0.065 },
  "db.t4g.large": { architecture: "arm64", memoryMiB: 8 * GIB, dollarsPerHour: 0.129 },
  "db.m7g.large": { architecture: "arm64", memoryMiB: 8 * GIB, dollarsPerHour: 0.168 },
  "db.m7g.xlarge": { architecture: "arm64", memoryMiB: 16 * GIB, dollarsPerHour: 0.337 },
  "db.r7g.large": { architecture: "arm64", memoryMiB: 16 * GIB, dollarsPerHour: 0.239 },
  "db.r7g.xlarge": { architecture: "arm64", memoryMiB: 32 * GIB, dollarsPerHour: 0.478 },
};
