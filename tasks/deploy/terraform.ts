/**
 * Terraform, run in the folder of each synthesized stack: CDKTF's command line is not needed.
 * @module
 */
import { type Plan, planOfNew, readPlan } from "./plan.ts";

/** Settings of every call; downloaded providers are shared by the stacks. */
async function environment(): Promise<Record<string, string>> {
  const cache = Deno.env.get("TF_PLUGIN_CACHE_DIR") ??
    `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`}/clickstream/terraform`;
  await Deno.mkdir(cache, { recursive: true });
  return {
    CHECKPOINT_DISABLE: "1",
    TF_IN_AUTOMATION: "1",
    TF_INPUT: "0",
    TF_PLUGIN_CACHE_DIR: cache,
    TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE: "true",
  };
}

/** File of a plan that was made, in the stack's folder. */
const PLAN = "planned";

/** A synthesized stack. */
export class Stack {
  readonly name: string;
  /** Names of the stacks that must be there before it. */
  readonly needs: readonly string[];
  readonly #folder: string;

  private constructor(name: string, folder: string, needs: readonly string[]) {
    this.name = name;
    this.needs = needs;
    this.#folder = folder;
  }

  /** Returns the stacks in a folder that CDKTF wrote, each after those that it needs. */
  static async all(out: string): Promise<Stack[]> {
    const { stacks } = JSON.parse(await Deno.readTextFile(`${out}/manifest.json`)) as {
      stacks: Readonly<Record<string, { name: string; workingDirectory: string; dependencies: readonly string[] }>>;
    };
    const sorted = new Map<string, Stack>();
    const add = (name: string) => {
      const { workingDirectory, dependencies } = stacks[name]!;
      for (const needed of dependencies) if (!sorted.has(needed)) add(needed);
      if (!sorted.has(name)) sorted.set(name, new Stack(name, `${out}/${workingDirectory}`, dependencies));
    };
    for (const name of Object.keys(stacks)) add(name);
    return [...sorted.values()];
  }

  /** Fetches the providers and finds the state. */
  async init(): Promise<void> {
    // The folder may have been used with the state of another deployment or region.
    await this.#run("init", "-reconfigure", "-no-color");
  }

  /** Addresses of the resources in the state, without data sources; none if the stack does not exist. */
  async resources(): Promise<string[]> {
    const { code, out, err } = await this.#try("state", "list");
    if (code !== 0 && !err.includes("No state file was found")) throw failed(this.name, "state list", code, err);
    return out.split("\n").filter((line) => line !== "" && !line.startsWith("data."));
  }

  /** Plans the stack, and keeps the plan for `apply`. */
  async plan(how: "deploy" | "destroy" = "deploy"): Promise<Plan> {
    const flags = how === "destroy" ? ["-destroy"] : [];
    await this.#run("plan", "-no-color", `-out=${PLAN}`, ...flags);
    return readPlan(this.name, await this.#run("show", "-json", PLAN));
  }

  /** The plan for a stack that does not exist yet, without asking Terraform. */
  async planOfNew(): Promise<Plan> {
    const { resource } = JSON.parse(await Deno.readTextFile(`${this.#folder}/cdk.tf.json`)) as {
      resource: Readonly<Record<string, object>>;
    };
    return planOfNew(this.name, resource);
  }

  /** Applies the plan that was made last; Terraform's progress is printed. */
  async apply(): Promise<void> {
    const args = [`-chdir=${this.#folder}`, "apply", "-auto-approve", PLAN];
    const { code } = await new Deno.Command("terraform", { args, env: await environment() }).spawn().status;
    await Deno.remove(`${this.#folder}/${PLAN}`).catch(() => {});
    if (code !== 0) throw failed(this.name, "apply", code, "what it did until then stays; run it again to go on");
  }

  /** Values of the outputs. */
  async outputs(): Promise<Record<string, unknown>> {
    const all = JSON.parse(await this.#run("output", "-json")) as Record<string, { readonly value: unknown }>;
    return Object.fromEntries(Object.entries(all).map(([name, { value }]) => [name, value]));
  }

  async #run(...args: readonly string[]): Promise<string> {
    const { code, out, err } = await this.#try(...args);
    if (code !== 0) throw failed(this.name, args.join(" "), code, err || out);
    return out;
  }

  async #try(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
    const command = { args: [`-chdir=${this.#folder}`, ...args], env: await environment() };
    const { code, stdout, stderr } = await new Deno.Command("terraform", command).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    return { code, out: out!, err: err! };
  }
}

/** Terraform failed. */
export class TerraformFailed extends Error {
  override name = "TerraformFailed";
}

function failed(stack: string, command: string, code: number, why: string): TerraformFailed {
  return new TerraformFailed(`terraform ${command} of stack ${stack} ended with ${code}: ${why.trim()}`);
}
