/**
 * The simulator as an AWS Lambda function: each scheduled tick sends the events since the previous tick. The same tick
 * always sends the same events with the same ids, so a repeated tick counts once.
 * @module
 */
import process from "node:process";
import { readSettings } from "../processor/config/config.ts";
import { assertLoginsProtected } from "../processor/config/plaintext.ts";
import { inWords } from "../processor/config/secret.ts";
import { parseIso } from "../processor/decode/time.ts";
import { Secrets } from "./aws.ts";
import { type KafkaSettings, produce } from "../processor/kafka/producer.ts";
import { Simulator } from "./simulator.ts";

/** Input from the schedule; may be empty when the function is called by hand. */
export interface Tick {
  /** Time of the tick, ISO 8601 (default: now). */
  readonly time?: string;
}

/** What the runtime reports about an invocation. */
export interface Invocation {
  readonly functionName: string;
  readonly awsRequestId: string;
  getRemainingTimeInMillis(): number;
}

/** Result of an invocation. */
export interface Sent {
  /** The span that was simulated, ISO 8601. */
  readonly from: string;
  readonly to: string;
  readonly records: number;
  /** True for the first invocation of this process. */
  readonly coldStart: boolean;
  readonly durationMs: number;
}

const NAMES = [
  "KAFKA_BROKERS",
  "KAFKA_TOPIC",
  "KAFKA_PARTITIONS",
  "KAFKA_SASL_MECHANISM",
  "KAFKA_SASL_USERNAME",
  "KAFKA_SASL_PASSWORD",
] as const;

/** Defaults of `generate`, but without refused records: sent twice, they would be refused twice. */
const SHARES = { duplicates: 0.01, late: 0.01, bad: 0 };

/** Time reserved at the end of an invocation to report a failure, in milliseconds. */
const LAST_WORDS_MS = 1500;

/** Time from the start of the process until this file was loaded, in milliseconds. */
const LOADED_MS = Math.round(process.uptime() * 1000);

const secrets = new Secrets();
let cold = true;

/**
 * Sends a tick's events. Returns the result and logs it as metrics in CloudWatch's embedded metric format.
 *
 * @throws {Error} that says what was tried and what to do, before the invocation's time runs out
 */
export async function handler(tick: Tick, invocation: Invocation): Promise<Sent> {
  const startedMs = Date.now();
  const coldStart = cold;
  cold = false;
  let records = 0;
  let failed = 0;
  try {
    const { simulator, from, to } = simulatorOf(tick, startedMs);
    const settings = await settingsOf();
    const sending = produce(simulator, settings, (sent) => records = sent);
    ({ sent: records } = await inTime(sending, invocation, settings));
    return { from, to, records, coldStart, durationMs: Date.now() - startedMs };
  } catch (error) {
    failed = 1;
    // The password may have changed: the next invocation reads it again.
    secrets.forget();
    // Without its causes, which contain what clients received.
    throw new Error(inWords(error));
  } finally {
    const durationMs = Date.now() - startedMs;
    const init = coldStart ? { InitDuration: LOADED_MS } : {};
    report(invocation, {
      Records: records,
      Failures: failed,
      ColdStarts: coldStart ? 1 : 0,
      Duration: durationMs,
      ...init,
    });
  }
}

/** The span that ends with the tick, aligned to multiples of its length: spans neither overlap nor leave gaps. */
function simulatorOf({ time }: Tick, nowMs: number): { simulator: Simulator; from: string; to: string } {
  const tickMs = time === undefined ? nowMs : parseIso(time);
  if (Number.isNaN(tickMs)) {
    throw new RangeError(`the tick's time is ${JSON.stringify(time)}; it must be ISO 8601 with zone`);
  }
  const spanMs = number("GENERATOR_SECONDS", 60, 1, 900) * 1000;
  const toMs = Math.floor(tickMs / spanMs) * spanMs;
  const seed = number("GENERATOR_SEED", 1, 0, 2 ** 32);
  const rate = number("GENERATOR_RATE", 100, 1, 10_000);
  const fromMs = toMs - spanMs;
  const simulator = new Simulator({ seed, rate, fromMs, toMs, ...SHARES, pace: 1, identified: true });
  return { simulator, from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() };
}

async function settingsOf(): Promise<KafkaSettings> {
  const env = process.env;
  const [password, authorities] = await Promise.all([
    env["KAFKA_SASL_PASSWORD_SECRET"] ? secrets.secret(env["KAFKA_SASL_PASSWORD_SECRET"]) : env["KAFKA_SASL_PASSWORD"],
    env["KAFKA_TLS_CA_PARAMETERS"] ? secrets.certificates(env["KAFKA_TLS_CA_PARAMETERS"].split(",")) : undefined,
  ]);
  const settings = readSettings(NAMES, (name) => name === "KAFKA_SASL_PASSWORD" ? password : env[name]);
  if (authorities === undefined) await assertLoginsProtected(settings);
  const { KAFKA_BROKERS: brokers, KAFKA_TOPIC: topic, KAFKA_PARTITIONS: partitions, ...login } = settings;
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: secret } = login;
  if (mechanism === "OAUTHBEARER" || mechanism === "AWS_MSK_IAM") {
    throw new RangeError(
      `KAFKA_SASL_MECHANISM is ${mechanism}, which this function does not support; use SCRAM-SHA-512`,
    );
  }
  return {
    brokers,
    topic,
    partitions,
    ...(authorities === undefined ? {} : { tlsCa: authorities }),
    ...(mechanism === null || username === null || secret === null
      ? {}
      : { sasl: { mechanism, username, password: secret.reveal() } }),
  };
}

/** Waits for the promise, but not beyond the invocation's time. */
async function inTime<T>(sending: Promise<T>, invocation: Invocation, { brokers, topic }: KafkaSettings): Promise<T> {
  const withinMs = Math.max(0, invocation.getRemainingTimeInMillis() - LAST_WORDS_MS);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<never>((_, reject) => {
    const seconds = (withinMs / 1000).toFixed(1);
    const say =
      `can't send to Kafka at ${brokers.join(",")}, topic ${topic}: not done within ${seconds} s; see that the ` +
      "brokers run, that their security group lets this function in, and that GENERATOR_RATE is not too high";
    timer = setTimeout(() => reject(new Error(say)), withinMs);
  });
  try {
    return await Promise.race([sending, over]);
  } finally {
    clearTimeout(timer);
    // An abandoned promise may still reject: ignore that.
    sending.catch(() => {});
  }
}

function number(name: string, otherwise: number, least: number, most: number): number {
  const given = process.env[name];
  const value = given ? Number(given) : otherwise;
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new RangeError(`${name} is ${JSON.stringify(given)}; it must be a whole number from ${least} to ${most}`);
}

/** Writes metrics as a line of CloudWatch's embedded metric format. */
function report({ functionName, awsRequestId }: Invocation, values: Readonly<Record<string, number>>): void {
  const Metrics = Object.keys(values).map((Name) => ({
    Name,
    Unit: Name.endsWith("Duration") ? "Milliseconds" : "Count",
  }));
  const CloudWatchMetrics = [{ Namespace: "clickstream", Dimensions: [["FunctionName"]], Metrics }];
  const _aws = { Timestamp: Date.now(), CloudWatchMetrics };
  console.log(JSON.stringify({ _aws, FunctionName: functionName, RequestId: awsRequestId, ...values }));
}
