/**
 * A real OpenTelemetry Collector, built with Go from the modules that it is published as. That takes minutes, so only a
 * task builds it; tests use it if it has been built.
 * @module
 */
import { fileURLToPath } from "node:url";
import { cacheFolder, Child, exists, freePort, prepared, run, until } from "./child.ts";

const NAME = "otelcol-0.161.0";

/** Whether it has been built. */
export async function hasCollector(): Promise<boolean> {
  return await exists(`${cacheFolder()}/${NAME}`);
}

/**
 * Builds it, if it has not been built; returns its path.
 *
 * @throws {Error} without Go
 */
export async function collector(): Promise<string> {
  const folder = await prepared(NAME, async (folder) => {
    const sources = fileURLToPath(new URL("collector", import.meta.url));
    await run("go", ["build", "-C", sources, "-ldflags=-s -w", "-o", `${folder}/otelcol`, "."]);
  });
  return `${folder}/otelcol`;
}

/** A running collector. */
export interface Collector extends AsyncDisposable {
  /** Where it takes OTLP over HTTP. */
  readonly url: string;
}

/**
 * Starts it with a configuration that takes OTLP at `127.0.0.1:4318` and passes on to `https://otlp.example.com`: it
 * takes at a free port and passes on to `backend` instead.
 */
export async function startCollector(configuration: string, backend: string, folder: string): Promise<Collector> {
  const program = await collector();
  const address = `127.0.0.1:${freePort()}`;
  const text = configuration.replace("127.0.0.1:4318", address).replace("https://otlp.example.com", backend);
  // Its own metrics would need another port.
  const file = `${folder}/collector.yaml`;
  await Deno.writeTextFile(file, text.replace("service:\n", "service:\n  telemetry: {metrics: {level: none}}\n"));
  await run(program, ["validate", "--config", file]);
  const child = Child.start(program, ["--config", file], `${folder}/collector.log`);
  const url = `http://${address}`;
  await until("the collector answers", async () => {
    if (child.ended) throw new Error(`the collector did not start:\n${await child.tail()}`);
    return await fetch(`${url}/v1/traces`).then(async (r) => (await r.body?.cancel(), true), () => false);
  });
  return {
    url,
    async [Symbol.asyncDispose]() {
      // So that it sends what it has.
      await child.end("SIGTERM");
    },
  };
}

if (import.meta.main) console.log(await collector());
