/**
 * The log: one line per message on standard error, written before the call returns, so that the last messages are kept.
 * No text in it can begin another line or change the terminal.
 * @module
 */
import pino from "pino";
import { prettyFactory } from "pino-pretty";
import { withoutPasswords } from "../config/secret.ts";
import { visible, visibleJson } from "../config/visible.ts";
import { writeColored } from "./terminal.ts";

/** Fields of a message. */
export type Fields = Readonly<Record<string, unknown>>;

/** Logs messages by severity. */
export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

/** Options of a log. */
export interface LogOptions {
  /** Lowest severity that is logged. */
  readonly level: "debug" | "info" | "warn" | "error";
  /** Null: text on a terminal, JSON elsewhere. */
  readonly format: "json" | "text" | null;
  /** Receives each line with its end (default: standard error). */
  readonly write?: (line: string) => void;
}

/** Names of fields with secrets. */
const SECRET_FIELD = /^(.*password|.*secret|token|authorization|connectionString)$/i;

/** Opens the log. */
export function openLog({ level, format, write = writeColored }: LogOptions): Log {
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
    },
    { write: (line: string) => write(withoutPasswords(asText ? String(pretty(plain(line))) : visibleJson(line))) },
  );
  const say = (severity: LogOptions["level"]) => (message: string, fields: Fields = {}) => {
    if (logger.isLevelEnabled(severity)) logger[severity](withoutSecrets(fields), message);
  };
  return { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
}

/** A line of JSON as an object whose texts are safe on a terminal. */
function plain(line: string): Record<string, unknown> {
  return JSON.parse(line, (_, value) => {
    if (typeof value === "string") return visible(value);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [visible(name), each]));
  });
}

/** The fields as JSON, with secrets hidden at any depth. */
function withoutSecrets(fields: Fields): Fields {
  return JSON.parse(JSON.stringify(fields, (name, value) => {
    if (SECRET_FIELD.test(name)) return "(secret)";
    return typeof value === "bigint" ? String(value) : value;
  }));
}
