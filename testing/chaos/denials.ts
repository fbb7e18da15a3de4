/**
 * PostgreSQL answers, and denies what the service needs: rights, logins, connections, writes, locks.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { using } from "../servers/postgres.ts";
import type { Fault, World } from "./fault.ts";
import { SERVICE } from "./pair.ts";

/** A fault that statements of the superuser begin and end. `sessions` says whether open sessions end at both times. */
function denied(
  named: Pick<Fault, "name" | "does" | "weight">,
  sessions: boolean,
  statements: (world: World) => readonly [begin: string, end: string],
): Fault {
  return {
    ...named,
    ends: "after 1 to 6 s, when it is undone",
    judged: "everything is committed, and the service does not end",
    async inject(world) {
      const { random, postgres, database } = world;
      const [begin, end] = statements(world);
      const does = (sql: string) =>
        using(postgres.url(database), async (db) => {
          await db.exec(sql);
          if (sessions) {
            await db.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", [SERVICE.name]);
          }
        });
      try {
        await does(begin);
        await setTimeout(1000 + random.below(5000));
      } finally {
        await does(end);
      }
    },
  };
}

const TABLES = ["progress", "events", "sessions", "traffic", "user_days", "refusals"];

/** Denials. */
export const DENIALS: readonly Fault[] = [
  denied(
    { name: "read-only", does: "makes the database read-only, and ends all sessions", weight: 1 },
    true,
    ({ database }) => [
      `alter database ${database} set default_transaction_read_only to on`,
      `set transaction read write; alter database ${database} reset default_transaction_read_only`,
    ],
  ),
  denied(
    { name: "rights revoked", does: "revokes the right to write one table", weight: 1 },
    false,
    ({ random }) => {
      const table = `clickstream.${random.pick(TABLES)}`;
      return [
        `revoke insert, update on ${table} from clickstream_writer`,
        `grant insert, update on ${table} to clickstream_writer`,
      ];
    },
  ),
  denied(
    { name: "password changed", does: "changes the password of the service's role, and ends its sessions", weight: 1 },
    true,
    () => [
      `alter role ${SERVICE.name} password 'another'`,
      `alter role ${SERVICE.name} password '${SERVICE.password}'`,
    ],
  ),
  denied(
    { name: "login revoked", does: "takes the login from the service's role, and ends its sessions", weight: 0.5 },
    true,
    () => [`alter role ${SERVICE.name} nologin`, `alter role ${SERVICE.name} login`],
  ),
  denied(
    { name: "connection limit", does: "allows the service's role one connection, and ends its sessions", weight: 1 },
    true,
    () => [`alter role ${SERVICE.name} connection limit 1`, `alter role ${SERVICE.name} connection limit -1`],
  ),
  {
    name: "lock held",
    does: "holds an exclusive lock on one table that the service writes",
    ends: "after 1 to 24 s, which may be longer than the service waits for a lock",
    judged: "everything is committed",
    weight: 1,
    async inject({ random, postgres, database }) {
      await using(postgres.url(database), (db) =>
        db.transaction(async (tx) => {
          await tx.exec(`lock table clickstream.${random.pick(TABLES)} in access exclusive mode`);
          await setTimeout(1000 + random.below(random.chance(0.3) ? 23_000 : 4000));
        }));
    },
  },
];
