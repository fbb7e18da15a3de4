/**
 * The status page of the compiled binary, in a real browser, while its dependencies fail and recover.
 */
import { fileURLToPath } from "node:url";
import { AxeBuilder } from "@axe-core/playwright";
import assert from "node:assert/strict";
import type { BrowserContextOptions, Page } from "playwright-core";
import { produce } from "../kafka/producer.ts";
import { layoutShift, type Looking, SIZES, startBrowser, type Window } from "../../testing/servers/browser.ts";
import { Child, freePort, run, until } from "../../testing/servers/child.ts";
import { type Broker, startKafka } from "../../testing/servers/kafka.ts";
import { type Server, startPostgres, using } from "../../testing/servers/postgres.ts";

const BINARY = fileURLToPath(new URL("../../dist/clickstream", import.meta.url));

// kafkajs and the browser's client leave timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

/** Longest time from a cause to its verdict, in milliseconds, and the number of tries: the machine may be busy. */
const SOON_MS = 2_000;
const TRIES = 3;

/** Longest wait for a verdict, in milliseconds. */
const PATIENCE_MS = 30_000;

/** What an attacker would send in each field: markup that would run, and a mark that reverses text. */
const SCRIPT = `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>\u202e`;

/** Everything that the page depends on. */
class Scene implements AsyncDisposable {
  readonly broker: Broker;
  readonly server: Server;
  readonly browser: Looking;
  readonly url: string;
  readonly address: string;
  readonly #env: Record<string, string>;
  readonly #folder: string;
  #service: Child;

  private constructor(broker: Broker, server: Server, browser: Looking, url: string, folder: string) {
    this.broker = broker;
    this.server = server;
    this.browser = browser;
    this.url = url;
    this.#folder = folder;
    const listen = `127.0.0.1:${freePort()}`;
    this.address = `http://${listen}/`;
    const kafka = { KAFKA_BROKERS: broker.bootstrap, KAFKA_SASL_PASSWORD: "" };
    this.#env = { ...kafka, DATABASE_URL: url, HTTP_LISTEN: listen, WORKERS: "2", LOG_LEVEL: "warn" };
    this.#service = this.#run();
  }

  static async start(): Promise<Scene> {
    const [broker, server, browser] = await Promise.all([startKafka(), startPostgres(), startBrowser()]);
    const url = await server.createDatabase();
    await run(BINARY, ["migrate"], { DATABASE_URL: url });
    const scene = new Scene(broker, server, browser, url, await Deno.makeTempDir({ prefix: "clickstream-page-" }));
    await scene.send([{}]);
    await scene.ready();
    return scene;
  }

  #run(): Child {
    return Child.start(BINARY, ["run"], `${this.#folder}/log`, this.#env);
  }

  async ready(): Promise<void> {
    const isReady = () => fetch(`${this.address}ready`).then((response) => response.ok, () => false);
    await until("the service is ready", async () => {
      if (this.#service.ended) throw new Error(await this.#service.tail());
      return await isReady();
    });
  }

  async kill(): Promise<void> {
    await this.#service.end("SIGKILL");
  }

  startAgain(): void {
    this.#service = this.#run();
  }

  /** Sends records: an object overrides fields of a default event, a text is sent as it is. */
  async send(messages: readonly (string | Record<string, unknown>)[]): Promise<void> {
    const event = { userId: "ann", eventType: "page_view", page: "/", timestamp: Date.now() };
    const records = messages.map((message) => ({
      key: "ann",
      value: new TextEncoder().encode(typeof message === "string" ? message : JSON.stringify({ ...event, ...message })),
    }));
    const settings = { brokers: [this.broker.bootstrap], topic: "clickstream-events", partitions: 3 };
    await produce(records, settings);
  }

  /** Runs a command with the service's settings. */
  async command(...args: readonly string[]): Promise<void> {
    await run(BINARY, args, this.#env);
  }

  open(options: BrowserContextOptions = {}): Promise<Window> {
    return this.browser.open(this.address, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.browser[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    await this.broker[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** Waits for a verdict's title, or for another part of it. */
async function verdict(page: Page, words: string | RegExp, part = "h1"): Promise<void> {
  try {
    await page.locator(`#verdict ${part}`, { hasText: words }).waitFor({ timeout: PATIENCE_MS });
  } catch (error) {
    throw new Error(`no verdict "${words}"; the page shows:\n${await page.locator("#verdict").innerText()}`, {
      cause: error,
    });
  }
}

/** Runs `body` until each of its `times` (in milliseconds) was within `SOON_MS` once, up to `TRIES` times. */
async function retryWhenSlow(body: (times: Record<string, number>, attempt: number) => Promise<void>): Promise<void> {
  const all: Record<string, number>[] = [];
  do {
    const times = {};
    await body(times, all.length + 1);
    all.push(times);
  } while (Object.values(all.at(-1)!).some((ms) => ms > SOON_MS) && all.length < TRIES);
  console.log(all);
  for (const what of Object.keys(all[0]!)) {
    assert.ok(all.some((times) => times[what]! <= SOON_MS), `${what}: ${JSON.stringify(all)} ms`);
  }
}

/** The stages of the pipeline at fault, with the text of each. */
async function broken(page: Page): Promise<string[]> {
  const stages = await page.locator("#pipeline .stage[data-level=broken]").allInnerTexts();
  return stages.map((text) => text.replaceAll(/\s+/g, " ").replace(/ [\d,.]+ \w+\/s /, ": "));
}

async function timed(what: Promise<void>): Promise<number> {
  const sinceMs = performance.now();
  await what;
  return Math.round(performance.now() - sinceMs);
}

/** What axe finds, in words. It checks only the first rows of long lists, because each takes time. */
async function flaws(page: Page): Promise<string[]> {
  const alike = ["#events tr", "#refusals li", "#windows li", "#pages li"].map((rows) => `${rows}:nth-child(n + 4)`);
  // Otherwise axe merges its results in a blank page, where evaluated code never returns (playwright-core 1.65.1,
  // Chromium 156, with and without load). The page has no frames, so nothing needs merging.
  const axe = alike.reduce((axe, rows) => axe.exclude(rows), new AxeBuilder({ page }).setLegacyMode());
  const { violations } = await axe.analyze();
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`)
  );
}

Deno.test("the status page, in a browser", leaky, async (t) => {
  await using scene = await Scene.start();
  const window = await scene.open();
  const { page, wrong } = window;
  // Each step continues where the previous one left the scene.
  const step = async (name: string, body: () => Promise<void>) => {
    const passed = await t.step(name, async () => {
      await body();
      assert.deepEqual(wrong, []);
    });
    if (!passed) throw new Error(`the steps after "${name}" were not tried`);
  };

  await step("shows that all is well, and every part of the page", async () => {
    await verdict(page, "Up to date");
    assert.deepEqual(await page.locator("#pipeline h3").allTextContents(), [
      "Kafka",
      "decode",
      "fold",
      "commit",
      "PostgreSQL",
    ]);
    await page.locator("#partitions tr").nth(2).waitFor();
    await page.locator("#active-now", { hasText: "1" }).waitFor();
    await page.locator("#pages li", { hasText: "/" }).first().waitFor();
    await page.locator("#windows li", { hasText: "traffic" }).first().waitFor();
    for (const chart of ["outcome", "commit", "latency", "active", "revenue"]) {
      await page.locator(`#${chart}-chart canvas`).waitFor();
    }
    assert.match(await page.locator("#settings").innerText(), /KAFKA_BROKERS[^]*WORKERS\s+2\s+MEMORY_MB\s+auto: \d+/);
    assert.deepEqual(await broken(page), []);
    assert.match(await page.locator("#about").innerText(), /clickstream \d+\.\d+\.\d+, 2 workers/);
  });

  await step("reports refused records within 2 s, and shows them", async () => {
    await retryWhenSlow(async (times, attempt) => {
      await scene.send(Array.from({ length: 20 }, (_, i) => `{"userId": ${i}`));
      times["bad events"] = await timed(verdict(page, `${20 * attempt} of`, "#verdict-detail"));
    });
    await verdict(page, "of the last minute's records were refused");
    await page.locator("#refusals li", { hasText: "not json" }).first().waitFor();
    await page.locator("#events .chip", { hasText: "not json" }).first().waitFor();
  });

  await step("shows every field and refused record as text, never as markup", async () => {
    const fields = ["eventId", "userId", "sessionId", "page", "device", "region", "referrer", "productId", "campaign"];
    await scene.send([
      ...fields.map((field) => ({ [field]: SCRIPT.slice(0, field === "region" ? 64 : 128) })),
      { eventType: SCRIPT },
      { timestamp: SCRIPT },
      { price: SCRIPT },
      { currency: SCRIPT },
      SCRIPT,
      JSON.stringify(SCRIPT),
    ]);
    await page.locator("#events td", { hasText: "<img src=x" }).first().waitFor();
    await page.locator("#refusals .what", { hasText: "<img src=x" }).first().waitFor();
    await page.locator("#pages li", { hasText: "<img src=x" }).first().waitFor();
    await page.locator("#refusals pre", { hasText: `<script>document.title='taken'</script>\\u202e` }).first().waitFor({
      state: "attached",
    });
    assert.equal(await page.locator("main img, main script, main [onerror]").count(), 0);
    assert.doesNotMatch(await page.title(), /taken/);
    assert.doesNotMatch(await page.locator("main").innerText(), /\u202e/);
  });

  await step("shows the latest events to who comes later, and moves nothing while it loads", async () => {
    for (const [size, viewport] of Object.entries(SIZES)) {
      const other = await scene.open({ viewport });
      await other.page.locator("#events td", { hasText: "<img src=x" }).first().waitFor();
      await other.page.locator("#refusals li").first().waitFor();
      const { score, moved } = await layoutShift(other.page);
      assert.ok(score < 0.1, `${size}: ${score}, of: ${moved.join("; ")}`);
      await other.close();
    }
  });

  await step("passes axe, in light and dark, on a desktop and on a phone", async () => {
    for (const colorScheme of ["light", "dark"] as const) {
      for (const [size, viewport] of Object.entries(SIZES)) {
        const other = await scene.open({ colorScheme, viewport, reducedMotion: "reduce" });
        await other.page.locator("#refusals li").first().waitFor();
        await other.page.locator("#refusals summary").first().click();
        assert.deepEqual(await flaws(other.page), [], `${colorScheme}, ${size}`);
        const { width } = viewport;
        assert.equal(
          await other.page.evaluate("document.documentElement.scrollWidth"),
          width,
          `${size} scrolls sideways`,
        );
        assert.deepEqual(other.wrong, []);
        await other.close();
      }
    }
  });

  await step("redraws every chart after a change of colours or width", async () => {
    // Two frames later; the next figures may take longer.
    const drawn = `new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
      .then(() => [...document.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL()))`;
    const before = await page.evaluate(drawn) as string[];
    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize(SIZES.phone);
    const after = await page.evaluate(drawn) as string[];
    assert.equal(after.length, before.length);
    for (const picture of after) assert.ok(!before.includes(picture), "a chart was not redrawn");
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize(SIZES.desktop);
  });

  await step("can be used by keyboard alone", async () => {
    const focused = async () => await page.evaluate("document.activeElement.id || document.activeElement.tagName");
    await page.locator(".skip").focus();
    await page.keyboard.press("Enter");
    assert.equal(await focused(), "verdict");
    const reached: unknown[] = [];
    for (let i = 0; i < 20 && reached.at(-1) !== "SUMMARY"; i++) {
      await page.keyboard.press("Tab");
      reached.push(await focused());
      if (reached.at(-1) === "events-filter") await page.keyboard.type("ann");
      if (reached.at(-1) === "events-pause") await page.keyboard.press("Space");
    }
    assert.deepEqual(reached.filter((id) => /^(events-|SUMMARY|\w+-chart)/.test(String(id))), [
      "active-chart",
      "revenue-chart",
      "outcome-chart",
      "commit-chart",
      "latency-chart",
      "events-filter",
      "events-refused",
      "events-pause",
      "SUMMARY",
    ]);
    assert.equal(await page.locator("#events-pause").getAttribute("aria-pressed"), "true");
    await page.keyboard.press("Enter");
    await page.locator("#refusals details[open] pre").first().waitFor();
  });

  await step("shows no events while paused, and filters new ones", async () => {
    await scene.send([{ page: "/passed" }]);
    await page.locator("#events-count", { hasText: /skipped/ }).waitFor();
    assert.equal(await page.locator("#events td", { hasText: "/passed" }).count(), 0);
    await page.locator("#events-filter").fill("wanted");
    await page.locator("#events-pause").click();
    await scene.send([{ page: "/other" }, { page: "/wanted" }]);
    await page.locator("#events td", { hasText: "/wanted" }).waitFor();
    assert.equal(await page.locator("#events tr").count(), 1);
    await page.locator("#events-filter").fill("");
  });

  await step("reports within 2 s that it is behind, and that it has caught up", async () => {
    await retryWhenSlow(async (times) => {
      await using(scene.url, (db) =>
        db.transaction(async (tx) => {
          await tx.exec("lock table clickstream.progress in share mode");
          await scene.send(Array.from({ length: 5000 }, () => ({})));
          times["behind"] = await timed(verdict(page, /^Behind by [\d,]+\srecords/));
        }));
      times["caught up"] = await timed(verdict(page, "Up to date"));
    });
  });

  await step("reports within 2 s that PostgreSQL is down, what to do, and that it is back", async () => {
    await retryWhenSlow(async (times, attempt) => {
      await scene.server.stop();
      times["PostgreSQL stopped"] = await timed(verdict(page, "PostgreSQL can't be reached"));
      assert.match(await page.locator("#verdict-advice").innerText(), /Start PostgreSQL.*Nothing is lost/);
      // The page must not claim that lists are empty which it cannot read.
      for (const list of ["windows", "refusals"]) {
        assert.match(await page.locator(`#${list}-empty`).textContent() ?? "", /^Unknown: /);
      }
      assert.deepEqual(await broken(page), ["PostgreSQL: can't be reached"]);
      assert.deepEqual(await flaws(page), []);
      // Send a record, so that a commit fails: without one, the pipeline would not restart.
      await scene.send([{ page: `/meanwhile/${attempt}` }]);
      await page.locator("#events td", { hasText: `/meanwhile/${attempt}` }).waitFor();
      await scene.server.start();
      times["PostgreSQL started"] = await timed(verdict(page, "Up to date"));
      await page.locator("#trouble").waitFor({ state: "hidden" });
      assert.match(await page.locator("#windows-empty").textContent() ?? "", /^No window is open;/);
    });
    await page.locator("#restarts li", { hasText: "database unavailable" }).first().waitFor();
  });

  await step("reports within 2 s that Kafka is down, and that it is back", async () => {
    await retryWhenSlow(async (times) => {
      await scene.broker.stop("SIGKILL");
      times["Kafka stopped"] = await timed(verdict(page, "Kafka can't be reached"));
      assert.deepEqual(await broken(page), ["Kafka: can't be reached"]);
      await scene.broker.start();
      times["Kafka started"] = await timed(verdict(page, /Waiting for partitions|Up to date/));
      // The group waits for its previous members until their sessions time out.
      await verdict(page, "Up to date");
    });
  });

  await step("drops the latest events when a user is forgotten, because they may be that user's", async () => {
    await scene.send([{ userId: "bob", page: "/bobs" }]);
    await page.locator("#events td", { hasText: "/bobs" }).waitFor();
    const levels = `globalThis.levels = []; new MutationObserver(() => levels.push(document.getElementById("verdict")
      .dataset.level)).observe(document.getElementById("verdict"), { attributes: true })`;
    await page.evaluate(levels);
    await scene.command("forget", "bob", "--yes");
    // The next commit notices it.
    await scene.send([{ page: "/after" }]);
    await page.locator("#restarts li", { hasText: "user forgotten" }).waitFor();
    const alarming = (await page.evaluate("levels") as string[]).filter((level) => level === "broken");
    assert.deepEqual(alarming, [], "forgetting a user must not look like a fault");
    assert.equal(await page.locator("#events td", { hasText: "/bobs" }).count(), 0);
    // Nor does the service keep them for those who come later.
    const later = await scene.open();
    await later.page.locator("#events td", { hasText: "/after" }).waitFor();
    assert.equal(await later.page.locator("#events td", { hasText: "/bobs" }).count(), 0);
    await later.close();
  });

  await step("reconnects to the service after it was killed", async () => {
    await scene.kill();
    await verdict(page, "Clickstream does not answer");
    scene.startAgain();
    await scene.ready();
    await verdict(page, "Up to date");
    assert.equal(await page.locator("#live-text").innerText(), "live");
  });
  await window.close();
});

Deno.test("the demo has the same page, fed by its embedded PostgreSQL", leaky, async () => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-page-demo-" });
  const port = freePort();
  const args = ["demo", "--rate", "300", "--seconds", "300", "--port", `${port}`, "--data", folder];
  {
    await using browser = await startBrowser();
    await using demo = Child.start(BINARY, args, `${folder}/out`);
    const address = `http://127.0.0.1:${port}/`;
    await until("the demo is ready", async () => {
      if (demo.ended) throw new Error(await demo.tail());
      return await fetch(`${address}ready`).then((response) => response.ok, () => false);
    });
    const { page, wrong } = await browser.open(address);
    await verdict(page, "Up to date");
    await page.locator("#events tr").nth(20).waitFor();
    await page.locator("#refusals li").first().waitFor();
    await page.locator("#pages li").nth(3).waitFor();
    await page.locator("#windows li", { hasText: "active users" }).first().waitFor();
    assert.match(await page.locator("#settings").innerText(), /--rate\s+300/);
    assert.deepEqual(wrong, []);
  }
  await Deno.remove(folder, { recursive: true });
});
