/**
 * The files of the status page, embedded in the binary.
 * @module
 */
import uplot from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import uplotStyle from "uplot/dist/uPlot.min.css" with { type: "text" };
import page from "./page/index.html" with { type: "text" };
import icon from "./page/icon.svg" with { type: "text" };
import style from "./page/style.css" with { type: "text" };
import main from "./page/main.js" with { type: "text" };
import charts from "./page/charts.js" with { type: "text" };
import dom from "./page/dom.js" with { type: "text" };
import live from "./page/live.js" with { type: "text" };
import overview from "./page/overview.js" with { type: "text" };
import recent from "./page/recent.js" with { type: "text" };
import shop from "./page/shop.js" with { type: "text" };
import events from "./page/events.js" with { type: "text" };

/** A file as it is served. */
export interface Asset {
  readonly type: string;
  readonly body: string;
}

const script = (body: string): Asset => ({ type: "text/javascript; charset=utf-8", body });
const css = (body: string): Asset => ({ type: "text/css; charset=utf-8", body });

/** The files by path. */
export const ASSETS: Readonly<Record<string, Asset>> = {
  "/": { type: "text/html; charset=utf-8", body: page },
  "/page/icon.svg": { type: "image/svg+xml", body: icon },
  "/page/style.css": css(style),
  "/page/uplot.css": css(uplotStyle),
  "/page/uplot.js": script(uplot),
  "/page/main.js": script(main),
  "/page/charts.js": script(charts),
  "/page/dom.js": script(dom),
  "/page/live.js": script(live),
  "/page/overview.js": script(overview),
  "/page/recent.js": script(recent),
  "/page/shop.js": script(shop),
  "/page/events.js": script(events),
};
