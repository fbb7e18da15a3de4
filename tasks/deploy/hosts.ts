/**
 * What the hosts say after a deployment, and how to reach what has no address on the Internet.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import type { BuiltFiles } from "../../infra/artifacts.ts";
import { PORTS } from "../../infra/hosts/settings.ts";
import type { Aws } from "./aws.ts";

/** A first deployment starts a database, three hosts and their programs. */
const SEEN_WITHIN_MS = 20 * 60_000;
const ASK_EVERY_MS = 15_000;

/** Hosts look for a release each minute. Until then, a version that was rolled back is the one before this. */
const LOOKED_WITHIN_MS = 2 * 60_000;

/** Outputs of the stacks after a deployment. */
export interface Outputs {
  readonly stream: { readonly brokers: readonly string[]; readonly processors: readonly string[] };
  readonly monitoring: { readonly monitoring: string; readonly grafana_password: string };
}

/**
 * Commands for a processor's host: its running version, its declared views, whether a version was rolled back or views could
 * not be applied, and its status.
 */
const ASK = [
  "readlink /opt/clickstream/current/clickstream || echo none",
  "readlink /opt/clickstream/current/views.yaml || echo none",
  "if test -e /opt/clickstream/refused; then echo refused; " +
  "elif systemctl --quiet is-failed clickstream-views; then echo undeclared; else echo taken; fi",
  `curl -sf http://127.0.0.1:${PORTS.processor}/api/status || echo '{}'`,
];

/** Outcome of a deployment on a host. */
export type Verdict = { readonly done: true } | {
  readonly done: false;
  readonly failed: boolean;
  readonly why: string;
};

/** Judges a host's answer to `ASK`: it must run this version with these views, and have stored events since it started. */
export function judge(answer: string, { clickstream, views }: Pick<BuiltFiles, "clickstream" | "views">): Verdict {
  const [version = "", declared = "", taken = "", ...rest] = answer.trim().split("\n");
  const waiting = (why: string): Verdict => ({ done: false, failed: false, why });
  if (!version.includes(clickstream.sha256) || !declared.includes(views?.sha256 ?? "none")) {
    if (taken === "refused") {
      return { done: false, failed: true, why: "the new version didn't get ready, and the one before runs on" };
    }
    return waiting(
      taken === "undeclared"
        ? "it could not apply the declared views, and tries again: journalctl -u clickstream-views says why"
        : "it hasn't taken the new version yet",
    );
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

/** Returns a host's answer to `ASK`, through SSM. */
async function ask(aws: Aws, instance: string): Promise<string> {
  const parameters = ["--parameters", JSON.stringify({ commands: ASK })];
  const document = ["--document-name", "AWS-RunShellScript", ...parameters];
  const id = ["--query", "Command.CommandId", "--output", "text"];
  const sent = await aws.run("ssm", "send-command", "--instance-ids", instance, ...document, ...id);
  const which = ["--command-id", sent, "--instance-id", instance];
  await aws.run("ssm", "wait", "command-executed", ...which);
  const output = ["--query", "StandardOutputContent", "--output", "text"];
  return await aws.run("ssm", "get-command-invocation", ...which, ...output);
}

/** Waits until every processor runs this version and has stored events. */
export async function waitUntilSeen(
  aws: Aws,
  { stream }: Outputs,
  files: Pick<BuiltFiles, "clickstream" | "views">,
): Promise<void> {
  const fromMs = Date.now();
  for (const instance of stream.processors) {
    for (let said = "";;) {
      const verdict = await ask(aws, instance).then(
        (answer) => judge(answer, files),
        (error: Error) => ({
          done: false as const,
          failed: false,
          why: error.message,
        }),
      );
      if (verdict.done) break;
      if (verdict.why !== said) console.log(`${instance}: ${said = verdict.why}`);
      if (verdict.failed && Date.now() > fromMs + LOOKED_WITHIN_MS) {
        throw new Error(`${instance}: ${verdict.why}; journalctl -u clickstream says why`);
      }
      if (Date.now() > fromMs + SEEN_WITHIN_MS) {
        throw new Error(`${instance}: not within ${SEEN_WITHIN_MS / 60_000} minutes: ${verdict.why}`);
      }
      await setTimeout(ASK_EVERY_MS);
    }
    console.log(`${instance} runs this version, and its events are in PostgreSQL`);
  }
}
