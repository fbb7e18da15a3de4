/**
 * Errors of a database, classified by whether the caller should retry.
 * @module
 */
import { type Classification, ClassifiedError, type NotReadyKind } from "../pipeline/causes.ts";
import { Unavailable } from "../pipeline/commit.ts";
import { withoutPasswords } from "../config/secret.ts";

/** PostgreSQL cannot be reached, is starting, stopping or full, or cancelled a statement: worth a retry. */
export class DatabaseUnavailable extends Unavailable {
  override readonly name = "DatabaseUnavailable";
  override readonly restartCause = "database_unavailable";
}

/** PostgreSQL rejects a login, a right, a statement or a row, and would reject it again: not worth a retry. */
export class DatabaseError extends ClassifiedError {
  override readonly name = "DatabaseError";
  override readonly kind: NotReadyKind;
  /** SQLSTATE, such as `42501`; null if the error does not come from the server. */
  readonly code: string | null;

  constructor(message: string, code: string | null, { kind, ...options }: Classification) {
    super(message, options);
    this.kind = kind;
    this.code = code;
  }
}

/**
 * SQLSTATE classes and codes that are worth a retry: 08 connection, 40 deadlock and serialization, 53 resources (disk,
 * memory, connections), 57P shutdown, crash, startup, idle timeout, 58 operating system; 25006 read-only, as during a
 * failover; 25P03 and 25P04 timeouts of transactions; 55P03 lock_timeout; 57014 statement_timeout, or cancelled by an
 * operator.
 */
const TRANSIENT_STATES = /^(08...|40...|53...|57P..|58...|25006|25P0[34]|55P03|57014)$/;

/**
 * SQLSTATE classes and codes of a connection that has ended: 08 connection, 57P shutdown, crash, startup, idle timeout;
 * 25P03 and 25P04 timeouts of transactions.
 */
const GONE_STATES = /^(08...|57P..|25P0[34])$/;

/** SQLSTATE class of a server that fails to start a session: it could not write a file, or has a bug. */
const FAILED_TO_START = /^XX...$/;

/**
 * Messages of the client, without an SQLSTATE, that a retry would repeat: a certificate that is not trusted or names
 * another host, a server without TLS, a login without a password.
 */
const CONFIGURATION = /certificate|^The server does not support SSL|^SASL: /i;

/** Node's codes for the same errors; their messages vary. */
const CONFIGURATION_CODES = /^(CERT_|ERR_TLS_CERT|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_(GET|VERIFY)|HOSTNAME_MISMATCH)/;

/** Messages of PgBouncer that a retry would repeat although their SQLSTATE is that of a lost connection, and the cure. */
const POOLER: readonly (readonly [RegExp, string])[] = [
  [/statement pooling mode/, "set pool_mode to transaction or session in PgBouncer"],
  [/unsupported startup parameter/, "leave it out of DATABASE_URL, or add it to PgBouncer's ignore_startup_parameters"],
];

/** What to do about an error of PgBouncer's configuration; null for any other error. */
function poolerCure(message: string): string | null {
  return POOLER.find(([pattern]) => pattern.test(message))?.[1] ?? null;
}

/** An error in the program, or in the data that it was about to send. The connection is not to blame. */
export class OwnMistake extends Error {
  override readonly name = "OwnMistake";
}

/** Classes of errors that are the program's own mistakes. */
const MISTAKES = [TypeError, RangeError, ReferenceError, SyntaxError, OwnMistake] as const;

/** Where an error happened. */
export interface Origin {
  /** True if the connection was still being made. */
  readonly connecting?: boolean;
  /** True if the database runs in this process: an error without an SQLSTATE is then not a network error. */
  readonly embedded?: boolean;
}

/**
 * True for an error that has an external cause and is worth a retry. An error without an SQLSTATE counts as a lost
 * connection, whatever its message, unless it is the program's own mistake or a configuration that cannot work.
 */
export function isTransient(error: unknown, { connecting = false, embedded = false }: Origin = {}): boolean {
  if (error instanceof Unavailable) return true;
  if (error instanceof AggregateError) return error.errors.some((each) => isTransient(each, { connecting, embedded }));
  if (!(error instanceof Error) || error instanceof DatabaseError) return false;
  const { code, message } = parts(error);
  if (poolerCure(message) !== null) return false;
  if (isState(code)) return TRANSIENT_STATES.test(code) || (connecting && FAILED_TO_START.test(code));
  if (embedded || MISTAKES.some((kind) => error instanceof kind) || code === "ERR_ASSERTION") return false;
  return !CONFIGURATION.test(message) && !(code !== null && CONFIGURATION_CODES.test(code));
}

/** SQLSTATE class and code of a refused login: 28 the login itself, 3D000 the database. */
const LOGIN_STATES = /^(28...|3D000)$/;

/** SQLSTATE of a missing right. */
const RIGHT_STATE = "42501";

/**
 * Returns an error that is worth a retry in place of one about a login or a right that was there before; any other
 * error as it is.
 *
 * @param had whether the login and the rights were there
 */
export function revocable(error: unknown, had: { readonly login: boolean; readonly rights: boolean }): unknown {
  if (!(error instanceof DatabaseError) || error.code === null) return error;
  const isRevoked = had.login && LOGIN_STATES.test(error.code) || had.rights && error.code === RIGHT_STATE;
  return isRevoked ? new DatabaseUnavailable(error.message, { kind: "postgres_refuses", cause: error }) : error;
}

/** SQLSTATE classes about values: 22 data, 23 constraints, 54 limits such as the size of an index row. */
const DATA_STATES = /^(22|23|54)...$/;

/** True for an error that is caused by the values of a statement, whether the server or the client found it. */
export function isOfData(error: unknown): error is Error {
  if (error instanceof DatabaseError) return error.code !== null && DATA_STATES.test(error.code);
  return error instanceof RangeError || error instanceof TypeError;
}

/** Returns an error that says what was attempted. Its class says whether a retry is worth it. */
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

/** True for an SQLSTATE: five letters or digits, but not a code of the operating system such as `EPIPE`. */
function isState(code: string | null): code is string {
  return code !== null && /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code);
}

function parts(error: unknown): { code: string | null; message: string; detail: string | null } {
  if (!(error instanceof Error)) return { code: null, message: String(error), detail: null };
  const { code, hint } = error as { code?: unknown; hint?: unknown };
  // If several addresses were tried, only the inner errors have messages.
  const inner = error instanceof AggregateError ? error.errors.map((each) => parts(each).message).join("; ") : "";
  return {
    code: typeof code === "string" ? code : null,
    message: error.message || inner || String(code ?? error.name),
    detail: typeof hint === "string" && hint !== "" ? hint : poolerCure(error.message),
  };
}
