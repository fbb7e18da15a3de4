import assert from "node:assert/strict";
import { run } from "../../testing/servers/child.ts";
import { folderFiles, monitoringFiles } from "./folder.ts";
import { tarGz } from "./tar.ts";

Deno.test("folder: an archive of a folder has its files, and the same bytes whenever they were written", async () => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-folder-" });
  try {
    await Deno.mkdir(`${folder}/in/libs/deep`, { recursive: true });
    for (const name of ["b.jar", "a.jar", "deep/c.jar", "README"]) {
      await Deno.writeTextFile(`${folder}/in/libs/${name}`, name, { mode: name === "a.jar" ? 0o600 : 0o755 });
    }
    const archive = async () => tarGz(await folderFiles(`${folder}/in`, /\.jar$/), { level: 1 });
    const before = await archive();
    await Deno.utime(`${folder}/in/libs/a.jar`, 1, 1);
    assert.deepEqual(await archive(), before);
    await Deno.writeFile(`${folder}/all.tar.gz`, before);
    await Deno.mkdir(`${folder}/out`);
    await run("tar", ["-xzf", `${folder}/all.tar.gz`, "-C", `${folder}/out`]);
    const out = await folderFiles(`${folder}/out`);
    assert.deepEqual(out.map(({ path }) => path), ["libs/a.jar", "libs/b.jar", "libs/deep/c.jar"]);
    assert.equal(new TextDecoder().decode(out[2]!.bytes), "deep/c.jar");
    await assert.rejects(folderFiles(folder, /\.war$/), /has no file to archive/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("folder: hosts get every dashboard, data source, rule and alert, and no source file", async () => {
  const paths = (await monitoringFiles()).map(({ path }) => path);
  for (const path of ["dashboards/system.json", "provisioning/alerting/clickstream.yaml", "prometheus/rules.yml"]) {
    assert.ok(paths.includes(path), path);
  }
  assert.ok(paths.every((path) => !path.endsWith(".ts")));
});
