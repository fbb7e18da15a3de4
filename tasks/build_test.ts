import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { build, COMPILE } from "./build.ts";

/** Bytes 18 and 19 of an ELF file: its architecture. */
const MACHINE = { "x86_64-unknown-linux-gnu": 62, "aarch64-unknown-linux-gnu": 183 } as const;

Deno.test("build: the binary can be built for the other architecture, twice at once", async () => {
  const other = Deno.build.arch === "aarch64" ? "x86_64-unknown-linux-gnu" : "aarch64-unknown-linux-gnu";
  const folder = await Deno.makeTempDir({ prefix: "clickstream-" });
  const [file, same] = [`${folder}/one`, `${folder}/other`];
  try {
    await Promise.all([build(other, file), build(other, same)]);
    assert.equal(await sha256In(file), await sha256In(same));
    using binary = await Deno.open(file);
    const start = new Uint8Array(20);
    await binary.read(start);
    assert.deepEqual([...start.subarray(0, 4)], [0x7f, 0x45, 0x4c, 0x46]);
    assert.equal(start[18]! + 256 * start[19]!, MACHINE[other]);
    assert.ok((await binary.stat()).size > 80e6);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

async function sha256In(file: string): Promise<string> {
  return createHash("sha256").update(await Deno.readFile(file)).digest("hex");
}

Deno.test("build: the same sources give the same bytes, in another folder at another time", async () => {
  const root = fileURLToPath(new URL("..", import.meta.url));
  // Deeper than the repository: the bundler writes paths relative to the folder.
  const folder = await Deno.makeTempDir({ prefix: "clickstream-" });
  const copy = `${folder}/a/b/c/d/e`;
  try {
    await run("sh", [
      "-c",
      `mkdir -p "$0" && git ls-files -coz --exclude-standard | tar -c --null -T - | tar -x -C "$0"`,
      copy,
    ], root);
    await run("find", [copy, "-type", "f", "-exec", "touch", "-d", "2001-02-03", "{}", "+"], root);
    await run(Deno.execPath(), ["run", "--allow-all", "--quiet", "tasks/build.ts"], copy);
    assert.equal(await sha256In(`${copy}/dist/clickstream`), await sha256In(`${root}dist/clickstream`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

async function run(program: string, args: readonly string[], cwd: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args: [...args], cwd }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

/** What the program may not do, each as the body of a function; and what it must be able to do. */
const DENIED: Readonly<Record<string, string>> = {
  "start a program": 'new Deno.Command("true").outputSync()',
  "start a program through Node":
    'const { spawnSync } = await import("node:child_process"); if (spawnSync("true").status !== 0) throw new Error("not allowed")',
  "load a native library": 'Deno.dlopen("libc.so.6", { getpid: { parameters: [], result: "i32" } })',
  "load code from the network": 'const url = "https://127.0.0.1:1/code.js"; await import(url)',
};
const ALLOWED: Readonly<Record<string, string>> = {
  "read a setting": 'Deno.env.get("HOME")',
  "read a file": 'Deno.readTextFileSync("/etc/hostname")',
  // By Deno's interface and by Node's, which PostgreSQL's client uses.
  "connect to a socket":
    'const path = Deno.makeTempDirSync() + "/s"; const l = Deno.listen({ transport: "unix", path }); ' +
    'const { connect } = await import("node:net"); await new Promise((ok, no) => connect(path).on("connect", ok).on("error", no)); ' +
    '(await Deno.connect({ transport: "unix", path })).close(); l.close()',
  "ask over HTTP":
    'await fetch("http://127.0.0.1:1/").catch((e) => { if (!/refused/.test(e.message + e.cause?.message)) throw e; })',
  "connect":
    "await Deno.connect({ port: 1 }).catch((e) => { if (!(e instanceof Deno.errors.ConnectionRefused)) throw e; })",
};

Deno.test("build: the program can start no other program, and load no native library and no code", async () => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-" });
  try {
    const probes = Object.entries({ ...DENIED, ...ALLOWED }).map(([what, body]) =>
      `[${JSON.stringify(what)}, async () => { ${body} }]`
    );
    await Deno.writeTextFile(
      `${folder}/probe.js`,
      `for (const [what, probe] of [${probes.join(",")}]) {
        console.log(what + ": " + await probe().then(() => "done", ({ name, message }) => name + " " + message));
      }`,
    );
    const args = ["compile", ...COMPILE, `--output=${folder}/probe`, `${folder}/probe.js`];
    const compiled = await new Deno.Command(Deno.execPath(), {
      args,
      cwd: fileURLToPath(new URL("..", import.meta.url)),
    })
      .output();
    assert.ok(compiled.success, new TextDecoder().decode(compiled.stderr));
    const { stdout } = await new Deno.Command(`${folder}/probe`, { stdin: "null" }).output();
    const said = new Map(
      new TextDecoder().decode(stdout).trim().split("\n").map((line) => {
        const colon = line.indexOf(": ");
        return [line.slice(0, colon), line.slice(colon + 2)];
      }),
    );
    for (const what of Object.keys(DENIED)) {
      assert.match(said.get(what) ?? "", /NotCapable|not allowed|Module not found/, what);
    }
    for (const what of Object.keys(ALLOWED)) assert.equal(said.get(what), "done", what);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
