import assert from "node:assert/strict";
import { prepared } from "./child.ts";

Deno.test("what several need is prepared once, and again if that fails", async () => {
  const cache = await Deno.makeTempDir();
  const before = Deno.env.get("XDG_CACHE_HOME");
  Deno.env.set("XDG_CACHE_HOME", cache);
  try {
    let times = 0;
    const prepare = async (folder: string) => {
      times++;
      await Deno.writeTextFile(`${folder}/half`, "");
      if (times === 1) throw new Error("no network");
      await Deno.writeTextFile(`${folder}/other half`, "");
    };
    const results = await Promise.allSettled(Array.from({ length: 3 }, () => prepared("tool-1", prepare)));
    assert.deepEqual(results.map(({ status }) => status).toSorted(), ["fulfilled", "fulfilled", "rejected"]);
    assert.equal(times, 2);
    const files = await Array.fromAsync(Deno.readDir(await prepared("tool-1", prepare)), ({ name }) => name);
    assert.deepEqual(files.toSorted(), ["half", "other half"]);
    assert.equal(times, 2);
  } finally {
    if (before === undefined) Deno.env.delete("XDG_CACHE_HOME");
    else Deno.env.set("XDG_CACHE_HOME", before);
    await Deno.remove(cache, { recursive: true });
  }
});
