/**
 * Files that settings name.
 * @module
 */
import { rootCertificates } from "node:tls";

/** Trusted certificate authorities, and the file that they came from. */
export interface Authorities {
  readonly file: string;
  readonly pem: string;
}

/** Most bytes of a file; all authorities of the web have 0.2 MB. */
const MOST_BYTES = 4 * 1024 * 1024;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----/;

/**
 * The text of a file.
 *
 * @throws {RangeError} if it has more than 4 MiB, as a device without an end has
 * @throws {Error} if it cannot be read
 */
export function readText(file: string): string {
  using open = Deno.openSync(file);
  let bytes = new Uint8Array(64 * 1024);
  let used = 0;
  for (let read = open.readSync(bytes); read !== null; read = open.readSync(bytes.subarray(used))) {
    used += read;
    if (used > MOST_BYTES) throw new RangeError(`it has more than ${MOST_BYTES} bytes`);
    if (used < bytes.length) continue;
    const more = new Uint8Array(2 * bytes.length);
    more.set(bytes);
    bytes = more;
  }
  return new TextDecoder().decode(bytes.subarray(0, used));
}

/**
 * The certificate authorities in a PEM file; `public` stands for the well-known ones.
 *
 * @throws {RangeError} if the file cannot be read or contains no certificate
 */
export function certificates(file: string): Authorities {
  if (file === "public") return { file, pem: rootCertificates.join("\n") };
  let pem: string;
  try {
    pem = readText(file);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // Without the path, which the caller names, and which may be long.
    throw new RangeError(`cannot read the file: ${message.replace(/: [a-z]+ '.*'$/s, "")}`);
  }
  if (!CERTIFICATE.test(pem)) throw new RangeError("it contains no certificate");
  return { file, pem };
}
