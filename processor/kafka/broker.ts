/**
 * A connection to one broker for bulk data: bytes are read straight into reused memory. The client's own connection
 * allocates memory for each read, which costs more than scanning the bytes.
 * @module
 */
import type { Buffer } from "node:buffer";
import { lookup } from "node:dns/promises";
import {
  type Connection,
  Reader,
  saslAuthenticateV2,
  saslHandshakeV1,
  saslOAuthBearer,
  saslPlain,
  saslScramSha,
  Writer,
} from "@platformatic/kafka";
import { Unavailable } from "../pipeline/commit.ts";
import { BufferPool } from "./answer.ts";
import { connectionError } from "./errors.ts";
import { refusalIn } from "./login/oauth.ts";

/** How to connect to the brokers. */
export interface KafkaAccess {
  /** PEM text of the CA certificates for the brokers' certificates. This or `tls` turns TLS on. */
  readonly tlsCa?: string;
  readonly tls?: boolean;
  /** The client's certificate and its key as PEM text, for brokers that demand one. */
  readonly tlsClient?: { readonly cert: string; readonly key: string };
  readonly sasl?: PasswordLogin | TokenLogin;
}

/** A login by user and password. */
export interface PasswordLogin {
  readonly mechanism: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512";
  readonly username: string;
  readonly password: string;
}

/** A login by a token, which is asked for at each login. */
export interface TokenLogin {
  readonly mechanism: "OAUTHBEARER";
  /** @throws {Error} that says what to do */
  readonly token: () => Promise<string>;
  readonly extensions: Readonly<Record<string, string>>;
}

/** How to connect to a broker, and as which client. */
export interface BrokerAccess extends KafkaAccess {
  readonly clientId: string;
}

const CONNECT_TIMEOUT_MS = 5000;
/** A broker that sends no byte of its answer for this long counts as frozen. */
const ANSWER_TIMEOUT_MS = 10_000;
/** Share of the authentication's lifetime after which the connection is renewed. */
const RENEW_AFTER = 0.8;
/** No answer of Kafka is longer. The first bytes of TLS, read as a length, are. */
const MAX_RESPONSE_BYTES = 256 * 1024 * 1024;

/** Steps in which the time without an answer is measured: this keeps the limit without a new timer for each read. */
const TIMEOUT_STEPS = 10;

const LENGTH_BYTES = 4;
const CORRELATION_BYTES = 4;

/** An open and authenticated connection. It serves one request at a time. */
export class BrokerConnection {
  readonly #conn: Deno.Conn;
  readonly #where: string;
  readonly #clientId: string;
  readonly #length = new DataView(new ArrayBuffer(LENGTH_BYTES));
  #correlationId = 0;
  #staleAtMs = Infinity;
  /** Whether bytes have arrived since the last check. */
  #heard = false;

  private constructor(conn: Deno.Conn, where: string, clientId: string) {
    this.#conn = conn;
    this.#where = where;
    this.#clientId = clientId;
  }

  /** @throws {Unavailable} if the broker can't be reached or refuses the login */
  static async open(host: string, port: number, access: BrokerAccess): Promise<BrokerConnection> {
    const where = `${host}:${port}`;
    const conn = await connected(host, port, where, access);
    const connection = new BrokerConnection(conn, where, access.clientId);
    try {
      if (access.sasl !== undefined) await connection.#authenticate(access.sasl);
      return connection;
    } catch (error) {
      connection.close();
      throw unavailable(where, error);
    }
  }

  /** True if the authentication expires soon: open another connection. */
  get isStale(): boolean {
    return Date.now() >= this.#staleAtMs;
  }

  /**
   * Sends a request and resolves with the response after its header; the bytes lie in `pool`.
   *
   * @param isFlexible whether this version of the request has headers with tagged fields
   * @throws {Unavailable} if no answer comes; the connection is then closed
   */
  async request(
    apiKey: number,
    apiVersion: number,
    payload: Writer,
    isFlexible: boolean,
    pool: BufferPool,
  ): Promise<Buffer> {
    const correlationId = this.#correlationId = (this.#correlationId + 1) & 0x7fffffff;
    const head = Writer.create().appendInt16(apiKey).appendInt16(apiVersion).appendInt32(correlationId)
      .appendString(this.#clientId, false);
    if (isFlexible) head.appendTaggedFields();
    let isLate = false;
    let quietMs = 0;
    this.#heard = false;
    const stepMs = ANSWER_TIMEOUT_MS / TIMEOUT_STEPS;
    const timer = setInterval(() => {
      quietMs = this.#heard ? 0 : quietMs + stepMs;
      this.#heard = false;
      isLate = quietMs >= ANSWER_TIMEOUT_MS;
      if (isLate) this.close();
    }, stepMs);
    try {
      await this.#write(head.appendFrom(payload).prependLength().buffer);
      const response = await this.#read(pool);
      if (response.readInt32BE(0) !== correlationId) throw new Error("the answer is to another request");
      // Response headers have no tagged fields yet: their count is one byte, 0.
      return response.subarray(CORRELATION_BYTES + (isFlexible ? 1 : 0));
    } catch (error) {
      this.close();
      throw unavailable(this.#where, isLate ? new Error(`no answer within ${ANSWER_TIMEOUT_MS / 1000} s`) : error);
    } finally {
      clearInterval(timer);
    }
  }

  /** Closes the connection; a pending request fails. */
  close(): void {
    try {
      this.#conn.close();
    } catch {
      // Already closed.
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
  }

  async #read(pool: BufferPool): Promise<Buffer> {
    await this.#fill(new Uint8Array(this.#length.buffer));
    const length = this.#length.getInt32(0);
    if (length < CORRELATION_BYTES || length > MAX_RESPONSE_BYTES) {
      throw new Error(`the server does not speak Kafka's protocol, or requires TLS: an answer of ${length} bytes`);
    }
    const response = pool.take(length);
    await this.#fill(response);
    return response;
  }

  async #fill(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const read = await this.#conn.read(bytes.subarray(at));
      if (read === null) throw new Error("the broker has closed the connection");
      this.#heard = true;
      at += read;
    }
  }

  async #authenticate(sasl: NonNullable<KafkaAccess["sasl"]>): Promise<void> {
    // Before the handshake: the broker waits for the login that follows it.
    const token = sasl.mechanism === "OAUTHBEARER" ? await sasl.token() : "";
    const pool = new BufferPool();
    const send: Connection["send"] = (apiKey, apiVersion, createPayload, parse, isFlexible, _, callback) => {
      const answer = async () => {
        const body = await this.request(apiKey, apiVersion, await createPayload(), isFlexible, pool);
        return await parse(this.#correlationId, apiKey, apiVersion, Reader.from(body));
      };
      answer().then((value) => callback(null, value), callback);
    };
    // The client's authentication uses nothing else of a connection.
    const connection = { send } as unknown as Connection;
    await saslHandshakeV1.api.async(connection, sasl.mechanism);
    // Before the broker's own time: it ends the connection at the first request after the session.
    const nowMs = Date.now();
    const { sessionLifetimeMs, authBytes } = await answered(sasl, token, connection);
    // A refused token is answered with the reason instead of an error.
    const refusal = sasl.mechanism === "OAUTHBEARER" ? refusalIn(authBytes) : null;
    if (refusal !== null) throw new Error(refusal);
    if (sessionLifetimeMs > 0n) this.#staleAtMs = nowMs + Number(sessionLifetimeMs) * RENEW_AFTER;
  }
}

/** The broker's answer to a login. */
function answered(sasl: NonNullable<KafkaAccess["sasl"]>, token: string, connection: Connection) {
  const authenticate = saslAuthenticateV2.api;
  if (sasl.mechanism === "OAUTHBEARER") {
    return saslOAuthBearer.authenticate(authenticate, connection, token, sasl.extensions);
  }
  const { mechanism, username, password } = sasl;
  if (mechanism === "PLAIN") return saslPlain.authenticate(authenticate, connection, username, password);
  const hash = mechanism === "SCRAM-SHA-256" ? "SHA-256" : "SHA-512";
  return saslScramSha.authenticate(authenticate, connection, hash, username, password);
}

/** A connection to the first of the host's addresses that answers. */
async function connected(host: string, port: number, where: string, access: KafkaAccess): Promise<Deno.Conn> {
  const { tlsCa, tls, tlsClient } = access;
  const authorities = tlsCa !== undefined && { caCerts: [tlsCa] };
  const signal = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
  try {
    // Only this way takes a certificate of the client; it tries the first address alone.
    if (tlsClient !== undefined) {
      return await withinTime(Deno.connectTls({ hostname: host, port, ...authorities, ...tlsClient }), signal);
    }
    const addresses = await Promise.race([lookup(host, { all: true }), aborted(signal)]);
    const conn = await addresses.reduce<Promise<Deno.TcpConn>>(
      (before, { address }) => before.catch(() => Deno.connect({ hostname: address, port, signal })),
      Promise.reject(new Error(`${host} has no address`)),
    );
    conn.setNoDelay(true);
    if (tlsCa === undefined && tls !== true) return conn;
    // The TLS handshake runs with the first request, within its time limit; if it fails, the connection is closed.
    return await Deno.startTls(conn, { hostname: host, ...authorities });
  } catch (error) {
    throw unavailable(where, signal.aborted ? new Error(`no answer within ${CONNECT_TIMEOUT_MS / 1000} s`) : error);
  }
}

/** The same connection, which is closed if it comes too late. */
async function withinTime(connecting: Promise<Deno.TlsConn>, signal: AbortSignal): Promise<Deno.TlsConn> {
  try {
    return await Promise.race([connecting, aborted(signal)]);
  } catch (error) {
    connecting.then((conn) => conn.close(), () => {});
    throw error;
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
}

function unavailable(where: string, error: unknown): Unavailable {
  if (error instanceof Unavailable) return error;
  const reason = `Kafka at ${where}: ${connectionError(error)}`;
  return new Unavailable(reason, { kind: "kafka_unreachable", cause: error });
}
