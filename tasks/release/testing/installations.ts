/**
 * What must hold of a host on which a release is installed, upgraded and removed.
 * @module
 */
import assert from "node:assert/strict";
import { startPostgres } from "../../../testing/servers/postgres.ts";
import type { Host } from "./host.ts";

/** A kind of package. */
export interface PackageKind {
  readonly name: string;
  /** Its section of docs/install.md. */
  readonly section: string;
  /** Changes to the section's commands. */
  readonly instead: Readonly<Record<string, string>>;
  /** Further changes when they upgrade. */
  readonly upgrading: Readonly<Record<string, string>>;
  /** Removes what removal leaves. */
  readonly purge: string;
}

/** Kinds of packages. */
export const PACKAGES: readonly PackageKind[] = [
  {
    name: "deb",
    section: "Debian and Ubuntu",
    instead: {},
    // As the page says for whoever cannot be asked.
    upgrading: { "install -y": "install -y -o Dpkg::Options::=--force-confold" },
    purge: "apt-get purge -y clickstream",
  },
  {
    name: "rpm",
    section: "Red Hat's family",
    // Debian's database of packages is not RPM's.
    instead: { "rpm -U": "rpm --nodeps -U" },
    upgrading: {},
    purge: "rm -r /etc/clickstream",
  },
];

/** Files that a removed package may leave. */
const REMNANTS =
  "find / -xdev -name '*clickstream*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/root/*' -not -path '/tmp/*' " +
  "-not -path '/var/lib/dpkg/*' -not -path '/var/lib/systemd/timers/*' -not -path '/var/log/*' -not -path '/var/cache/*' -not -path '/run/*'";

/** Installs the archive and uses it as a service, as the page says. */
export async function installArchive(host: Host): Promise<void> {
  assert.match(await host.does("Archive 1"), /All \d+ figures agree/);
  await composeLogins(host);
  await host.does("Archive 2");
  await unconfigured(host);
  await host.fresh("archive");
  await host.configure();
  await host.runs("1.0.0");
  await host.count();
  await host.does("Archive 3");
  await host.kept();
  await host.sh("rm -r /etc/clickstream");
  assert.equal(await host.sh(REMNANTS), "");
}

/** Installs a package, configures, upgrades and removes it, as the page says. */
export async function installPackage(
  host: Host,
  { name, section, instead, upgrading, purge }: PackageKind,
  serveNext: () => void,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<void> {
  const said = await host.does(`${section} 1`, instead);
  assert.match(said, /installed, and not configured: it has no database/);
  await unconfigured(host);
  await settingsAreClosed(host);
  await host.fresh(name);
  await host.configure();
  await host.runs(from);
  assert.equal(await host.machine.property("clickstream-maintain.timer", "ActiveState"), "active");
  await host.sh("systemctl start clickstream-maintain.service");
  await host.count();

  const settings = await host.sh("sha256sum /etc/clickstream/clickstream.env");
  serveNext();
  await host.does(`${section} 1`, { ...instead, ...upgrading, [from]: to });
  assert.equal(await host.sh("sha256sum /etc/clickstream/clickstream.env"), settings);
  await host.runs(to);
  await settingsAreClosed(host);
  await host.count();

  await twoLogins(host);
  await host.count();

  await host.does(`${section} 2`);
  assert.equal(await host.machine.property("clickstream.service", "ActiveState"), "inactive");
  assert.match(await host.sh("cat /etc/clickstream/clickstream.env*"), /^KAFKA_BROKERS=/m);
  await host.kept();
  await host.sh(purge);
  assert.equal(await host.sh(REMNANTS), "");
}

/** The secrets of compose.yaml, and that PostgreSQL accepts them once its scripts have run. */
async function composeLogins(host: Host): Promise<void> {
  await host.does("Compose 1");
  const here = "cd /root/clickstream-1.0.0/compose";
  await host.sh(`${here} && mkdir -p /run/secrets && cp secrets/* /run/secrets/`);
  // Roles belong to a server, and the owner must be the one that makes them.
  await using server = await startPostgres({ passwords: true });
  const admin = await server.createDatabase("clickstream");
  const as = (user: string, password: string) => server.urlFor(user, password, "clickstream");
  await host.sh(`${here} && psql --quiet '${admin}' --file=owner.sql`);
  const password = async (login: string) => await host.sh(`cat /run/secrets/${login}-password`);
  const migrate = `DATABASE_URL='${as("clicks_owner", await password("owner"))}' ../clickstream migrate`;
  await host.sh(`${here} && ${migrate}`);
  // Both may run again.
  for (let n = 0; n < 2; n++) {
    await host.sh(`${here} && psql --quiet '${admin}' --set=ON_ERROR_STOP=1 --file=logins.sql`);
  }
  for (
    const [login, secret, may] of [["clicks_service", "service", "insert"], ["grafana", "grafana", "select"]] as const
  ) {
    const asked = `select has_table_privilege('clickstream.traffic', '${may}')`;
    const ask = (word: string) => host.sh(`psql --no-align --tuples-only '${as(login, word)}' --command="${asked}"`);
    assert.equal(await ask(await password(secret)), "t", login);
    await assert.rejects(ask("another"), /password authentication failed/, login);
  }
}

/** Gives the service a login of its own, from files that only root can read, and allows it an address. */
async function twoLogins(host: Host): Promise<void> {
  const { service, owner } = await host.createLogins();
  await host.sh("sed -i '/^DATABASE_URL=/d' /etc/clickstream/clickstream.env");
  await host.does("Configure 2", { $SERVICE_URL: service, $OWNER_URL: owner });
  await host.does("Configure 3");
  await host.machine.active("clickstream.service");
  assert.match(await host.machine.property("clickstream.service", "IPAddressAllow"), /198\.51\.100\.7/);
  assert.equal(await host.machine.property("clickstream-migrate.service", "Result"), "success");
  assert.deepEqual(await host.users(), [new URL(service).username]);
  await host.sh("rm -r /etc/systemd/system/clickstream.service.d /etc/credstore/clickstream.*");
}

/** A service that is not configured starts at boot, and says what is missing. */
async function unconfigured(host: Host): Promise<void> {
  for (const unit of ["clickstream.service", "clickstream-maintain.timer"]) {
    assert.equal(await host.machine.property(unit, "UnitFileState"), "enabled", unit);
    assert.equal(await host.machine.property(unit, "ActiveState"), "inactive", unit);
  }
  await assert.rejects(host.sh("systemctl start clickstream.service"));
  assert.equal(await host.machine.property("clickstream.service", "ExecMainStatus"), "2");
  assert.match(await host.journal("clickstream.service"), /DATABASE_URL is not set; it must be postgres:/);
  await host.sh("systemctl reset-failed");
}

/** Root and the group may read the settings, others may not. */
async function settingsAreClosed(host: Host): Promise<void> {
  assert.equal(await host.sh("stat -c '%a %U %G' /etc/clickstream/clickstream.env"), "640 root clickstream");
}
