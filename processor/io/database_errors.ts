/**
 * What can go wrong with a database, by what it means for the caller: try again later, or don't.
 * @module
 */
import { Unavailable } from "../pipeline.ts";
import { withoutPasswords } from "../secret.ts";

/** PostgreSQL can't be reached, is starting, stopping or full, or gave up a statement: worth another try. */
export class DatabaseUnavailable extends Unavailable {
  override readonly name = "DatabaseUnavailable";
}

/** PostgreSQL refuses, and will again: a login, a right, a statement, a constraint. */
export class DatabaseError extends Error {
  override readonly name = "DatabaseError";
  /** SQLSTATE, such as `42501`; null where the error is not the server's. */
  readonly code: string | null;

  constructor(message: string, code: string | null, options: ErrorOptions) {
    super(message, options);
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

/** Codes of the operating system and of name resolution for "not now". */
const TRANSIENT_CODES = new Set([
  ...["ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EPIPE", "ETIMEDOUT", "ENOTCONN", "EADDRNOTAVAIL"],
  ...["EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN", "ENOTFOUND", "EAI_AGAIN"],
]);

/** What the client says, without any code, of a connection that is gone or never came about. */
const TRANSIENT_WORDS = /^(Connection terminated|timeout expired|Client .* is not queryable|the connection )/;

/** True for an error that is the world's fault and may pass. */
export function isTransient(error: unknown): boolean {
  if (error instanceof Unavailable) return true;
  if (error instanceof AggregateError) return error.errors.some(isTransient);
  const { code, message } = parts(error);
  if (code === null) return TRANSIENT_WORDS.test(message);
  return TRANSIENT_STATES.test(code) || TRANSIENT_CODES.has(code);
}

/** The error as one that says what was attempted, and by its class whether another try is worth it. */
export function databaseError(error: unknown, attempted: string): DatabaseUnavailable | DatabaseError {
  const { code, message, detail } = parts(error);
  const said = withoutPasswords(detail === null ? message : `${message} (${detail})`);
  const text = `could not ${attempted}: ${said}`;
  if (isTransient(error)) return new DatabaseUnavailable(text, { cause: error });
  const isState = code !== null && /^[0-9A-Z]{5}$/.test(code);
  return new DatabaseError(text, isState ? code : null, { cause: error });
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
