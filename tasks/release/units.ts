/**
 * The units of packages: those of the hosts on AWS, with the program and the settings where packages have them.
 * @module
 */

import { describeSettings } from "../../processor/config/settings_shown.ts";

const UNITS = new URL("../../infra/hosts/units/", import.meta.url);

/** The services of packages. */
export const SERVICES = ["clickstream.service", "clickstream-migrate.service", "clickstream-maintain.service"] as const;

const TIMER = "clickstream-maintain.timer";

/** What is started at boot. */
export const ENABLED = ["clickstream.service", TIMER] as const;

/** Where the service finds secrets besides the database's; a file that is missing is no error. */
const CREDENTIALS = describeSettings().filter(({ name, secret }) => secret && !name.startsWith("DATABASE_"))
  .map(({ name }) => `LoadCredential=${name}:clickstream.${name}`).join("\n");

/** What only the hosts on AWS have: their scripts get the administrator's secret and create the users of the database. */
const OF_HOSTS =
  /^(# Only hosts on AWS have it\.|(Requires|After)=clickstream-administrator\.service|ExecStart=\/usr\/local\/lib\/clickstream\/database-users|EnvironmentFile=-.*\/(database|administrator\/environment)|LoadCredential=(pgpass|database-\w+):.*)\n/gm;

/**
 * The units by their paths below systemd's folder, for a program at `program`. Settings come from
 * `/etc/clickstream/clickstream.env`, secrets from files such as `/etc/credstore/clickstream.DATABASE_URL`.
 */
export function packagedUnits(program: string): ReadonlyMap<string, string> {
  const units = new Map([[TIMER, read(TIMER)]]);
  for (const name of SERVICES) {
    const unit = read(name)
      .replaceAll(OF_HOSTS, "")
      .replaceAll("/opt/clickstream/current/clickstream ", `${program} `)
      .replaceAll("/opt/clickstream/current/environment", "/etc/clickstream/clickstream.env")
      .replaceAll(/^(LoadCredential=\w+:)\/run\/clickstream\/(?:secrets|administrator)\//gm, "$1clickstream.")
      .replace(/^LoadCredential=KAFKA_SASL_PASSWORD:.*$/m, CREDENTIALS);
    const left = /\/(?:opt|run|usr\/local\/lib)\/clickstream\S*/.exec(unit);
    if (left !== null) throw new Error(`${name} names ${left[0]}, which only hosts on AWS have`);
    units.set(name, name === "clickstream.service" ? `${unit}\n[Install]\nWantedBy=multi-user.target\n` : unit);
    units.set(`${name}.d/10-sandbox.conf`, read("sandbox.conf"));
  }
  return units;
}

function read(name: string): string {
  return Deno.readTextFileSync(new URL(name, UNITS));
}
