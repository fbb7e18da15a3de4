/**
 * Draws dashboards in a real browser, and says what is seen.
 * @module
 */
import { Buffer } from "node:buffer";
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import type { Looking, Window } from "../servers/browser.ts";
import type { Answer, Drawing, SeenPanel } from "./answer.ts";
import type { DrawingPage } from "./page.ts";

/** What is drawn, and how. */
export interface Shot {
  readonly dashboard: Dashboard;
  readonly answers: Readonly<Record<number, Answer>>;
  readonly from: Date;
  readonly to: Date;
  readonly theme: Drawing["theme"];
  /** Width of the window in pixels. */
  readonly width: number;
  /** Where to put the picture, a PNG or WebP. */
  readonly path?: string;
}

/** What was drawn. */
export interface Drawn {
  readonly panels: readonly SeenPanel[];
  /** Faults of scripts, and what the browser could not load. */
  readonly wrong: readonly string[];
}

/** A page on which one dashboard after another is drawn. */
export interface Drawer extends AsyncDisposable {
  draw(shot: Shot): Promise<Drawn>;
}

/** A page of many megabytes takes long on a busy machine. */
const PATIENCE = { timeout: 120_000 };

/**
 * Opens the page. It is loaded once for each change of the theme: Grafana's packages are many megabytes, and remember
 * colours.
 */
export async function openDrawer(browser: Looking, { url }: DrawingPage): Promise<Drawer> {
  const { page, wrong, close } = await browser.open(url);
  let loaded: Drawing["theme"] | undefined;
  return {
    async draw({ dashboard, answers, from, to, theme, width, path }) {
      // Tables draw the rows that are visible.
      await page.setViewportSize({ width, height: heightOf(dashboard) });
      if (theme !== loaded) {
        await page.emulateMedia({ colorScheme: theme });
        await page.goto(url, PATIENCE);
        await page.waitForFunction("globalThis.draw !== undefined", null, PATIENCE);
        loaded = theme;
      }
      const labelled = (dashboard.templating?.list ?? []).map(({ label, current }) =>
        [label ?? "", String(current?.text ?? "")] as const
      );
      const times = { fromMs: from.getTime(), toMs: to.getTime() };
      const drawing: Drawing = { dashboard, answers, theme, ...times, variables: Object.fromEntries(labelled) };
      wrong.length = 0;
      const panels = await page.evaluate(`draw(${JSON.stringify(drawing)})`) as SeenPanel[];
      if (path !== undefined) await Deno.writeFile(path, await pictured(page, path.endsWith(".webp")));
      return { panels, wrong: [...wrong] };
    },
    [Symbol.asyncDispose]: close,
  };
}

/** Height of the page in pixels: a row of the grid has 38. */
function heightOf(dashboard: Dashboard): number {
  const rows = Math.max(...(dashboard.panels ?? []).map(({ gridPos }) => gridPos!.y + gridPos!.h));
  return rows * 38 + 120;
}

/** Most bytes of a WebP; its quality is as good as that allows. */
export const MOST_BYTES = 150_000;

/** Pixels of a WebP for each of the page, and the most of the page that it shows. */
export const SCALE = 0.75;
const MOST_HEIGHT = 2300;

/** The whole page as PNG, or its upper part as WebP, which Playwright does not write. */
async function pictured(page: Window["page"], isWebp: boolean): Promise<Uint8Array> {
  await page.waitForLoadState("networkidle", PATIENCE);
  if (!isWebp) return await page.screenshot({ fullPage: true, animations: "disabled" });
  const session = await page.context().newCDPSession(page);
  const size = await page.evaluate(WHOLE) as { width: number; height: number };
  for (let quality = 80; quality > 0; quality -= 10) {
    const clip = { x: 0, y: 0, scale: SCALE, width: size.width, height: Math.min(size.height, MOST_HEIGHT) };
    const asked = { format: "webp", quality, captureBeyondViewport: true, clip } as const;
    const { data } = await session.send("Page.captureScreenshot", asked);
    const bytes = Buffer.from(data, "base64");
    if (bytes.length <= MOST_BYTES) return bytes;
  }
  throw new Error(`the picture of ${size.width} × ${size.height} pixels has more than ${MOST_BYTES} bytes`);
}

const WHOLE = "({ width: document.documentElement.clientWidth, height: document.documentElement.scrollHeight })";
