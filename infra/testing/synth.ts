/**
 * Synthesizes deployments for tests, as Terraform would read them.
 * @module
 */
import { createHash } from "node:crypto";
import { type BuiltFiles, FILES } from "../artifacts.ts";
import { addStacks } from "../main.ts";
import { deploySettings } from "../settings.ts";
import { newApp } from "../stack.ts";

/** A value of JSON. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** An object of JSON. */
export interface JsonObject {
  readonly [name: string]: Json;
}

/** A resource: its stack, its name and its arguments. */
export interface Resource {
  readonly stack: string;
  readonly type: string;
  readonly name: string;
  readonly is: JsonObject;
}

/** Output of `cdktf synth`. */
export interface Synthesized {
  /** Folder with one folder per stack. */
  readonly folder: string;
  /** JSON of each stack, without CDKTF's metadata. */
  readonly stacks: ReadonlyMap<string, JsonObject>;
  /** Returns all resources, or those of one type. */
  resources(type?: string): Resource[];
}

const done = new Map<string, Promise<Synthesized>>();

/** Synthesizes a deployment once per choice of settings; every file in its bucket contains its own name. */
export function synthesize(choices: Readonly<Record<string, string>> = {}): Promise<Synthesized> {
  const key = JSON.stringify(choices);
  if (!done.has(key)) done.set(key, synthesizeAnew(choices));
  return done.get(key)!;
}

/** Who is told of alarms, which production needs. */
export const EMAIL = { DEPLOY_ALARM_EMAIL: "on-call@example.com" };

/** The same, without the cache. */
export async function synthesizeAnew(choices: Readonly<Record<string, string>>): Promise<Synthesized> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-synth-" });
  globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  const app = newApp(folder);
  const all: Readonly<Record<string, string>> = { ...EMAIL, ...choices };
  const settings = deploySettings((name) => all[name]);
  addStacks(app, settings, await namedFiles(folder, settings.VIEWS_FILE !== null));
  app.synth();
  const stacks = new Map<string, JsonObject>();
  for (const stack of STACKS) {
    const text = await Deno.readTextFile(`${folder}/stacks/${stack}/cdk.tf.json`);
    stacks.set(stack, withoutNotes(JSON.parse(text)) as JsonObject);
  }
  return {
    folder: `${folder}/stacks`,
    stacks,
    resources: (wanted) =>
      [...stacks].flatMap(([stack, { resource }]) => resourcesOf(stack, resource as JsonObject, wanted)),
  };
}

/** All stacks in the order in which they are applied. */
export const STACKS = ["network", "artifacts", "database", "stream", "monitoring", "generator"] as const;

function resourcesOf(stack: string, all: JsonObject, wanted?: string): Resource[] {
  return Object.entries(all).filter(([type]) => wanted === undefined || type === wanted).flatMap(([type, named]) =>
    Object.entries(named as JsonObject).map(([name, is]) => ({ stack, type, name, is: is as JsonObject }))
  );
}

async function namedFiles(folder: string, hasViews: boolean): Promise<BuiltFiles> {
  const entries = await Promise.all([...FILES, ...hasViews ? ["views"] : []].map(async (name) => {
    const path = `${folder}/${name}`;
    await Deno.writeTextFile(path, name);
    return [name, { path, sha256: createHash("sha256").update(name).digest("hex") }] as const;
  }));
  return Object.fromEntries(entries) as unknown as BuiltFiles;
}

function withoutNotes(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutNotes);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).filter(([name]) => name !== "//").map(([name, inner]) => [name, withoutNotes(inner)]),
  );
}

/** All leaf values in it, by path. */
export function leaves(value: Json, path = ""): (readonly [path: string, value: null | boolean | number | string])[] {
  if (value === null || typeof value !== "object") return [[path, value]];
  const inner = Object.entries(value);
  return inner.flatMap(([name, one]) => leaves(one as Json, path === "" ? name : `${path}.${name}`));
}
