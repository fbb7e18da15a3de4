/**
 * Checks names, connections and certificates of Kafka and PostgreSQL.
 * @module
 */
import { lookup } from "node:dns/promises";
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions, type PeerCertificate, type TLSSocket } from "node:tls";
import { type Address, addressText } from "../../config/address.ts";
import { inWords } from "../../config/secret.ts";
import { DAY_MS } from "../../views/view.ts";
import { advice, bad, type Finding, good } from "./finding.ts";
import { RENEW_DAYS } from "./logins.ts";

/** A server to connect to. */
export interface Peer {
  /** Its name in findings, such as `kafka`. */
  readonly name: string;
  readonly address: Address;
  /** The setting that names the address. */
  readonly setting: string;
  /** Trusted authorities; null without TLS. */
  readonly ca: { readonly pem: string; readonly setting: string } | null;
  /** Our certificate and its key, if the server may demand them. */
  readonly client?: { readonly cert: string; readonly key: string };
  /** Bytes that ask the server to start TLS; it answers `S` if it does. Without it, TLS starts at once. */
  readonly request?: Uint8Array;
}

const TIMEOUT_MS = 10_000;

/** The letter S. */
const YES = 0x53;

/** Checks name, connection and certificate, in this order, until one fails. */
export async function checkPeer(peer: Peer): Promise<Finding[]> {
  const { name, address, setting, ca } = peer;
  const where = addressText(address);
  const findings: Finding[] = [];
  try {
    const { address: ip } = await lookup(address.hostname);
    findings.push(good(`${name} name`, `${address.hostname} is ${ip}`));
  } catch (error) {
    const todo = `check ${setting}, and the DNS of this machine (/etc/resolv.conf)`;
    return [bad(`${name} name`, `cannot resolve ${address.hostname}: ${inWords(error)}`, todo)];
  }
  try {
    (await opened(address)).destroy();
    findings.push(good(`${name} connection`, `${where} accepts connections`));
  } catch (error) {
    const todo = `check that it runs and listens there, that no firewall blocks it, and that ${setting} is right`;
    return [...findings, bad(`${name} connection`, `${where}: ${inWords(error)}`, todo)];
  }
  if (ca !== null) findings.push(await certificate(peer, ca));
  return findings;
}

/** True if none of these is bad. */
export function isWell(findings: readonly Finding[]): boolean {
  return findings.every(({ verdict }) => verdict !== "bad");
}

async function opened({ hostname, port }: Address): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    const socket = connect(port, hostname);
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no answer in ${TIMEOUT_MS / 1000} s`));
    }, TIMEOUT_MS);
    socket.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.on("connect", () => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}

async function certificate(peer: Peer, ca: { readonly pem: string; readonly setting: string }): Promise<Finding> {
  const { name, address } = peer;
  const check = `${name} certificate`;
  const where = addressText(address);
  let shown: PeerCertificate;
  try {
    shown = await handshake(peer, ca.pem, true);
  } catch (error) {
    const [found, todo] = wrong(inWords(error), ca.setting);
    // Read the certificate although it is not trusted, to describe it.
    const seen = await handshake(peer, ca.pem, false).catch(() => null);
    return bad(check, `${where}: ${found}${seen === null ? "" : ` (${described(seen)})`}`, todo);
  }
  const daysLeft = Math.floor((Date.parse(shown.valid_to) - Date.now()) / DAY_MS);
  if (daysLeft >= RENEW_DAYS) return good(check, `${where} presents the certificate of ${described(shown)}`);
  return advice(check, `the certificate of ${where} expires in ${daysLeft} days: ${described(shown)}`, "renew it");
}

function described({ subject, valid_from, valid_to }: PeerCertificate): string {
  const [from, to] = [valid_from, valid_to].map((time) => new Date(Date.parse(time)).toISOString().slice(0, 19));
  return `${subject?.CN ?? "an unnamed subject"}, valid from ${from} to ${to}`;
}

/** What a failed TLS handshake means, and what to do. */
function wrong(message: string, setting: string): readonly [found: string, todo: string] {
  if (/not valid yet|NotValidYet/i.test(message)) {
    return ["its certificate is not valid yet", "correct this machine's clock"];
  }
  if (/expired/i.test(message)) return ["its certificate has expired", "renew the certificate"];
  if (/not valid for name|altname/i.test(message)) {
    return [
      "its certificate is for another name",
      "connect by a name that is in the certificate, or issue a certificate for this name",
    ];
  }
  if (/UnknownIssuer|self.signed|unable to|BadSignature|CaUsed/i.test(message)) {
    return [
      `its certificate is from an authority that is not trusted: ${message}`,
      `set ${setting} to a file with the certificate of the authority that issued it`,
    ];
  }
  return [`no TLS: ${message}`, `enable TLS on the server, or unset ${setting}`];
}

/** Does a TLS handshake over a new connection; returns the server's certificate. */
async function handshake({ address, request, client }: Peer, ca: string, strict: boolean): Promise<PeerCertificate> {
  const { hostname, port } = address;
  const options = { servername: isIP(hostname) ? "" : hostname, ca, rejectUnauthorized: strict, ...client };
  const plain = request === undefined ? null : await opened(address);
  const opening: TLSSocket[] = [];
  try {
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("no answer to the TLS handshake")), TIMEOUT_MS);
      const shake = (how: ConnectionOptions) => {
        const tls = connectTls({ ...options, ...how }, () => {
          // Deno reports the connection before it has checked the certificate; a refusal follows as an error.
          const shown = tls.getPeerCertificate() as PeerCertificate | null;
          if (shown === null) return;
          clearTimeout(timer);
          resolve(shown);
        });
        opening.push(tls);
        tls.on("error", (error) => {
          clearTimeout(timer);
          reject(error);
        });
      };
      if (plain === null) return shake({ host: hostname, port });
      // In the same turn as the answer: later, the plain socket would read bytes that belong to TLS.
      plain.once("data", (answer: Uint8Array) => {
        if (answer[0] === YES) return shake({ socket: plain, host: hostname });
        clearTimeout(timer);
        reject(new Error("the server does not support TLS"));
      });
      plain.write(request!);
    });
  } finally {
    for (const tls of opening) tls.destroy();
    plain?.destroy();
  }
}
