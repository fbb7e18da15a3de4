/**
 * What the process sends, as it comes; asked for again whenever it stops coming.
 * @module
 */

/** Every second something comes; after so much silence, in milliseconds, nobody is there. */
const SILENCE_MS = 4_000;
const AGAIN_AFTER_MS = 1_000;

/** The events of the stream. */
const EVENTS = ["status", "history", "point", "front", "shop", "events", "trouble", "missed"];

/**
 * Listens for ever.
 *
 * @param heard is called with the name and the data of each event
 * @param lost is called when the process is not heard of any more
 */
export function listen(heard, lost) {
  let source = null;
  let silence = 0;
  const wait = () => {
    clearTimeout(silence);
    silence = setTimeout(again, SILENCE_MS);
  };
  const open = () => {
    source = new EventSource("/api/stream");
    for (const name of EVENTS) {
      source.addEventListener(name, ({ data }) => {
        wait();
        heard(name, JSON.parse(data));
      });
    }
    source.onerror = again;
    wait();
  };
  function again() {
    source.close();
    clearTimeout(silence);
    lost();
    silence = setTimeout(open, AGAIN_AFTER_MS);
  }
  open();
}
