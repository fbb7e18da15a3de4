/**
 * Third-party tools that check synthesized stacks, installed once.
 * @module
 */
import { prepared, run } from "../../testing/servers/child.ts";

const PACKAGES = ["checkov==3.3.30", "cfn-lint==1.58.0", "moto[server]==5.2.5"];

/** AWS's command line, in a folder of its own: it needs other versions of what checkov needs. */
export async function commandLine(): Promise<readonly string[]> {
  const folder = await prepared("awscli-1.42.60", async (folder) => {
    await run("python3", ["-m", "venv", folder]);
    await run(`${folder}/bin/python`, ["-m", "pip", "install", "--quiet", "--no-compile", "awscli==1.42.60"]);
  });
  return [`${folder}/bin/python`, "-m", "awscli"];
}

/** Path of a Python with checkov, cfn-lint and moto. */
export async function python(): Promise<string> {
  const folder = await prepared("infra-tools-1", async (folder) => {
    await run("python3", ["-m", "venv", folder]);
    await run(`${folder}/bin/python`, ["-m", "pip", "install", "--quiet", "--no-compile", ...PACKAGES]);
  });
  return `${folder}/bin/python`;
}
