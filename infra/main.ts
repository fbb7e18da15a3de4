/**
 * Entry point for `cdktf`: reads the settings and writes every stack as Terraform JSON into cdktf.out.
 * @module
 */
import { ArtifactsStack, type BuiltFiles } from "./artifacts.ts";
import type { App } from "./aws.ts";
import { builtFiles, NotBuilt, unbuiltFiles, viewsFile, withViews } from "./built.ts";
import { DatabaseStack } from "./database.ts";
import { GeneratorStack } from "./generator.ts";
import { MonitoringStack } from "./monitoring.ts";
import { NetworkStack } from "./network.ts";
import { deploySettings, type Settings, WrongSettings } from "./settings.ts";
import { newApp } from "./stack.ts";
import { StreamStack } from "./stream.ts";

/** Adds all stacks to an application; each gets the stacks that it depends on. */
export function addStacks(app: App, settings: Settings, built: BuiltFiles): void {
  const network = new NetworkStack(app, settings);
  const artifacts = new ArtifactsStack(app, settings, network, built);
  const database = new DatabaseStack(app, settings, network);
  const ground = { network, artifacts };
  const stream = new StreamStack(app, settings, ground, database);
  new MonitoringStack(app, settings, ground, database, stream);
  new GeneratorStack(app, settings, ground, stream);
}

/** The artifacts; `DEPLOY_UNBUILT=true` synthesizes without them, to look at the stacks. */
async function filesFor(settings: Settings): Promise<BuiltFiles> {
  const isToLookAt = Deno.env.get("DEPLOY_UNBUILT") === "true";
  const views = viewsFile(settings);
  return { ...isToLookAt ? await unbuiltFiles() : await builtFiles(settings.DEPLOY_ARCHITECTURE), ...views };
}

if (import.meta.main) {
  try {
    const settings = deploySettings(withViews((name) => Deno.env.get(name)));
    const files = await filesFor(settings);
    const app = newApp();
    addStacks(app, settings, files);
    app.synth();
  } catch (error) {
    if (!(error instanceof WrongSettings || error instanceof NotBuilt)) throw error;
    console.error(error.message);
    Deno.exit(error instanceof WrongSettings ? 2 : 1);
  }
}
