/**
 * The log: one line a message on standard error, written before the call returns, so that the last words are kept.
 * @module
 */
import pino from "pino";
import { prettyFactory } from "pino-pretty";
import { withoutPasswords } from "../secret.ts";

/** What is said besides the message, by name. */
export type Fields = Readonly<Record<string, unknown>>;

/** Where messages go, by severity. */
export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

/** How to log. */
export interface LogOptions {
  /** Least severe messages to log. */
  readonly level: "debug" | "info" | "warn" | "error";
  /** Null: text on a terminal, JSON elsewhere. */
  readonly format: "json" | "text" | null;
  /** Takes each line, its end included; standard error without it. */
  readonly write?: (line: string) => void;
}

/** Fields that hold secrets wherever they come from, such as the options of a client. */
const SECRET_FIELDS = ["password", "token", "secret", "connectionString", "authorization"];

/** Opens the log. */
export function openLog({ level, format, write = writeToStderr }: LogOptions): Log {
  const terminal = Deno.stderr.isTerminal();
  const pretty = prettyFactory({
    colorize: terminal && !Deno.noColor,
    translateTime: "UTC:HH:MM:ss.l",
    ignore: "pid,hostname",
    singleLine: true,
  });
  const asText = format === "text" || (format === null && terminal);
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: "(secret)" },
    },
    { write: (line: string) => write(withoutPasswords(asText ? String(pretty(line)) : line)) },
  );
  const say = (severity: LogOptions["level"]) => (message: string, fields: Fields = {}) =>
    logger[severity](fields, message);
  return { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
}

const encoder = new TextEncoder();

function writeToStderr(line: string): void {
  const bytes = encoder.encode(line);
  try {
    for (let written = 0; written < bytes.length;) written += Deno.stderr.writeSync(bytes.subarray(written));
  } catch (error) {
    // Nobody reads the log: there is nobody to tell, and the work goes on.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

/** An error in one line, and with `stack` where it comes from; never more of a foreign error than its message. */
export function inWords(error: unknown, stack = false): string {
  if (!(error instanceof Error)) return withoutPasswords(String(error));
  const { message, name, cause } = error;
  const said = message === "" ? cause instanceof Error ? cause.message : name : message;
  return withoutPasswords(stack ? error.stack ?? said : said);
}
