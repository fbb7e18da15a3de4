/**
 * How a user's rows are found and erased.
 * @module
 */
import { createHash } from "node:crypto";
import type { Database } from "./database.ts";
import { tableOf } from "../translate/table.ts";
import { VIEWS } from "../views/mod.ts";
import type { View } from "../views/view.ts";

/** By what a user is known who is not to be known any more: SHA-256 of the id, in hexadecimal. */
export function userHash(user: string): string {
  return createHash("sha256").update(user).digest("hex");
}

/** What is left of a refusal that named a forgotten user. */
export const ERASED = "payload = null, detail = 'erased with its user'";

/** True if a view's rows are of one user each, and so go with the user. */
export function isOfUsers({ by }: View): boolean {
  return by.includes("user");
}

/** Erases what is kept by user, in a schema; returns how many rows of each table. */
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

/** The users that a message names which could not be an event. */
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
