/**
 * The container image, written without a daemon: an OCI layout with a manifest for each architecture. It contains the
 * binary and the libraries that it needs, and no shell.
 * @module
 */
import { tar, type TarFile, zipped } from "../../infra/hosts/tar.ts";
import type { Texts } from "./contents.ts";
import { text } from "./contents.ts";
import { libraries } from "./image_libraries.ts";
import { sha256Of } from "./provenance.ts";
import { type ArchitectureName, ARCHITECTURES, type Source } from "./source.ts";

/** Compression of layers. */
const LEVEL = 6;

/** User and group of the program, as in other images without a shell. */
const USER = "65532:65532";

/** Where something of the layout is. */
interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** What an image is made from. */
export interface ImageParts {
  readonly source: Source;
  readonly texts: Texts;
  readonly built: readonly { readonly architecture: ArchitectureName; readonly binary: Uint8Array }[];
}

/** The image as a tar of its layout; `docker load`, `podman load` and `skopeo copy oci-archive:` read it. */
export async function image({ source, texts, built }: ImageParts): Promise<Uint8Array> {
  const blobs = new Map<string, Uint8Array>();
  const put = (mediaType: string, bytes: Uint8Array): Descriptor => {
    const sum = sha256Of(bytes);
    blobs.set(sum, bytes);
    return { mediaType: `application/vnd.oci.image.${mediaType}`, digest: `sha256:${sum}`, size: bytes.length };
  };
  const manifests = [];
  for (const { architecture, binary } of built) {
    const layers = [await baseFiles(architecture, texts), [program(binary)]].map((files) => tar(files, source.timeS));
    const { debian } = ARCHITECTURES[architecture];
    const config = put("config.v1+json", json(configOf(source, debian, layers.map(sha256Of))));
    const manifest = {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config,
      layers: layers.map((layer) => put("layer.v1.tar+gzip", zipped(layer, LEVEL))),
      annotations: labels(source),
    };
    manifests.push({ ...put("manifest.v1+json", json(manifest)), platform: { architecture: debian, os: "linux" } });
  }
  const index = { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests };
  const both = put("index.v1+json", json({ ...index, annotations: labels(source) }));
  // The name by which `load` knows it, for Docker and for others.
  const named = {
    "org.opencontainers.image.ref.name": `localhost/clickstream:${source.version}`,
    "io.containerd.image.name": `localhost/clickstream:${source.version}`,
  };
  const layout: TarFile[] = [
    text("oci-layout", '{"imageLayoutVersion":"1.0.0"}'),
    { path: "index.json", mode: 0o644, bytes: json({ ...index, manifests: [{ ...both, annotations: named }] }) },
    ...[...blobs].map(([sum, bytes]) => ({ path: `blobs/sha256/${sum}`, mode: 0o644, bytes })),
  ];
  return tar(layout, source.timeS);
}

function program(binary: Uint8Array): TarFile {
  return { path: "usr/bin/clickstream", mode: 0o755, bytes: binary };
}

/** The system around the program: libraries, users, and licences. */
async function baseFiles(architecture: ArchitectureName, { licenses, imageSbom }: Texts): Promise<TarFile[]> {
  const { loader: [loader, to] } = ARCHITECTURES[architecture];
  const nothing = new Uint8Array();
  const folders = ["etc/", "usr/", "usr/bin/"].map((path) => ({ path, mode: 0o755, bytes: nothing }));
  return [
    ...folders,
    { path: "tmp/", mode: 0o1777, bytes: nothing },
    ...await libraries(architecture),
    { path: loader, mode: 0o777, bytes: nothing, link: to },
    text("etc/passwd", "root:x:0:0:root:/:/none\nclickstream:x:65532:65532:clickstream:/:/none\n"),
    text("etc/group", "root:x:0:\nclickstream:x:65532:\n"),
    text("etc/nsswitch.conf", "hosts: files dns\n"),
    text("usr/share/doc/clickstream/THIRD-PARTY-LICENSES", licenses),
    text("usr/share/doc/clickstream/sbom.cdx.json", imageSbom),
  ];
}

/** How the image is run: Docker and Podman also read the health check, which OCI does not define. */
function configOf(source: Source, architecture: string, layers: readonly string[]): unknown {
  const created = dateOf(source);
  return {
    created,
    architecture,
    os: "linux",
    config: {
      User: USER,
      Entrypoint: ["/usr/bin/clickstream"],
      Cmd: ["run"],
      WorkingDir: "/",
      // A container has an address of its own, and only what is published of it can be reached.
      Env: ["PATH=/usr/bin", "HTTP_LISTEN=0.0.0.0:8080", "DENO_DIR=/tmp", "NO_COLOR=1"],
      ExposedPorts: { "8080/tcp": {} },
      Labels: labels(source),
      StopSignal: "SIGTERM",
      Healthcheck: {
        Test: ["CMD", "/usr/bin/clickstream", "status", "--json"],
        Interval: 30e9,
        Timeout: 10e9,
        StartPeriod: 20e9,
        Retries: 3,
      },
    },
    rootfs: { type: "layers", diff_ids: layers.map((sum) => `sha256:${sum}`) },
    history: layers.map((_, n) => ({ created, created_by: n === 0 ? "libraries of Debian" : "clickstream" })),
  };
}

function labels(source: Source): Record<string, string> {
  return {
    "org.opencontainers.image.title": "clickstream",
    "org.opencontainers.image.description": "Counts a shop's clicks from Kafka into PostgreSQL, exactly once",
    "org.opencontainers.image.version": source.version,
    "org.opencontainers.image.revision": source.commit,
    "org.opencontainers.image.created": dateOf(source),
    "org.opencontainers.image.licenses": "MIT",
  };
}

function dateOf({ timeS }: Source): string {
  return new Date(timeS * 1000).toISOString().replace(".000Z", "Z");
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
