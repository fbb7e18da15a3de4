import assert from "node:assert/strict";
import { FILES } from "./artifacts.ts";
import { builtFiles, NotBuilt, viewsFile, withViews } from "./built.ts";
import { deploySettings, WrongSettings } from "./settings.ts";

Deno.test("artifacts: a missing or an empty file is an error that names it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-built-" });
  try {
    const place = (name: string) => `${folder}/${name}`;
    for (const name of FILES) await Deno.writeTextFile(place(name), name);
    assert.equal((await builtFiles("arm64", place)).kafka.path, `${folder}/kafka`);
    await Deno.writeTextFile(place("dashboards"), "");
    await Deno.remove(place("kafka"));
    await assert.rejects(builtFiles("arm64", place), (error) => {
      assert.ok(error instanceof NotBuilt);
      assert.equal(error.message, "dashboards is empty, kafka is missing: ./deno task artifacts builds them");
      return true;
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const VIEWS = `views:
  - name: device_searches
    description: Searches by device.
    filter: { event: search }
    window: 5 minutes
    keys: [device]
    measures: { searches: count }
`;
const GOALS = `goals:
  - { name: bought, description: Bought anything., filter: { event: purchase } }
`;

Deno.test("artifacts: a file of declared views is checked first, and recorded by path and content", async () => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-views-" });
  try {
    const path = `${folder}/views.yaml`;
    const put = (text: string) => Deno.writeTextFile(path, text);
    const named = (more: Readonly<Record<string, string>> = {}) =>
      withViews((name) => ({ VIEWS_FILE: path, ...more } as Readonly<Record<string, string>>)[name])("VIEWS_FILE")!;
    const fileOf = (VIEWS_FILE: string) => viewsFile(deploySettings((name) => name === "VIEWS_FILE" ? VIEWS_FILE : ""));
    const wrong = (body: () => unknown) => {
      try {
        body();
      } catch (error) {
        assert.ok(error instanceof WrongSettings);
        return error.message;
      }
      return assert.fail("it is not wrong");
    };

    assert.match(wrong(named), /VIEWS_FILE is ".*views.yaml" \(cannot read the file: No such file or directory/);
    await put(VIEWS.replace("5 minutes", "5 weeks"));
    assert.match(wrong(named), /VIEWS_FILE is ".*" \(line 5, column 5: views\[0\]\.window is "5 weeks"/);
    await put(GOALS);
    assert.match(wrong(() => named({ VIEWS: "traffic" })), /VIEWS is "traffic"; it must have sessions/);

    await put(VIEWS);
    const deployed = named();
    assert.match(deployed, /views\.yaml#[0-9a-f]{16}$/);
    assert.equal(named(), deployed);
    const { views } = fileOf(deployed);
    assert.equal(views?.path, path);
    assert.ok(deployed.endsWith(`#${views.sha256.slice(0, 16)}`));

    // Nobody named the change.
    await put(VIEWS + GOALS);
    assert.notEqual(named(), deployed);
    assert.match(
      wrong(() => fileOf(deployed)),
      /views\.yaml is not the file that is deployed\. .*--change VIEWS_FILE$/,
    );
    await Deno.remove(path);
    assert.match(wrong(() => fileOf(deployed)), /cannot read the file/);

    assert.deepEqual(viewsFile(deploySettings(withViews(() => undefined))), {});
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
