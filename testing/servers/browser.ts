/**
 * A real headless browser, for tests and pictures of the status page.
 * @module
 */
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { cacheFolder, exists, run } from "./child.ts";

const PROGRAM = "/usr/bin/chromium";

/** Browser features that tests do not need. */
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Viewport sizes for the page. */
export const SIZES = {
  desktop: { width: 1440, height: 900 },
  phone: { width: 390, height: 844 },
} as const;

/** A running browser. */
export interface Looking extends AsyncDisposable {
  /** Opens an address in its own window; all errors are collected in `wrong`. */
  open(url: string, options?: BrowserContextOptions): Promise<Window>;
}

/** A page in a window. */
export interface Window {
  readonly page: Page;
  /** Script errors, blocked resources, and requests to other servers than the page's own. */
  readonly wrong: string[];
  close(): Promise<void>;
}

/** The cumulative layout shift of a page since it was opened, and what moved: each time its score, and the elements. */
export async function layoutShift(page: Page): Promise<{ readonly score: number; readonly moved: readonly string[] }> {
  const { all } = await page.evaluate(LAYOUT_SHIFTS) as { all: { value: number; moved: string[] }[] };
  return {
    score: all.reduce((sum, { value }) => sum + value, 0),
    moved: all.map(({ value, moved }) => `${value.toFixed(4)} ${moved.join(", ")}`),
  };
}

/** Runs in the page, which reports what has moved so far a moment later. */
const LAYOUT_SHIFTS = `new Promise((resolve) => {
  const all = [];
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput, sources } of list.getEntries()) {
      const nameOf = (node) => node?.id || node?.className || node?.nodeName;
      const moved = sources.map(({ node, previousRect, currentRect }) =>
        nameOf(node) + " " + Math.round(previousRect.top) + " to " + Math.round(currentRect.top));
      if (!hadRecentInput) all.push({ value, moved });
    }
  }).observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve({ all }), 300);
})`;

/** Starts Chromium; installs it with apt if it is missing and apt may be used. */
export async function startBrowser(): Promise<Looking> {
  if (!await exists(PROGRAM)) {
    if (Deno.uid() !== 0) throw new Error("the tests of the page need Chromium: apt-get install chromium");
    await Deno.mkdir(cacheFolder(), { recursive: true });
    const install =
      "apt-get update -q && apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=600 chromium";
    await run("flock", [`${cacheFolder()}/.lock`, "sh", "-c", install]);
  }
  const browser = await chromium.launch({ executablePath: PROGRAM, headless: true, args: FLAGS });
  return {
    open: (url, options = {}) => open(browser, url, options),
    async [Symbol.asyncDispose]() {
      await browser.close();
    },
  };
}

async function open(browser: Browser, url: string, options: BrowserContextOptions): Promise<Window> {
  const context = await browser.newContext({ viewport: SIZES.desktop, ...options });
  const page = await context.newPage();
  const wrong: string[] = [];
  page.on("pageerror", (error) => wrong.push(`script: ${error.message}`));
  page.on("console", (message) => {
    // The browser reports this when a server is down, which some tests cause.
    if (message.type() === "error" && !/Failed to load resource|ERR_/.test(message.text())) wrong.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(new URL(url).origin)) wrong.push(`asks ${request.url()}`);
  });
  // A page of many megabytes takes long on a busy machine.
  await page.goto(url, { timeout: 120_000 });
  return { page, wrong, close: () => context.close() };
}
