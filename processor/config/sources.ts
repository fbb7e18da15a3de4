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

/** Settings that name a file, but not the file with the text of another setting. */
const OF_FILES: ReadonlySet<string> = new Set(["VIEWS_FILE"]);

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
  const fileName = `${name}_FILE`;
  const mayBeInFile = !OF_FILES.has(fileName);
  const file = mayBeInFile ? Deno.env.get(fileName) : undefined;
  if (text && file) throw new WrongSettings(`${name} and ${fileName} are both set; set one of them`);
  if (text) return { text, source: "environment" };
  if (file) return fileOf(file, fileName);
  const folder = Deno.env.get("CREDENTIALS_DIRECTORY");
  const credential = folder ? fileOf(`${folder}/${name}`, "the credential", true) : undefined;
  if (credential !== undefined) return credential;
  const config = configFile();
  if (config === null) return undefined;
  const [inFile, named] = [name, fileName].map((each) => settingsIn(config).get(each));
  if (inFile) return { text: inFile, source: config };
  return named && mayBeInFile ? fileOf(named, fileName) : undefined;
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
