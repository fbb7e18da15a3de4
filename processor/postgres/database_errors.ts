/**
 * What can go wrong with a database, by what it means for the caller: try again later, or don't.
 * @module
 */
import { type Classification, ClassifiedError, type NotReadyKind } from "../pipeline/causes.ts";
import { Unavailable } from "../pipeline/commit.ts";
import { withoutPasswords } from "../config/secret.ts";

/** PostgreSQL can't be reached, is starting, stopping or full, or gave up a statement: worth another try. */
export class DatabaseUnavailable extends Unavailable {
  override readonly name = "DatabaseUnavailable";
  override readonly restartCause = "database_unavailable";
}

/** PostgreSQL refuses, and will again: a login, a right, a statement, a constraint. */
export class DatabaseError extends ClassifiedError {
  override readonly name = "DatabaseError";
  override readonly kind: NotReadyKind;
  /** SQLSTATE, such as `42501`; null where the error is not the server's. */
  readonly code: string | null;

  constructor(message: string, code: string | null, { kind, ...options }: Classification) {
    super(message, options);
    this.kind = kind;
    this.code = code;
  }
}

/**
 * SQLSTATE classes and codes that a later try may get past: 08 connection, 40 deadlock and serialization, 53 resources
 * (disk, memory, connections), 57P shutdown, crash, starting up, idle time limit, 58 the system beneath; 25006
 * read-only, as a server is while another takes over; 25P03 and 25P04 time limits of transactions; 55P03 lock_timeout;
 * 57014 statement_timeout, or cancelled by an operator.
 */
const TRANSIENT_STATES = /^(08...|40...|53...|57P..|58...|25006|25P0[34]|55P03|57014)$/;

/**
 * SQLSTATE classes and codes of a connection that has ended: 08 connection, 57P shutdown, crash, starting up, idle time
 * limit; 25P03 and 25P04 time limits of transactions.
 */
const GONE_STATES = /^(08...|57P..|25P0[34])$/;

/** SQLSTATE class of a server that fails beneath a new session: it could not write a file, or met its own mistake. */
const FAILED_TO_START = /^XX...$/;

/**
 * What the client says, without an SQLSTATE, where another try says the same: a certificate that isn't trusted or names
 * another host, a server without TLS, a login that lacks a password.
 */
const CONFIGURATION = /certificate|^The server does not support SSL|^SASL: /i;

/** Node's codes for the same, whose messages vary. */
const CONFIGURATION_CODES = /^(CERT_|ERR_TLS_CERT|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_(GET|VERIFY)|HOSTNAME_MISMATCH)/;

/** An error of the program itself, or of what it was about to send; says nothing about the connection. */
export class OwnMistake extends Error {
  override readonly name = "OwnMistake";
}

/** Classes of errors that are the program's own mistakes. */
const MISTAKES = [TypeError, RangeError, ReferenceError, SyntaxError, OwnMistake] as const;

/** What the error came from. */
export interface Origin {
  /** True where the connection was still being made. */
  readonly connecting?: boolean;
  /** True where the database is in this process: an error without an SQLSTATE is then no network's. */
  readonly embedded?: boolean;
}

/**
 * True for an error that is the world's fault and may pass. An error without an SQLSTATE is the connection's, whatever it
 * says, unless it is our own mistake or a configuration that can't work.
 */
export function isTransient(error: unknown, { connecting = false, embedded = false }: Origin = {}): boolean {
  if (error instanceof Unavailable) return true;
  if (error instanceof AggregateError) return error.errors.some((each) => isTransient(each, { connecting, embedded }));
  if (!(error instanceof Error) || error instanceof DatabaseError) return false;
  const { code, message } = parts(error);
  if (isState(code)) return TRANSIENT_STATES.test(code) || (connecting && FAILED_TO_START.test(code));
  if (embedded || MISTAKES.some((kind) => error instanceof kind) || code === "ERR_ASSERTION") return false;
  return !CONFIGURATION.test(message) && !(code !== null && CONFIGURATION_CODES.test(code));
}

/** SQLSTATE classes that speak of values: 22 data, 23 constraints, 54 limits such as the size of a row of an index. */
const DATA_STATES = /^(22|23|54)...$/;

/** True for an error that the values are to blame for, which were sent or are in the way of being sent. */
export function isOfData(error: unknown): error is Error {
  if (error instanceof DatabaseError) return error.code !== null && DATA_STATES.test(error.code);
  return error instanceof RangeError || error instanceof TypeError;
}

/** The error as one that says what was attempted, and by its class whether another try is worth it. */
export function databaseError(
  error: unknown,
  attempted: string,
  origin: Origin = {},
): DatabaseUnavailable | DatabaseError {
  const { code, message, detail } = parts(error);
  const said = withoutPasswords(detail === null ? message : `${message} (${detail})`);
  const text = `could not ${attempted}: ${said}`;
  const isTransientError = isTransient(error, origin);
  const isGone = origin.connecting === true || (isState(code) ? GONE_STATES.test(code) : isTransientError);
  const options = { kind: isGone ? "postgres_unreachable" : "postgres_refuses", cause: error } as const;
  if (isTransientError) return new DatabaseUnavailable(text, options);
  return new DatabaseError(text, isState(code) ? code : null, options);
}

/** True for an SQLSTATE: five characters, of which the codes of operating systems have a letter first (`EPIPE`). */
function isState(code: string | null): code is string {
  return code !== null && /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code);
}

function parts(error: unknown): { code: string | null; message: string; detail: string | null } {
  if (!(error instanceof Error)) return { code: null, message: String(error), detail: null };
  const { code, hint } = error as { code?: unknown; hint?: unknown };
  // Of several addresses that were tried, all that is said is in the parts.
  const inner = error instanceof AggregateError ? error.errors.map((each) => parts(each).message).join("; ") : "";
  return {
    code: typeof code === "string" ? code : null,
    message: error.message || inner || String(code ?? error.name),
    detail: typeof hint === "string" && hint !== "" ? hint : null,
  };
}
