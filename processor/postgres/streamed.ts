/**
 * Statements whose parameters, and `copy` whose rows, are encoded while they are sent, in memory that is reused. The
 * driver would build each message in memory first, which leaves megabytes of garbage for every commit.
 * @module
 */
import type { Duplex } from "node:stream";
// @ts-types="@types/pg"
import pg from "pg";
import { BinaryParameter, CHUNK_BYTES } from "./binary.ts";
import { OwnMistake } from "./database_errors.ts";

/** A parameter as it is sent: text, an array, or null. */
export type SentParameter = string | BinaryParameter | null;

/** Calls back with an error, or with the result. */
export type Done<R> = (error: Error | null | undefined, result: R) => void;

/** Memory in which a connection encodes what it sends, one statement after the other. */
export class SendBuffer {
  /** Bytes that are sent at once. */
  readonly view: DataView<ArrayBuffer> = new DataView(new ArrayBuffer(CHUNK_BYTES));
  readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(this.view.buffer);
  /** Where a parameter encodes its next chunk. */
  readonly chunk: DataView<ArrayBuffer> = new DataView(new ArrayBuffer(CHUNK_BYTES));
}

/** A message of the protocol begins with its type, one byte, and its length, which counts itself. */
const HEAD_BYTES = 5;
const LENGTH_BYTES = 4;
const BIND = 0x42;
const COPY_DATA = 0x64;

/** Formats of parameters. */
const AS_TEXT = 0;
const AS_BINARY = 1;

/** Sends bytes; resolves when they may be overwritten. */
function write(stream: Duplex, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(bytes, (error) => error === null || error === undefined ? resolve() : reject(error));
  });
}

/** A statement with array parameters. */
export class StreamedQuery extends pg.Query {
  readonly #sql: string;
  readonly #parameters: readonly (Uint8Array | BinaryParameter | null)[];
  readonly #buffer: SendBuffer;

  constructor(sql: string, parameters: readonly SentParameter[], buffer: SendBuffer, done: Done<pg.QueryResult>) {
    // With the values, the driver knows that the statement has parameters.
    super(sql, [...parameters], done);
    this.#sql = sql;
    this.#parameters = parameters.map((value) => typeof value === "string" ? utf8.encode(value) : value);
    this.#buffer = buffer;
  }

  /** Called by the driver when it is this statement's turn. */
  prepare(connection: pg.Connection): void {
    connection.parse({ name: "", text: this.#sql, types: [] }, false);
    this.#bind(connection.stream).then(
      () => {
        connection.describe({ type: "P", name: "" }, false);
        connection.execute({ portal: "", rows: "" }, false);
        connection.sync();
      },
      // Half a message has been sent, so nothing else can be sent on this connection.
      (error: Error) => void connection.stream.destroy(error),
    );
  }

  async #bind(stream: Duplex): Promise<void> {
    const { bytes } = this.#buffer;
    let used = 0;
    for (const chunk of this.#bindMessage()) {
      for (let at = 0; at < chunk.length;) {
        if (used === bytes.length) {
          await write(stream, bytes);
          used = 0;
        }
        const taken = chunk.subarray(at, at + bytes.length - used);
        bytes.set(taken, used);
        used += taken.length;
        at += taken.length;
      }
    }
    await write(stream, bytes.subarray(0, used));
  }

  /** The message `Bind` in chunks, each of them valid until the next. */
  *#bindMessage(): Generator<Uint8Array> {
    const parameters = this.#parameters;
    const lengths = parameters.map((value) => value?.byteLength ?? -1);
    // After two empty names come the formats and the values, each after their number, then one format for all results.
    const formatsAt = HEAD_BYTES + 2 + 2;
    const head = new DataView(new ArrayBuffer(formatsAt + 2 * parameters.length + 2));
    const valueBytes = lengths.reduce((sum, length) => sum + LENGTH_BYTES + Math.max(0, length), 0);
    head.setUint8(0, BIND);
    head.setInt32(1, head.byteLength - 1 + valueBytes + RESULTS_AS_TEXT.length);
    head.setInt16(formatsAt - 2, parameters.length);
    parameters.forEach((value, p) => {
      head.setInt16(formatsAt + 2 * p, value instanceof BinaryParameter ? AS_BINARY : AS_TEXT);
    });
    head.setInt16(head.byteLength - 2, parameters.length);
    yield new Uint8Array(head.buffer);
    for (const [p, value] of parameters.entries()) {
      const length = new DataView(new ArrayBuffer(LENGTH_BYTES));
      length.setInt32(0, lengths[p]!);
      yield new Uint8Array(length.buffer);
      if (value instanceof BinaryParameter) yield* this.#checked(p, value);
      else if (value !== null) yield value;
    }
    yield RESULTS_AS_TEXT;
  }

  /** The chunks of an array. With another length than announced, the server would take the rest for something else. */
  *#checked(p: number, array: BinaryParameter): Generator<Uint8Array> {
    let left = array.byteLength;
    for (const chunk of array.chunks(this.#buffer.chunk)) {
      left -= chunk.length;
      if (left < 0) break;
      yield chunk;
    }
    if (left !== 0) throw new OwnMistake(`parameter ${p + 1} is not ${array.byteLength} bytes long, as it was before`);
  }
}

/** One format, for all columns of the result: text. */
const RESULTS_AS_TEXT = Uint8Array.of(0, 1, 0, AS_TEXT);

/** `copy … from stdin`. Each chunk is sent before the next is asked for. */
export class StreamedCopy implements pg.Submittable {
  readonly #sql: string;
  readonly #chunks: Iterable<Uint8Array>;
  readonly #buffer: SendBuffer;
  /** Called by the driver. */
  callback: Done<void>;
  /** Why there are no more rows, if producing one has failed. */
  #failure: Error | null = null;
  #isOver = false;

  constructor(sql: string, chunks: Iterable<Uint8Array>, buffer: SendBuffer, done: Done<void>) {
    this.#sql = sql;
    this.#chunks = chunks;
    this.#buffer = buffer;
    this.callback = done;
  }

  submit(connection: pg.Connection): void {
    connection.query(this.#sql);
  }

  /** Called by the driver when the server expects rows. */
  handleCopyInResponse(connection: CopyConnection): void {
    this.#send(connection).catch((error: Error) => void connection.stream.destroy(error));
  }

  handleCommandComplete(): void {}

  handleError(error: Error): void {
    this.#isOver = true;
    this.callback(this.#failure ?? error, undefined);
  }

  handleReadyForQuery(): void {
    this.callback(null, undefined);
  }

  /** Sends all rows, or as many as the server takes. */
  async #send(connection: CopyConnection): Promise<void> {
    const { bytes, view } = this.#buffer;
    const most = bytes.length - HEAD_BYTES;
    for (const chunk of this.#rows()) {
      for (let at = 0; at < chunk.length; at += most) {
        const taken = chunk.subarray(at, at + most);
        view.setUint8(0, COPY_DATA);
        view.setInt32(1, LENGTH_BYTES + taken.length);
        bytes.set(taken, HEAD_BYTES);
        await write(connection.stream, bytes.subarray(0, HEAD_BYTES + taken.length));
        // After an error, the server has ended the statement, and expects another one.
        if (this.#isOver) return;
      }
    }
    if (this.#failure === null) connection.endCopyFrom();
    else connection.sendCopyFail(this.#failure.message);
  }

  /** The chunks until one cannot be produced. */
  *#rows(): Generator<Uint8Array> {
    try {
      yield* this.#chunks;
    } catch (error) {
      this.#failure = new OwnMistake(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }
}

/** The driver's connection, with what its types leave out. */
interface CopyConnection extends pg.Connection {
  sendCopyFail(reason: string): void;
  endCopyFrom(): void;
}

const utf8 = new TextEncoder();
