/**
 * Names, connections and certificates, on the way to Kafka and PostgreSQL.
 * @module
 */
import { lookup } from "node:dns/promises";
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions, type PeerCertificate, type TLSSocket } from "node:tls";
import { type Address, addressText } from "../../config/address.ts";
import { inWords } from "../../config/secret.ts";
import { DAY_MS } from "../../views/view.ts";
import { advice, bad, type Finding, good } from "./finding.ts";

/** Somebody to connect to. */
export interface Peer {
  /** Such as `kafka`. */
  readonly name: string;
  readonly address: Address;
  /** The setting that names the address. */
  readonly setting: string;
  /** Authorities to trust; null where TLS is not wanted. */
  readonly ca: { readonly pem: string; readonly setting: string } | null;
  /** What asks for TLS, where that isn't understood; the answer is an `S` or not. */
  readonly request?: Uint8Array;
}

const TIMEOUT_MS = 10_000;

/** The letter S. */
const YES = 0x53;

/** Certificates are to be renewed before so many days are left. */
const RENEW_DAYS = 14;

/** Tries name, connection and certificate; the first that fails is the last that is tried. */
export async function checkPeer(peer: Peer): Promise<Finding[]> {
  const { name, address, setting, ca } = peer;
  const where = addressText(address);
  const findings: Finding[] = [];
  try {
    const { address: ip } = await lookup(address.hostname);
    findings.push(good(`${name} name`, `${address.hostname} is ${ip}`));
  } catch (error) {
    const todo = `check ${setting}, and the DNS of this machine (/etc/resolv.conf)`;
    return [bad(`${name} name`, `${address.hostname} can't be resolved: ${inWords(error)}`, todo)];
  }
  try {
    (await opened(address)).destroy();
    findings.push(good(`${name} connection`, `${where} takes connections`));
  } catch (error) {
    const todo = `see that it runs and listens there, that no firewall is between, and check ${setting}`;
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
    // What is not trusted can be looked at all the same.
    const seen = await handshake(peer, ca.pem, false).catch(() => null);
    return bad(check, `${where}: ${found}${seen === null ? "" : ` (${described(seen)})`}`, todo);
  }
  const daysLeft = Math.floor((Date.parse(shown.valid_to) - Date.now()) / DAY_MS);
  if (daysLeft >= RENEW_DAYS) return good(check, `${where} shows that of ${described(shown)}`);
  return advice(check, `${where} shows one that expires in ${daysLeft} days: ${described(shown)}`, "renew it there");
}

function described({ subject, valid_from, valid_to }: PeerCertificate): string {
  const [from, to] = [valid_from, valid_to].map((time) => new Date(Date.parse(time)).toISOString().slice(0, 19));
  return `${subject?.CN ?? "nobody"}, valid from ${from} to ${to}`;
}

/** What a refused certificate means, and what to do. */
function wrong(message: string, setting: string): readonly [found: string, todo: string] {
  if (/not valid yet|NotValidYet/i.test(message)) {
    return ["its certificate is not valid yet", "set the clock of this machine"];
  }
  if (/expired/i.test(message)) return ["its certificate has expired", "renew the certificate there"];
  if (/not valid for name|altname/i.test(message)) {
    return [
      "its certificate is made for another name",
      "connect by a name that is in the certificate, or have one made for this name",
    ];
  }
  if (/UnknownIssuer|self.signed|unable to|BadSignature|CaUsed/i.test(message)) {
    return [
      `its certificate is of an authority that is not trusted: ${message}`,
      `let ${setting} name a file with the authority that made it`,
    ];
  }
  return [`no TLS: ${message}`, `see that it speaks TLS there, or leave out ${setting}`];
}

/** Shakes hands over a new connection; returns the certificate that is shown. */
async function handshake({ address, request }: Peer, ca: string, strict: boolean): Promise<PeerCertificate> {
  const { hostname, port } = address;
  const options = { servername: isIP(hostname) ? "" : hostname, ca, rejectUnauthorized: strict };
  const plain = request === undefined ? null : await opened(address);
  const opening: TLSSocket[] = [];
  try {
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("no answer to our TLS")), TIMEOUT_MS);
      const shake = (how: ConnectionOptions) => {
        const tls = connectTls({ ...options, ...how }, () => {
          // Deno says that it is connected before it has judged the certificate; what it refuses is an error later.
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
      // In the very turn in which the answer comes: later, the socket would take what is meant for TLS.
      plain.once("data", (answer: Uint8Array) => {
        if (answer[0] === YES) return shake({ socket: plain, host: hostname });
        clearTimeout(timer);
        reject(new Error("it does not know TLS"));
      });
      plain.write(request!);
    });
  } finally {
    for (const tls of opening) tls.destroy();
    plain?.destroy();
  }
}
