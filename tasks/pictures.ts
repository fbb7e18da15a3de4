/**
 * `deno task pictures`: takes the pictures of the status page and of the dashboards for docs/, from a real service with
 * simulated events. `--only status` or `--only dashboards` takes half of them.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { makeDashboardPictures } from "../testing/drawing/pictures.ts";
import { type Looking, SIZES, startBrowser } from "../testing/servers/browser.ts";
import { Child, freePort, run, until } from "../testing/servers/child.ts";
import { startKafka } from "../testing/servers/kafka.ts";
import { startPostgres } from "../testing/servers/postgres.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const BINARY = `${ROOT}dist/clickstream`;

/** A picture. */
interface Picture {
  readonly name: string;
  readonly look: Parameters<Looking["open"]>[1];
  /** Whether it shows the whole page, or only what is visible without scrolling. */
  readonly whole: boolean;
}

const DESKTOP = { viewport: { width: 1440, height: 1180 } };
const LIGHT: Picture = { name: "status-light", look: DESKTOP, whole: false };
const DARK: Picture = { name: "status-dark", look: { ...DESKTOP, colorScheme: "dark" }, whole: true };
const PHONE: Picture = { name: "status-phone", look: { viewport: SIZES.phone, deviceScaleFactor: 2 }, whole: false };
const BROKEN: Picture = { name: "status-broken", look: { viewport: SIZES.desktop }, whole: false };

/** Takes the pictures into `folder`, after some seconds of simulated events; returns their paths. */
export async function makePictures(folder: string, seconds: number): Promise<string[]> {
  await using broker = await startKafka();
  await using server = await startPostgres();
  await using browser = await startBrowser();
  const scratch = await Deno.makeTempDir({ prefix: "clickstream-pictures-" });
  const listen = `127.0.0.1:${freePort()}`;
  const address = `http://${listen}/`;
  const url = await server.createDatabase("shop");
  const env = { KAFKA_BROKERS: broker.bootstrap, DATABASE_URL: url, HTTP_LISTEN: listen };
  await run(BINARY, ["migrate"], env);
  // First a past hour, for history, then live events.
  await run(BINARY, ["generate", "--fast", "--seconds", "3600", "--rate", "40", "--seed", "7"], env);
  await using service = Child.start(BINARY, ["run"], `${scratch}/service`, env);
  await using _shop = Child.start(BINARY, ["generate", "--rate", "150", "--bad", "0.004"], `${scratch}/shop`, env);
  await until("the service is ready", async () => {
    if (service.ended) throw new Error(await service.tail());
    return await fetch(`${address}ready`).then((response) => response.ok, () => false);
  });
  await setTimeout(seconds * 1000);
  const paths: string[] = [];
  for (const picture of [LIGHT, DARK, PHONE]) paths.push(await take(browser, address, picture, folder, "Up to date"));
  await server.stop();
  paths.push(await take(browser, address, BROKEN, folder, "PostgreSQL can't be reached"));
  await server.start();
  await Deno.remove(scratch, { recursive: true });
  return paths;
}

async function take(browser: Looking, address: string, picture: Picture, folder: string, verdict: string) {
  const { page, wrong, close } = await browser.open(address, picture.look);
  const isSo = () => page.locator("#verdict h1", { hasText: verdict }).isVisible();
  // Wait for some seconds of events and the shop's figures, or for the failure.
  const parts = ["#events tr:nth-child(20)", "#pages li:nth-child(4)", "#active-chart canvas"];
  if (picture !== BROKEN) { for (const part of parts) await page.locator(part).waitFor({ timeout: 120_000 }); }
  if (picture.whole) {
    // A picture of the full page would lack each canvas that is not drawn again while it is taken.
    const height = await page.evaluate("document.documentElement.scrollHeight") as number;
    await page.setViewportSize({ width: DESKTOP.viewport.width, height });
  }
  const path = `${folder}/${picture.name}.png`;
  // If the text changes during the picture, take it again.
  await until(`a picture on which the page says "${verdict}"`, async () => {
    if (!await isSo()) return false;
    await page.screenshot({ path, animations: "disabled" });
    return await isSo();
  }, 120_000);
  await close();
  if (wrong.length > 0) throw new Error(`the page has errors: ${wrong.join("; ")}`);
  return path;
}

if (import.meta.main) {
  const { build } = await import("./build.ts");
  await build();
  const only = Deno.args[0] === "--only" ? Deno.args[1] : undefined;
  if (only !== "dashboards") { for (const path of await makePictures(`${ROOT}docs`, 120)) console.log(path); }
  if (only !== "status") {
    for (const path of await makeDashboardPictures(`${ROOT}docs`, { days: 29, rate: 0.2, liveRate: 2 }, 2)) {
      console.log(path);
    }
  }
  // KafkaJS keeps the process alive even after it has disconnected.
  Deno.exit(0);
}
