/**
 * The hosts of a deployment on AWS: what each runs on, and how that is changed. A host stays the same instance, with its
 * address and its data volume: a new image replaces its root volume, and another instance type stops it for a minute.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { IMAGES } from "../../infra/host.ts";
import { type Architecture, MACHINES } from "../../infra/instances.ts";
import type { Settings } from "../../infra/settings.ts";
import type { Aws } from "./aws.ts";
import type { Change, Estate, Footing } from "./roll.ts";

/** Programs on the hosts that tell how they are. */
const CHECK = "/usr/local/lib/clickstream/check";

/** Stops everything that writes, so that a disk is not replaced under it. */
const STOP = "systemctl stop clickstream-apply.timer clickstream-apply.service; " +
  "systemctl stop kafka.service clickstream.service prometheus.service grafana.service 2>/dev/null; true";

const WAIT_MS = 10_000;
const POLL_MS = 2000;

/** Runs a shell command on a host, as root, through SSM, and waits for its end. */
async function onHost(aws: Aws, instance: string, command: string): Promise<{ succeeded: boolean; output: string }> {
  const parameters = JSON.stringify({ commands: [command] });
  const { Command: { CommandId: id } } = await aws.json<{ Command: { CommandId: string } }>(
    ...["ssm", "send-command", "--instance-ids", instance],
    ...["--document-name", "AWS-RunShellScript", "--parameters", parameters],
  );
  for (;;) {
    await setTimeout(POLL_MS);
    const { Status, StandardOutputContent } = await aws.json<{ Status: string; StandardOutputContent: string }>(
      ...["ssm", "get-command-invocation", "--command-id", id, "--instance-id", instance],
    );
    if (["Pending", "InProgress", "Delayed", "Cancelling"].includes(Status)) continue;
    return { succeeded: Status === "Success", output: StandardOutputContent.trim() };
  }
}

/** A host that runs. */
export interface Host {
  /** Such as `kafka-1`. */
  readonly name: string;
  readonly instance: string;
  readonly on: Footing;
}

/** Lists the hosts of a deployment. */
export async function hostsOf(aws: Aws, deployment: string): Promise<Host[]> {
  type Found = readonly (readonly [instance: string, machine: string, image: string, name: string])[];
  const found = await aws.json<Found>(
    "ec2",
    "describe-instances",
    "--filters",
    "Name=tag:application,Values=clickstream",
    `Name=tag:deployment,Values=${deployment}`,
    "Name=instance-state-name,Values=pending,running,stopping,stopped",
    "--query",
    "Reservations[].Instances[].[InstanceId, InstanceType, ImageId, Tags[?Key=='Name'] | [0].Value]",
  );
  return found.map(([instance, machine, image, name]) => ({
    name: name.slice(deployment.length + 1),
    instance,
    on: { machine, image },
  }));
}

/** The newest image for an architecture. */
export async function newestImage(aws: Aws, architecture: Architecture): Promise<string> {
  const name = `${IMAGES}-${architecture}`;
  return await aws.run("ssm", "get-parameter", "--name", name, "--query", "Parameter.Value", "--output", "text");
}

/**
 * Lists what has to change for the hosts to run on the machines of the settings, and on this image if one is given.
 *
 * @throws {Error} naming a host that would need another architecture, which its disk does not have
 */
export function changesFor(hosts: readonly Host[], settings: Settings, image: string | null): Change[] {
  const machines: Readonly<Record<string, string>> = {
    kafka: settings.DEPLOY_BROKER_MACHINE,
    processor: settings.DEPLOY_PROCESSOR_MACHINE,
    monitoring: settings.DEPLOY_MONITORING_MACHINE,
  };
  return hosts.flatMap(({ name, on }) => {
    const to = { machine: machines[name.slice(0, name.lastIndexOf("-"))] ?? on.machine, image: image ?? on.image };
    if (to.machine === on.machine && to.image === on.image) return [];
    const [now, then] = [MACHINES[on.machine]?.architecture, MACHINES[to.machine]?.architecture];
    if (now !== undefined && now !== then) {
      throw new Error(`${name} is ${now} and can't become ${then}: its disk holds programs for ${now} only`);
    }
    return [{ host: name, from: on, to }];
  });
}

/** The hosts of a deployment, as `roll` asks and changes them. */
export class AwsEstate implements Estate {
  readonly #aws: Aws;
  readonly #hosts: ReadonlyMap<string, Host>;
  readonly #now: Map<string, Footing>;

  constructor(aws: Aws, hosts: readonly Host[]) {
    this.#aws = aws;
    this.#hosts = new Map(hosts.map((host) => [host.name, host]));
    this.#now = new Map(hosts.map(({ name, on }) => [name, on]));
  }

  async mayStop(host: string): Promise<string | null> {
    return await this.#check(host, "stop");
  }

  async isReady(host: string): Promise<string | null> {
    return await this.#check(host, "ready");
  }

  async put(host: string, on: Footing): Promise<void> {
    const { instance } = this.#hosts.get(host)!;
    const now = this.#now.get(host)!;
    this.#now.set(host, on);
    // A host that can't be reached has nothing that could be stopped in good order.
    await onHost(this.#aws, instance, STOP).catch(() => {});
    if (now.machine !== on.machine) await this.#changeMachine(instance, on.machine);
    if (now.image !== on.image) await this.#replaceDisk(instance, on.image);
    // Otherwise its own timer is at work again, since it has booted.
  }

  async wait(): Promise<void> {
    await setTimeout(WAIT_MS);
  }

  async #check(host: string, what: "stop" | "ready"): Promise<string | null> {
    const { succeeded, output } = await onHost(this.#aws, this.#hosts.get(host)!.instance, `${CHECK} ${what}`);
    return succeeded ? null : output || `${CHECK} ${what} failed without a word`;
  }

  async #changeMachine(instance: string, machine: string): Promise<void> {
    const which = ["--instance-ids", instance];
    await this.#aws.run("ec2", "stop-instances", ...which);
    await this.#aws.run("ec2", "wait", "instance-stopped", ...which);
    await this.#aws.run(
      "ec2",
      "modify-instance-attribute",
      "--instance-id",
      instance,
      "--instance-type",
      `Value=${machine}`,
    );
    await this.#aws.run("ec2", "start-instances", ...which);
    await this.#aws.run("ec2", "wait", "instance-running", ...which);
  }

  async #replaceDisk(instance: string, image: string): Promise<void> {
    const task = await this.#aws.run(
      "ec2",
      "create-replace-root-volume-task",
      "--instance-id",
      instance,
      "--image-id",
      image,
      "--delete-replaced-root-volume",
      "--query",
      "ReplaceRootVolumeTask.ReplaceRootVolumeTaskId",
      "--output",
      "text",
    );
    for (;;) {
      await setTimeout(WAIT_MS);
      const state = await this.#aws.run(
        "ec2",
        "describe-replace-root-volume-tasks",
        "--replace-root-volume-task-ids",
        task,
        "--query",
        "ReplaceRootVolumeTasks[0].TaskState",
        "--output",
        "text",
      );
      if (state === "succeeded") return;
      if (state.startsWith("fail")) throw new Error(`AWS could not replace the root volume: ${task} is ${state}`);
    }
  }
}
