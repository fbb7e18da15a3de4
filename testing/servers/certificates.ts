/**
 * Certificates of servers and clients for tests, from an authority of their own.
 * @module
 */
import { run } from "./child.ts";

/** A certificate and its key: PEM texts, and the files that contain them. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** An authority that issues certificates. */
export interface Authority {
  readonly pem: string;
  readonly file: string;
  /** Issues a certificate for this common name; with `hosts`, for a server with these names (`DNS:…`, `IP:…`). */
  issue(commonName: string, hosts?: readonly string[]): Promise<Certificate>;
}

const KEY = ["-newkey", "rsa:2048", "-nodes"];

/** Creates an authority in `folder`, which also gets what it issues; all of it is valid for two days. */
export async function makeAuthority(folder: string, name = "tests"): Promise<Authority> {
  const [file, keyFile] = [`${folder}/ca.pem`, `${folder}/ca.key`];
  await run("openssl", [
    "req",
    "-x509",
    "-days",
    "2",
    "-subj",
    `/CN=${name}`,
    ...KEY,
    "-keyout",
    keyFile,
    "-out",
    file,
  ]);
  const pem = await Deno.readTextFile(file);
  let count = 0;
  return {
    pem,
    file,
    async issue(commonName, hosts = []) {
      const path = `${folder}/${++count}`;
      const names = hosts.length === 0 ? [] : ["-addext", `subjectAltName=${hosts.join(",")}`];
      await run("openssl", [
        ...["req", "-x509", "-days", "2", "-subj", `/CN=${commonName}`, ...KEY, "-CA", file, "-CAkey", keyFile],
        ...["-addext", "basicConstraints=critical,CA:FALSE", ...names, "-keyout", `${path}.key`, "-out", `${path}.pem`],
      ]);
      const [cert, key] = await Promise.all([`${path}.pem`, `${path}.key`].map((at) => Deno.readTextFile(at)));
      return { cert: cert!, key: key!, certFile: `${path}.pem`, keyFile: `${path}.key` };
    },
  };
}
