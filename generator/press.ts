/**
 * Where events become bytes.
 * @module
 */
import { EVENT_ID_BYTES, type Ids } from "./ids.ts";

/** Many events share one buffer, for to allocate one each would take longer than all the rest. */
const SHEET_BYTES = 64 * 1024;

const encoder = new TextEncoder();
const OPENING = encoder.encode('{"eventId":"');
const CLOSING = encoder.encode('",');
const BRACE = 123;

/** Writes events into buffers of its own. What it has handed out stays as it is. */
export class Press {
  readonly #ids: Ids;
  #sheet = new Uint8Array(SHEET_BYTES);
  #used = 0;

  /** @param ids where events get their identities from */
  constructor(ids: Ids) {
    this.#ids = ids;
  }

  /**
   * An event as UTF-8, with the next identity if it is `identified`.
   *
   * @param fields the other fields as JSON, with no brace before but one at the end; at most 16 KiB
   */
  print(fields: string, identified: boolean): Uint8Array {
    const mostBytes = OPENING.length + EVENT_ID_BYTES + CLOSING.length + 3 * fields.length;
    if (this.#used + mostBytes > SHEET_BYTES) {
      this.#sheet = new Uint8Array(SHEET_BYTES);
      this.#used = 0;
    }
    const sheet = this.#sheet;
    const start = this.#used;
    let at = start;
    if (identified) {
      sheet.set(OPENING, at);
      at += OPENING.length;
      this.#ids.event(sheet, at);
      at += EVENT_ID_BYTES;
      sheet.set(CLOSING, at);
      at += CLOSING.length;
    } else sheet[at++] = BRACE;
    at += encoder.encodeInto(fields, sheet.subarray(at)).written;
    this.#used = at;
    return sheet.subarray(start, at);
  }
}
