/**
 * Checks compose.yaml: with Compose itself where it is installed, and that nothing
 * in it is open or has a password that everybody knows.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { VERSION } from "../../processor/version.ts";
import { run } from "../../testing/servers/child.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const TEXT = await Deno.readTextFile(`${HERE}compose.yaml`);

interface Service {
  readonly image: string;
  readonly ports?: readonly string[];
  readonly secrets?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
}

const COMPOSE = parse(TEXT, { merge: true }) as Compose;

/** Compose's own check of a file with this text, beside its secrets. */
async function composed(folder: string, text: string): Promise<string> {
  // The version that Debian has does not know the name of a project.
  await Deno.writeTextFile(`${folder}/compose.yaml`, text.replace(/^name: .*$/m, ""));
  return await run("docker-compose", ["--file", `${folder}/compose.yaml`, "config"]);
}

/** A copy of the folder, with secrets. */
async function withSecrets(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-compose-" });
  await run("cp", ["-R", `${HERE}secrets.sh`, `${HERE}owner.sql`, `${HERE}logins.sql`, `${HERE}targets`, folder]);
  await run("sh", [`${folder}/secrets.sh`]);
  return folder;
}

const why = await run("docker-compose", ["--version"]).then(() => null, () => "needs docker-compose");

Deno.test({
  name: `Compose reads compose.yaml${why === null ? "" : ` (${why})`}`,
  ignore: why !== null,
  fn: async () => {
    const folder = await withSecrets();
    const read = parse(await composed(folder, TEXT)) as Compose;
    assert.deepEqual(Object.keys(read.services).sort(), Object.keys(COMPOSE.services).sort());
    await assert.rejects(composed(folder, TEXT.replaceAll("logins: {", "login: {")), /login.* undefined/);
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test("compose.yaml publishes ports to this machine alone, and contains no secret", () => {
  for (const [name, { image, ports = [], environment = {} }] of Object.entries(COMPOSE.services)) {
    assert.match(image, /:v?\d+(\.\d+)+\}?$/, `${name}: the version of the image`);
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, name);
    for (const [variable, value] of Object.entries(environment)) {
      if (!/PASSWORD|SECRET|TOKEN|_URL/.test(variable)) continue;
      assert.match(String(value), /^(\/run\/secrets\/[a-z-]+|http:\/\/prometheus:9090)$/, `${name}: ${variable}`);
    }
  }
  assert.ok(COMPOSE.services["processor"]!.image.endsWith(`clickstream:${VERSION}}`), "the version of this program");
});

Deno.test("secrets.sh makes every secret, differently each time, for the owner alone", async () => {
  const [one, two] = await Promise.all([withSecrets(), withSecrets()]);
  const files = Object.values(COMPOSE.secrets).map(({ file }) => file);
  for (const service of Object.values(COMPOSE.services)) {
    for (const secret of service.secrets ?? []) assert.ok(secret in COMPOSE.secrets, secret);
  }
  for (const file of files) {
    const [first, second] = await Promise.all([one, two].map((folder) => Deno.readTextFile(`${folder}/${file}`)));
    assert.notEqual(first, second, file);
    assert.ok(first!.length >= 48, file);
  }
  assert.equal((await Deno.stat(`${one}/secrets`)).mode! & 0o777, 0o700);
  assert.deepEqual([...Deno.readDirSync(`${one}/secrets`)].map(({ name }) => `secrets/${name}`).sort(), files.sort());
  await run("openssl", [
    ...["verify", "-verify_hostname", "postgres", "-CAfile", `${one}/secrets/postgres-ca`],
    `${one}/secrets/postgres-certificate`,
  ]);
  await assert.rejects(run("sh", [`${one}/secrets.sh`]), /its files stay as they are/);
  for (const folder of [one, two]) await Deno.remove(folder, { recursive: true });
});
