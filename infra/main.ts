/**
 * Entry point for `cdktf`: reads the settings and writes every stack as Terraform JSON into cdktf.out.
 * @module
 */
import { ArtifactsStack, type BuiltFile, type FileName } from "./artifacts.ts";
import { App } from "./aws.ts";
import { builtFiles } from "./built.ts";
import { DatabaseStack } from "./database.ts";
import { GeneratorStack } from "./generator.ts";
import { MonitoringStack } from "./monitoring.ts";
import { NetworkStack } from "./network.ts";
import { deploySettings, type Settings, WrongSettings } from "./settings.ts";
import { StreamStack } from "./stream.ts";

/** Adds all stacks to an application; each gets the stacks that it depends on. */
export function addStacks(app: App, settings: Settings, built: Readonly<Record<FileName, BuiltFile>>): void {
  const network = new NetworkStack(app, settings);
  const artifacts = new ArtifactsStack(app, settings, network, built);
  const database = new DatabaseStack(app, settings, network);
  const ground = { network, artifacts };
  const stream = new StreamStack(app, settings, ground, database);
  new MonitoringStack(app, settings, ground, database, stream);
  new GeneratorStack(app, settings, ground, stream);
}

if (import.meta.main) {
  try {
    const settings = deploySettings();
    const { files, missing } = await builtFiles(settings.DEPLOY_ARCHITECTURE);
    if (missing.length > 0) {
      console.error(
        `not built yet, and empty in what is synthesized: ${missing.join(", ")}; ./deno task artifacts builds`,
      );
    }
    const app = new App();
    addStacks(app, settings, files);
    app.synth();
  } catch (error) {
    if (!(error instanceof WrongSettings)) throw error;
    console.error(error.message);
    Deno.exit(2);
  }
}
