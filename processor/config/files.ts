/**
 * Files that settings name.
 * @module
 */
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { rootCertificates } from "node:tls";
import { type DeclaredViews, readDeclared } from "../declared/file.ts";
import { Secret } from "./secret.ts";

/** Certificates, such as trusted authorities, and the file that they came from. */
export interface Authorities {
  readonly file: string;
  readonly pem: string;
}

/** Most bytes of a file; all authorities of the web have 0.2 MB. */
const MOST_BYTES = 4 * 1024 * 1024;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----/;

const PRIVATE_KEY = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[^-]+-----END (?:[A-Z]+ )?PRIVATE KEY-----/;

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
 * The views that a YAML file declares.
 *
 * @throws {RangeError} if it cannot be read, or naming every fault
 */
export function declaredViews(file: string): DeclaredViews {
  return readDeclared(textOf(file), file);
}

/**
 * The certificate authorities in a PEM file, or in its text; `public` stands for the well-known ones.
 *
 * @throws {RangeError} if the file cannot be read or contains no certificate
 */
export function certificates(value: string): Authorities {
  if (value === "public") return { file: value, pem: rootCertificates.join("\n") };
  return clientCertificate(value);
}

/**
 * A certificate in a PEM file or in its text, with those between it and its authority.
 *
 * @throws {RangeError} if the file cannot be read or contains no certificate
 */
export function clientCertificate(value: string): Authorities {
  const found = pemOf(value);
  if (!CERTIFICATE.test(found.pem)) throw new RangeError("it contains no certificate");
  return found;
}

/**
 * A private key in a PEM file or in its text, which may be encrypted.
 *
 * @throws {RangeError} if the file cannot be read or contains no private key
 */
export function privateKey(value: string): Secret {
  const { file, pem } = pemOf(value);
  if (!PRIVATE_KEY.test(pem)) throw new RangeError("it contains no private key");
  return new Secret(pem, file);
}

/** Why a private key cannot be used; in words after the name of its setting. */
export class UnusableKey extends RangeError {
  override readonly name = "UnusableKey";
}

/**
 * The key of a certificate, as PEM text without a password, which every client reads.
 *
 * @throws {UnusableKey} if it cannot be read or decrypted, or is another certificate's
 */
export function keyOf(certificate: string, key: string, password: string | null): string {
  const isEncrypted = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(key);
  if (isEncrypted && password === null) throw new UnusableKey("is encrypted, and its password is not set");
  if (/^Proc-Type: 4,ENCRYPTED/m.test(key)) {
    throw new UnusableKey("is encrypted in an old format; convert it: openssl pkcs8 -topk8 -in OLD -out NEW");
  }
  let read: KeyObject;
  try {
    read = createPrivateKey(isEncrypted ? { key, passphrase: password! } : key);
  } catch {
    throw new UnusableKey(isEncrypted ? "cannot be decrypted with its password" : "is not a key that can be read");
  }
  let isItsKey: boolean;
  try {
    const [own, its] = [createPublicKey(read.export(AS_PEM)), new X509Certificate(certificate).publicKey]
      .map((each) => each.export({ type: "spki", format: "pem" }));
    isItsKey = own === its;
  } catch {
    throw new UnusableKey("cannot be compared with its certificate, which cannot be read");
  }
  if (!isItsKey) throw new UnusableKey("is the key of another certificate");
  return String(read.export(AS_PEM));
}

const AS_PEM = { type: "pkcs8", format: "pem" } as const;

/** A PEM text, and the file that it came from. */
function pemOf(value: string): Authorities {
  if (/^\s*-----BEGIN /.test(value)) return { file: "(PEM text)", pem: value };
  return { file: value, pem: textOf(value) };
}

/** The text of a file. */
function textOf(file: string): string {
  try {
    return readText(file);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // Without the path, which the caller names, and which may be long.
    throw new RangeError(`cannot read the file: ${message.replace(/: [a-z]+ '.*'$/s, "")}`);
  }
}
