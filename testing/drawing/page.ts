/**
 * The page that draws a dashboard: Grafana's own packages from the npm registry, bundled once into the cache.
 * @module
 */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { prepared, run } from "../servers/child.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const PACKAGES = ["packages/package.json", "packages/package-lock.json"];

/** Grafana's icons, in its package and where its components look for them. */
const ICONS = {
  folder: "node_modules/@grafana/ui/dist/public/img/icons/",
  path: "/public/build/img/icons/",
};

const HTML = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Dashboard</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="page.css"></head>
<body style="margin:0"><div id="page"></div><script type="module" src="page.js"></script></body></html>`;

/** A served page, which draws what its function `draw` is given. */
export interface DrawingPage extends AsyncDisposable {
  readonly url: string;
}

async function hashOf(paths: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const path of paths) hash.update(await Deno.readFile(`${HERE}${path}`));
  return hash.digest("hex").slice(0, 12);
}

/** Folder of the page, type-checked and bundled. */
async function bundled(): Promise<string> {
  const sources = (await Array.fromAsync(Deno.readDir(`${HERE}page`))).map(({ name }) => `page/${name}`).sort();
  const packages = await prepared(`drawing-packages-${await hashOf(PACKAGES)}`, async (folder) => {
    for (const path of PACKAGES) await Deno.copyFile(`${HERE}${path}`, `${folder}/${path.split("/").at(-1)}`);
    await run("npm", ["ci", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"]);
  });
  return await prepared(`drawing-page-${await hashOf([...PACKAGES, "answer.ts", ...sources])}`, async (folder) => {
    await Deno.mkdir(`${folder}/page`);
    for (const path of ["answer.ts", ...sources]) await Deno.copyFile(`${HERE}${path}`, `${folder}/${path}`);
    await Deno.symlink(`${packages}/node_modules`, `${folder}/node_modules`);
    const loaders = ["ttf=empty", "woff=empty", "woff2=dataurl"].map((loader) => `--loader:.${loader}`);
    const production = '--define:process.env.NODE_ENV="production"';
    const checked = run(`${folder}/node_modules/.bin/tsc`, ["-p", `${folder}/page`]);
    const written = run(`${folder}/node_modules/.bin/esbuild`, [
      ...[`${folder}/page/main.tsx`, `--outfile=${folder}/page.js`, ...loaders, production],
      ...["--bundle", "--minify", "--format=esm", "--target=es2022", "--jsx=automatic", "--log-level=error"],
    ]);
    await Promise.all([checked, written]);
  });
}

/** Serves the page on a port of its own. */
export async function serveDrawing(): Promise<DrawingPage> {
  const folder = await bundled();
  const file = async (path: string, type: string) =>
    new Response(await Deno.readFile(`${folder}/${path}`), {
      headers: { "content-type": type },
    });
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
  }, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/") {
      return new Response(HTML, { headers: { "content-type": "text/html" } });
    }
    if (pathname === "/page.js") {
      return await file("page.js", "text/javascript");
    }
    if (pathname === "/page.css") return await file("page.css", "text/css");
    const icon = pathname.startsWith(ICONS.path) ? pathname.slice(ICONS.path.length) : "";
    if (/^[a-z]+\/[\w-]+\.svg$/.test(icon)) {
      return await file(`${ICONS.folder}${icon}`, "image/svg+xml");
    }
    return new Response("not found", { status: 404 });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
