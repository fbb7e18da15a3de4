/**
 * Inputs that broke a promise once. Each is tried in every run of the tests.
 * @module
 */
import { bytesOf, concat } from "./target.ts";

/** An input that broke the promise of a target, and how. */
export interface Past {
  readonly target: string;
  readonly what: string;
  readonly input: Uint8Array;
}

const base64 = (text: string) => Uint8Array.fromBase64(text);

/** A described group with one member, whose subscription says that it has two billion topics of -2 bytes each. */
const ENDLESS_TOPICS = concat([
  Uint8Array.of(2, 0, 0, 0, 1, 0, 0, 0, 1, 0x67, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8),
  Uint8Array.of(0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0),
]);

/** An answer to a fetch of the partitions 0 to 2 that has partition 7. */
const NOT_ASKED = concat([
  Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2),
  new Uint8Array(16),
  Uint8Array.of(2, 0, 0, 0, 7, 0, 0),
  new Uint8Array(24),
  Uint8Array.of(0, 255, 255, 255, 255, 1, 0, 0, 0),
]);

/** A message of format 0 at offset 2^57 and some, in a log whose end is unknown. */
const FAR_AWAY = concat([
  Uint8Array.of(0, 0xff, 0xff, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20),
  new Uint8Array(20),
]);

/** The inputs, oldest first. */
export const CORPUS: readonly Past[] = [
  {
    target: "logs",
    what: "a control batch without a record was refused in words of the runtime",
    input: base64("AAAYAAAAAAAAAAPoAAAANAAAAAAC1cUDIgAwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAwAAAAAAAAAAAAEgLwA="),
  },
  {
    target: "logs",
    what: "an old message at an offset beyond 2^53, in a log whose end is unknown, took reading there",
    input: FAR_AWAY,
  },
  {
    target: "frames",
    what: "a Zstandard frame of another size than it says was taken",
    input: base64("BCi1L/0kQAEAAA=="),
  },
  { target: "answers", what: "a member's subscription was read two billion times", input: ENDLESS_TOPICS },
  { target: "answers", what: "a partition that was not asked for was read from no offset", input: NOT_ASKED },
  {
    target: "answers",
    what: "an answer that is cut off ended the worker instead of being asked for again",
    input: NOT_ASKED.subarray(0, 30),
  },
  {
    target: "heads",
    what: "of two lengths the last one was believed, so that a body was taken for a request",
    input: bytesOf("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 0"),
  },
  {
    target: "heads",
    what: "a length with a no-break space was taken for none",
    input: concat([bytesOf("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length:"), Uint8Array.of(0xa0, 0x30)]),
  },
  {
    target: "settings",
    what: "the message about a file that is missing had the control characters of its name",
    input: bytesOf("KAFKA_TLS_CA=/dev/\x1b[2J"),
  },
  {
    target: "settings",
    what: "a setting was quoted with the controls of 8 bits and the direction marks in it",
    input: bytesOf("KAFKA_BROKERS=\u009b2J\u202e"),
  },
  {
    target: "settings",
    what: "the message about a file that is missing repeated its name, however long it is",
    input: bytesOf(`KAFKA_TLS_CA=${"\x10".repeat(124)}`),
  },
  {
    target: "database-urls",
    what: "the folder of a socket with a colon was shown as an IPv6 address",
    input: bytesOf("postgres:///p?host=/:"),
  },
  {
    target: "reports",
    what: "a report without the fields of this version ended `status` with an error of the runtime",
    input: bytesOf('{"state":"running"}'),
  },
  {
    target: "outlets",
    what: "a message had several lines in the log in text format, and could change the terminal",
    input: bytesOf("one\ntwo\x1b[2J\u009b2J\u202e"),
  },
];
