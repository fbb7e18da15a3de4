/**
 * The pictures of the dashboards for docs/, drawn from a shop with four weeks behind it.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { DASHBOARDS } from "../../grafana/mod.ts";
import { startBrowser } from "../servers/browser.ts";
import { answersOf } from "./answers.ts";
import { openDrawer } from "./draw.ts";
import { serveDrawing } from "./page.ts";
import { openShop, type Trade } from "./shop.ts";

/** Width of the pictures in pixels. */
export const PICTURE_PX = 1440;

const THEMES = ["light", "dark"] as const;

/** Names of the pictures, without their folder. */
export const PICTURES: readonly string[] = Object.keys(DASHBOARDS).flatMap((file) =>
  THEMES.map((theme) => `dashboard-${file.replace(".json", "")}-${theme}.webp`)
);

/** Draws them in both themes, after some minutes of trade; returns the paths in `folder`. */
export async function makeDashboardPictures(folder: string, trade: Trade, minutes: number): Promise<string[]> {
  await using shop = await openShop(trade);
  await using browser = await startBrowser();
  await using served = await serveDrawing();
  await using drawer = await openDrawer(browser, served);
  // Rates look back 20 s.
  const caughtUp = new Date(Date.now() + 30_000);
  await setTimeout(minutes * 60_000);
  const paths: string[] = [];
  for (const theme of THEMES) {
    for (const [file, design] of Object.entries(DASHBOARDS)) {
      const dashboard = await shop.withViews(design);
      const { from, to } = shop.rangeOf(file);
      // Next to the past, which the service reads at once, nothing of the present would be seen.
      const look = { from: file === "system.json" ? caughtUp : from, to };
      const answers = await answersOf(dashboard, shop.sources, look);
      const path = `${folder}/dashboard-${file.replace(".json", "")}-${theme}.webp`;
      const { wrong } = await drawer.draw({ dashboard, answers, ...look, theme, width: PICTURE_PX, path });
      if (wrong.length > 0) throw new Error(`${file} has errors: ${wrong.join("; ")}`);
      paths.push(path);
    }
  }
  return paths;
}
