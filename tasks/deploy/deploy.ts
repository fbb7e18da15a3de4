/**
 * `deno task deploy`: deploys these sources to AWS, for the first time or as a new version. First prints what will be
 * created and its cost; `--yes` continues without asking.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { builtFiles } from "../../infra/built.ts";
import { monthlyCost, PRICES_OF, total } from "../../infra/cost.ts";
import { PORTS } from "../../infra/hosts/settings.ts";
import { table } from "../../processor/status/text.ts";
import { deploySettings, type Settings, WrongSettings } from "../../infra/settings.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const OUTPUTS = `${ROOT}dist/outputs.json`;

/** The version of CDKTF's command line that matches the library. */
const CDKTF = ["npx", "--yes", "cdktf-cli@0.21.0"] as const;

/** Required programs and their purposes. */
const NEEDED: Readonly<Record<string, string>> = {
  npx: "runs CDKTF; it comes with Node",
  terraform: "makes what CDKTF describes; 1.11 or later",
  aws:
    "asks the hosts how they are, and forwards ports to them; AWS's command line, version 2, with its session manager plug-in",
};

/** A first deployment starts a database, three hosts and their programs. */
const SEEN_WITHIN_MS = 20 * 60_000;
const ASK_EVERY_MS = 15_000;

/** Outputs of the stacks after a deployment. */
export interface Outputs {
  readonly stream: { readonly brokers: readonly string[]; readonly processors: readonly string[] };
  readonly monitoring: { readonly monitoring: string; readonly grafana_password: string };
}

/** Commands for a processor's host: its running version, a rolled-back version, and its status. */
const ASK = [
  "readlink /opt/clickstream/current/clickstream || echo none",
  "test -e /opt/clickstream/refused && echo refused || echo taken",
  `curl -sf http://127.0.0.1:${PORTS.processor}/api/status || echo '{}'`,
];

/** Outcome of a deployment on a host. */
export type Verdict = { readonly done: true } | {
  readonly done: false;
  readonly failed: boolean;
  readonly why: string;
};

/** Judges a host's answer to `ASK`: it must run this version, and must have stored events since it started. */
export function judge(answer: string, sha256: string): Verdict {
  const [link = "", taken = "", ...rest] = answer.trim().split("\n");
  const waiting = (why: string): Verdict => ({ done: false, failed: false, why });
  if (!link.includes(sha256)) {
    return taken === "refused"
      ? { done: false, failed: true, why: "the new version didn't get ready, and the one before runs on" }
      : waiting("it hasn't taken the new version yet");
  }
  try {
    const { state, reason, totals } = JSON.parse(rest.join("\n")) as {
      state?: string;
      reason?: string | null;
      totals?: { stored: number };
    };
    if (state !== "running") return waiting(reason ?? "it is starting");
    return (totals?.stored ?? 0) > 0 ? { done: true } : waiting("no event has come yet");
  } catch {
    return waiting("it doesn't say how it is");
  }
}

/** Commands for another terminal that open what has no address on the Internet. */
export function waysIn({ stream, monitoring }: Outputs, region: string): string {
  const forward = (instance: string, port: number) =>
    `aws ssm start-session --region ${region} --target ${instance} --document-name AWS-StartPortForwardingSession ` +
    `--parameters portNumber=${port},localPortNumber=${port}`;
  return `Grafana, http://localhost:${PORTS.grafana}, user admin:
  ${forward(monitoring.monitoring, PORTS.grafana)}
  aws secretsmanager get-secret-value --region ${region} --query SecretString --output text --secret-id ${monitoring.grafana_password}
Prometheus, http://localhost:${PORTS.prometheus}:
  ${forward(monitoring.monitoring, PORTS.prometheus)}
Status page, http://localhost:${PORTS.processor}:
  ${forward(stream.processors[0]!, PORTS.processor)}`;
}

/** Describes what will be created and its cost. */
export function plan(settings: Settings): string {
  const items = monthlyCost(settings);
  const hosts =
    `${settings.DEPLOY_BROKERS} of Kafka, ${settings.DEPLOY_PROCESSORS} of the processor, 1 of Prometheus and Grafana`;
  return [
    `deployment ${settings.DEPLOY_NAME}, ${settings.DEPLOY_SIZE}, in ${settings.AWS_REGION}`,
    `hosts: ${hosts}; PostgreSQL on ${settings.DEPLOY_DATABASE_CLASS}; a function that sends ${settings.DEPLOY_RATE} events a second`,
    `about ${total(items)} dollars a month, at list prices of us-east-1 ${PRICES_OF}, traffic and logs not counted:`,
    ...table(null, items.map(({ what, dollars }) => [dollars.toFixed(0), what]), [7]),
  ].join("\n");
}

/** Reports missing programs. */
async function missingPrograms(): Promise<string[]> {
  const missing: string[] = [];
  for (const [name, what] of Object.entries(NEEDED)) {
    const found = new Deno.Command("sh", { args: ["-c", `command -v ${name}`], stdout: "null", stderr: "null" });
    if (!(await found.output()).success) missing.push(`${name} is missing: it ${what}`);
  }
  return missing;
}

/** Runs a command with its output visible. */
export async function show(...command: readonly string[]): Promise<void> {
  const [program, ...args] = command;
  const env = { CHECKPOINT_DISABLE: "1" };
  const { code } = await new Deno.Command(program!, { args, env, cwd: ROOT }).spawn().status;
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}`);
}

/** Runs CDKTF on all stacks. */
export async function cdktf(...args: readonly string[]): Promise<void> {
  await show(...CDKTF, ...args);
}

async function aws(region: string, ...args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("aws", { args: ["--region", region, ...args] }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
  return new TextDecoder().decode(stdout).trim();
}

/** Returns a host's answer to `ASK`, through SSM. */
async function ask(region: string, instance: string): Promise<string> {
  const parameters = JSON.stringify({ commands: ASK });
  const document = ["--document-name", "AWS-RunShellScript", "--parameters", parameters];
  const sent = await aws(
    region,
    "ssm",
    "send-command",
    "--instance-ids",
    instance,
    ...document,
    "--query",
    "Command.CommandId",
    "--output",
    "text",
  );
  const which = ["--command-id", sent, "--instance-id", instance];
  await aws(region, "ssm", "wait", "command-executed", ...which);
  return await aws(
    region,
    "ssm",
    "get-command-invocation",
    ...which,
    "--query",
    "StandardOutputContent",
    "--output",
    "text",
  );
}

/** Waits until every processor runs this version and has stored events. */
async function seen(settings: Settings, { stream }: Outputs, sha256: string): Promise<void> {
  const untilMs = Date.now() + SEEN_WITHIN_MS;
  for (const instance of stream.processors) {
    for (let said = "";;) {
      const verdict = await ask(settings.AWS_REGION, instance).then(
        (answer) => judge(answer, sha256),
        (error: Error) => ({
          done: false as const,
          failed: false,
          why: error.message,
        }),
      );
      if (verdict.done) break;
      if (verdict.why !== said) console.log(`${instance}: ${said = verdict.why}`);
      if (verdict.failed) throw new Error(`${instance}: ${verdict.why}; journalctl -u clickstream says why`);
      if (Date.now() > untilMs) {
        throw new Error(`${instance}: not within ${SEEN_WITHIN_MS / 60_000} minutes: ${verdict.why}`);
      }
      await setTimeout(ASK_EVERY_MS);
    }
    console.log(`${instance} runs this version, and its events are in PostgreSQL`);
  }
}

async function deploy(settings: Settings): Promise<void> {
  await show(Deno.execPath(), "run", "--allow-all", "tasks/ok.ts", "--quick");
  await show(Deno.execPath(), "run", "--allow-all", "tasks/deploy/artifacts.ts");
  const files = await builtFiles(settings.DEPLOY_ARCHITECTURE);
  await cdktf("deploy", "*", "--auto-approve", `--outputs-file=${OUTPUTS}`);
  const outputs = JSON.parse(await Deno.readTextFile(OUTPUTS)) as Outputs;
  await seen(settings, outputs, files.clickstream.sha256);
  console.log(waysIn(outputs, settings.AWS_REGION));
}

/** Reads the settings, prints the plan, asks, and deploys; returns the exit code. */
export async function main(
  say: (settings: Settings) => string,
  act: (settings: Settings) => Promise<void>,
): Promise<number> {
  try {
    const settings = deploySettings();
    console.log(say(settings));
    const missing = await missingPrograms();
    if (missing.length > 0) throw new Error(missing.join("\n"));
    if (!Deno.args.includes("--yes") && !confirm("Go on?")) return 1;
    await act(settings);
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return error instanceof WrongSettings ? 2 : 1;
  }
}

if (import.meta.main) Deno.exit(await main(plan, deploy));
