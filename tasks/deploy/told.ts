/**
 * Whether somebody is told of alarms: AWS sends nothing to an address until whoever reads it has confirmed.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import type { Aws } from "./aws.ts";

const ASK_EVERY_MS = 15_000;

/** Says why nobody at this address is told of the deployment's alarms; null if somebody is. */
export async function notTold(aws: Aws, deployment: string, email: string): Promise<string | null> {
  const account = await aws.run("sts", "get-caller-identity", "--query", "Account", "--output", "text");
  const topic = `arn:aws:sns:${aws.region}:${account}:${deployment}-alarms`;
  type Subscription = { readonly Endpoint: string; readonly SubscriptionArn: string };
  const { Subscriptions } = await aws.json<{ readonly Subscriptions: readonly Subscription[] }>(
    ...["sns", "list-subscriptions-by-topic", "--topic-arn", topic],
  );
  const own = Subscriptions.find(({ Endpoint }) => Endpoint === email);
  if (own === undefined) return `${email} gets no alarms: its subscription of ${topic} was removed. Deploy again`;
  return own.SubscriptionArn.startsWith("arn:")
    ? null
    : `${email} gets no alarms before it confirms: AWS has sent it an e-mail with a link`;
}

/**
 * Waits until somebody is told of alarms, and says what it waits for; returns whether somebody is after as many questions.
 *
 * @param wait waits between two questions
 */
export async function told(
  aws: Aws,
  deployment: string,
  email: string,
  { times, say, wait = () => setTimeout(ASK_EVERY_MS) }: {
    readonly times: number;
    readonly say: (line: string) => void;
    readonly wait?: () => Promise<void>;
  },
): Promise<boolean> {
  for (let time = 1, said = "";; time++) {
    const why = await notTold(aws, deployment, email);
    if (why === null) return true;
    if (why !== said) say(said = why);
    if (time >= times) return false;
    await wait();
  }
}
