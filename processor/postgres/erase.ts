/**
 * Finds and erases the rows of a user.
 * @module
 */
import { createHash } from "node:crypto";
import type { Database } from "./database.ts";
import { tableOf } from "../translate/table.ts";
import { VIEWS } from "../views/mod.ts";
import type { View } from "../views/view.ts";

/** What is kept of the id of a forgotten user: its SHA-256, in hexadecimal. */
export function userHash(user: string): string {
  return createHash("sha256").update(user).digest("hex");
}

/** SQL that erases a refusal that names a forgotten user. */
export const ERASED = "payload = null, detail = 'erased with its user'";

/** True if each row of a view belongs to one user, and is therefore erased with the user. */
export function isOfUsers({ by }: View): boolean {
  return by.includes("user");
}

/** Erases the rows of users in the views of a schema; returns the number of erased rows by view. */
export async function eraseRows(
  tx: Database,
  schema: string,
  users: readonly string[],
  views: readonly View[] = VIEWS,
): Promise<Readonly<Record<string, number>>> {
  const erased: Record<string, number> = {};
  if (users.length === 0) return erased;
  for (const view of views.filter(isOfUsers)) {
    const { rowCount } = await tx.query(
      `delete from ${schema}.${tableOf(view).name}
        where user_id = any (array(select jsonb_array_elements_text($1::jsonb)))`,
      [JSON.stringify(users)],
    );
    erased[view.name] = rowCount;
  }
  return erased;
}

/** The user ids that the payload of a refusal contains. */
export function usersIn(payload: Uint8Array): string[] {
  const text = new TextDecoder().decode(payload);
  return [...text.matchAll(/"userId"\s*:\s*("(?:[^"\\]|\\.)*")/g)].flatMap(([, quoted]) => {
    try {
      return [JSON.parse(quoted!) as string];
    } catch {
      return [];
    }
  });
}
