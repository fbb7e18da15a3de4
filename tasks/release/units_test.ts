import assert from "node:assert/strict";
import { run } from "../../testing/servers/child.ts";
import { allSettings } from "./settings_list.ts";
import { describeSettings, SETTING_NAMES } from "../../processor/config/settings_shown.ts";
import { ENABLED, packagedUnits, SERVICES } from "./units.ts";

/** Highest exposure that a service may have, as on the hosts. */
const MOST_EXPOSURE = 1.0;

const why = await run("systemd-analyze", ["--version"]).then(() => null, () => "needs systemd-analyze");

Deno.test({
  name: `units of packages are what systemd knows, and their sandboxes are tight${why === null ? "" : ` (${why})`}`,
  ignore: why !== null,
  fn: async () => {
    const root = await Deno.makeTempDir();
    const put = async (path: string, text: string, mode = 0o644) => {
      await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${root}/${path}`, text, { mode });
    };
    for (const [name, text] of packagedUnits("/usr/bin/clickstream")) await put(`etc/systemd/system/${name}`, text);
    for (const program of ["usr/bin/clickstream", "bin/kill"]) await put(program, "", 0o755);
    // Parts of systemd that units wait for.
    await Deno.mkdir(`${root}/lib/systemd`, { recursive: true });
    await run("cp", ["-a", "/lib/systemd/system", `${root}/lib/systemd/`]);
    const verify = new Deno.Command("systemd-analyze", {
      args: [`--root=${root}`, "--man=no", "verify", ...SERVICES, "clickstream-maintain.timer"],
    });
    const { code, stderr } = await verify.output();
    assert.equal(new TextDecoder().decode(stderr), "");
    assert.equal(code, 0);
    for (const unit of SERVICES) {
      const said = await run("systemd-analyze", [`--root=${root}`, "--offline=yes", "security", "--no-pager", unit]);
      const exposure = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(said)?.[1]);
      assert.ok(exposure <= MOST_EXPOSURE, `${unit} has an exposure of ${exposure}`);
    }
    await Deno.remove(root, { recursive: true });
  },
});

Deno.test({
  name: `units in docs/questions.md are what systemd knows${why === null ? "" : ` (${why})`}`,
  ignore: why !== null,
  fn: async () => {
    const text = await Deno.readTextFile(new URL("../../docs/questions.md", import.meta.url));
    const units = [...text.matchAll(/^```ini\n# \/etc\/systemd\/system\/(\S+)\n(.*?)^```/gms)];
    assert.deepEqual(units.map(([, name]) => name), ["clickstream-report.service", "clickstream-report.timer"]);
    const folder = await Deno.makeTempDir();
    const files = units.map(([, name, unit]) => [`${folder}/${name}`, unit!] as const);
    for (const [file, unit] of files) await Deno.writeTextFile(file, unit);
    const args = ["--man=no", "verify", ...files.map(([file]) => file)];
    const { code, stderr } = await new Deno.Command("systemd-analyze", { args }).output();
    const said = new TextDecoder().decode(stderr).split("\n").filter((line) =>
      line.includes(folder) || line.includes("report")
    );
    assert.deepEqual([code, said], [0, []]);
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test("units of packages name the program and the settings where packages have them, and are started at boot", () => {
  const units = packagedUnits("/x/clickstream");
  for (const name of SERVICES) {
    const unit = units.get(name)!;
    assert.match(unit, /^ExecStart=\/x\/clickstream (run|migrate|maintain)$/m);
    assert.equal(unit.match(/^Exec/gm)!.length, name === "clickstream.service" ? 2 : 1);
    assert.deepEqual(unit.match(/^EnvironmentFile=.*$/gm), ["EnvironmentFile=/etc/clickstream/clickstream.env"]);
    for (const credential of unit.match(/^LoadCredential=.*$/gm)!) {
      assert.match(credential, /^LoadCredential=(\w+):clickstream\.(?:\1|DATABASE_ADMIN_URL)$/);
    }
  }
  for (const unit of units.values()) assert.doesNotMatch(unit, /administrator/);
  for (const name of ENABLED) assert.match(units.get(name)!, /^\[Install\]$/m, name);
  const service = units.get("clickstream.service")!;
  for (const { name } of describeSettings().filter(({ secret }) => secret)) {
    assert.ok(service.includes(`\nLoadCredential=${name}:clickstream.${name}\n`), name);
  }
});

Deno.test("the list of settings names every setting, and sets none", () => {
  const lines = allSettings().split("\n").filter((line) => line !== "");
  assert.deepEqual(lines.filter((line) => !line.startsWith("#")), []);
  const named = lines.flatMap((line) => /^#([A-Z_]+)=/.exec(line)?.[1] ?? []);
  assert.deepEqual(named, [...SETTING_NAMES]);
});
