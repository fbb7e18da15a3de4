/**
 * The stream of updates from the process, reconnected whenever it stops.
 * @module
 */

/** An update arrives every second; after this time without one, in milliseconds, the connection counts as lost. */
const SILENCE_MS = 4_000;
const AGAIN_AFTER_MS = 1_000;

/** The events of the stream. */
const EVENTS = ["status", "history", "point", "front", "shop", "recent", "events", "trouble", "missed"];

/**
 * Listens until the page is closed.
 *
 * @param heard is called with the name and the data of each event
 * @param lost is called when the connection is lost
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
