/**
 * Where the text of a setting comes from. The only reader of the environment, of systemd's credentials and of the file
 * of `--config`.
 * @module
 */
import { readText } from "./files.ts";

/** Invalid settings: `message` names each one, its value and what is allowed. */
export class WrongSettings extends Error {
  override readonly name = "WrongSettings";
}

/** Variable with the path of the file of settings; `--config` sets it. */
export const CONFIG_FILE = "CLICKSTREAM_CONFIG";

/** The text of a setting, and where it was found. */
export interface Found {
  readonly text: string;
  /** In words: `environment`, or the path of the file. */
  readonly source: string;
}

/** Settings of a file in the format of systemd's `EnvironmentFile=`, by name. */
export type FileSettings = ReadonlyMap<string, string>;

/**
 * Finds the text of a setting. The first of these counts: its environment variable; the file that the variable
 * `NAME_FILE` names; the file `NAME` in the folder of systemd's credentials, which only the service can read; the file
 * of `--config`. An empty text counts as absent.
 *
 * @throws {WrongSettings} if a file cannot be read, or both `NAME` and `NAME_FILE` are set
 */
export function find(name: string): Found | undefined {
  const text = Deno.env.get(name);
  const file = Deno.env.get(`${name}_FILE`);
  if (text && file) throw new WrongSettings(`${name} and ${name}_FILE are both set; set one of them`);
  if (text) return { text, source: "environment" };
  if (file) return fileOf(file, `${name}_FILE`);
  const folder = Deno.env.get("CREDENTIALS_DIRECTORY");
  const credential = folder ? fileOf(`${folder}/${name}`, "the credential", true) : undefined;
  if (credential !== undefined) return credential;
  const config = configFile();
  if (config === null) return undefined;
  const [inFile, named] = [name, `${name}_FILE`].map((each) => settingsIn(config).get(each));
  if (inFile) return { text: inFile, source: config };
  return named ? fileOf(named, `${name}_FILE`) : undefined;
}

/** Path of the file of `--config`; null without one. */
export function configFile(): string | null {
  return Deno.env.get(CONFIG_FILE) || null;
}

/** An assignment as systemd reads it; what systemd, shells and containers read differently is none. */
const ASSIGNMENT = /^([A-Za-z_]\w*)=(?:'([^'\\]*)'|"([^"\\]*)"|((?:[^'"\\\s]|[^\S\r\n]+(?=[^#\s'"\\]))*))\s*$/;

const files = new Map<string, FileSettings>();

/**
 * The settings in a file, which is read once.
 *
 * @throws {WrongSettings} if it cannot be read, or naming each line that is no assignment
 */
export function settingsIn(path: string): FileSettings {
  const known = files.get(path);
  if (known !== undefined) return known;
  const settings = new Map<string, string>();
  const wrong: string[] = [];
  (fileOf(path, "--config")?.text ?? "").split(/\r?\n/).forEach((line, index) => {
    if (/^\s*(?:[#;]|$)/.test(line)) return;
    const [, name, single, double, plain] = ASSIGNMENT.exec(line.trimStart()) ?? [];
    const value = single ?? double ?? plain;
    if (name === undefined || value === undefined) wrong.push(`line ${index + 1} is not NAME=value`);
    else if (settings.has(name)) wrong.push(`line ${index + 1} sets ${name} again`);
    else settings.set(name, value);
  });
  if (wrong.length > 0) {
    const rule =
      "put a value with quotes, blanks before # or backslashes in quotes of the other kind, or in a file of its own";
    throw new WrongSettings(`${path}: ${wrong.join(", ")} (${rule})`);
  }
  files.set(path, settings);
  return settings;
}

function fileOf(path: string, what: string, mayBeAbsent = false): Found | undefined {
  try {
    const text = readText(path).replace(/\r?\n$/, "");
    return text === "" ? undefined : { text, source: path };
  } catch (error) {
    if (mayBeAbsent && error instanceof Deno.errors.NotFound) return undefined;
    throw new WrongSettings(`cannot read ${what} ${path}: ${error instanceof Error ? error.message : error}`);
  }
}
