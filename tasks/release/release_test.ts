/**
 * Builds a release, twice, and installs it as docs/install.md says.
 */
import assert from "node:assert/strict";
import { noMachines } from "../../infra/testing/machine.ts";
import { run } from "../../testing/servers/child.ts";
import { startKafka } from "../../testing/servers/kafka.ts";
import { startPostgres } from "../../testing/servers/postgres.ts";
import { sha256Of } from "./provenance.ts";
import { VERSION } from "../../processor/version.ts";
import { noContainers, runsEmulated, runsInContainer } from "./testing/containers.ts";
import { Host } from "./testing/host.ts";
import { installArchive, installPackage, PACKAGES } from "./testing/installations.ts";
import { InstallPage } from "./testing/install_page.ts";
import { namesIn, releaseFrom, releaseHere, validSboms } from "./testing/release.ts";

/** The version that the tests upgrade to. */
const NEXT = "1.0.1";

const why = await noMachines();

/** Builds packages of the next version. Their settings differ: an upgrade keeps those that are there. */
function nextVersion(): string {
  const version = `sed -i 's/"${VERSION}"/"${NEXT}"/' processor/version.ts`;
  const settings = "echo '# Something new.' >>infra/packages/clickstream.env";
  return `${version} && ${settings} && ./deno task release --only deb,rpm --architecture x86_64`;
}

Deno.test({
  name: "a release is complete, the same each time, and installs, upgrades and goes as the page says",
  // kafkajs leaves timers behind.
  sanitizeOps: false,
  sanitizeResources: false,
}, async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-release-" });
  const page = new InstallPage();
  const building: Promise<string>[] = [];
  try {
    const release = await releaseHere();
    // Both are built while the first is tried.
    const again = releaseFrom(`${folder}/a/b/c/d/e/same`, page.script("From source 1"));
    const upgraded = again.then(() => releaseFrom(`${folder}/next`, nextVersion()));
    building.push(again, upgraded);
    // Awaited below; a step that fails before must not end the process.
    for (const one of building) one.catch(() => {});

    await t.step("the checksums are right, and name every file", async () => {
      await run("sh", ["-c", `cd '${release}' && sha256sum --quiet --strict --check SHA256SUMS`]);
      const named = (await Deno.readTextFile(`${release}/SHA256SUMS`)).trim().split("\n").map((line) => line.slice(66));
      assert.deepEqual([...named, "SHA256SUMS"].sort(), namesIn(release));
    });

    await t.step("the lists of components are valid, and the provenance names every other file", async () => {
      await validSboms([
        `${release}/clickstream-${VERSION}.cdx.json`,
        `${release}/clickstream-${VERSION}-image.cdx.json`,
      ]);
      const name = `clickstream-${VERSION}.provenance.json`;
      const { subject } = JSON.parse(await Deno.readTextFile(`${release}/${name}`)) as {
        readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[];
      };
      assert.deepEqual([...subject.map(({ name }) => name), name, "SHA256SUMS"].sort(), namesIn(release));
      for (const { name, digest } of subject) {
        assert.equal(sha256Of(await Deno.readFile(`${release}/${name}`)), digest.sha256, name);
      }
    });

    await using broker = await startKafka();
    await using server = await startPostgres({ passwords: true });
    const noContainer = await noContainers();
    await t.step({
      name: `the image runs in a container${noContainer === null ? "" : ` (${noContainer})`}`,
      ignore: noContainer !== null,
      fn: () => runsInContainer({ broker, server, page, release }),
    });

    await t.step("the program and the libraries for the other architecture run in an emulator", async () => {
      await runsEmulated(release, folder);
    });

    await t.step({
      name: `archive and packages run as services${why === null ? "" : ` (${why})`}`,
      ignore: why !== null,
      fn: async (t) => {
        await using host = await Host.boot({ broker, server, page, release });
        await t.step("archive", () => installArchive(host));
        const next = await upgraded;
        for (const kind of PACKAGES) {
          host.serve(release);
          await t.step(
            kind.name,
            () => installPackage(host, kind, () => host.serve(next), { from: VERSION, to: NEXT }),
          );
        }
        if (noContainer === null) assert.deepEqual(page.left, [], "commands of docs/install.md that nothing runs");
      },
    });

    await t.step("built in another folder at another time, it has the same bytes", async () => {
      const other = await again;
      for (const name of namesIn(release)) {
        const [here, there] = await Promise.all([release, other].map((of) => Deno.readFile(`${of}/${name}`)));
        assert.equal(sha256Of(there!), sha256Of(here!), name);
      }
    });
  } finally {
    await Promise.allSettled(building);
    await Deno.remove(folder, { recursive: true });
  }
});
