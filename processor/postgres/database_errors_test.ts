import assert from "node:assert/strict";
import type { NotReadyKind } from "../pipeline/causes.ts";
import { databaseError, type Origin } from "./database_errors.ts";

/** The kind of an error with this code; fails if it depends on the message. */
function kindOf(code: string | null, origin: Origin = {}): NotReadyKind {
  const said = ["", "could not connect", "terminating connection", "no answer", "x"];
  const kinds = said.map((message) =>
    databaseError(Object.assign(new Error(message), { code }), "run a statement on PostgreSQL", origin).kind
  );
  assert.equal(new Set(kinds).size, 1, `${code}: ${kinds}`);
  return kinds[0]!;
}

Deno.test("PostgreSQL is unreachable if a connection cannot be made, or has ended", () => {
  for (const code of [null, "ECONNRESET", "EPIPE", "08006", "57P01", "57P02", "57P03", "57P05", "25P03", "25P04"]) {
    assert.equal(kindOf(code), "postgres_unreachable", `${code}`);
  }
  for (const code of ["28P01", "3D000", "53300"]) {
    assert.equal(kindOf(code, { connecting: true }), "postgres_unreachable", code);
  }
});

Deno.test("PostgreSQL refuses if it answers with an error", () => {
  for (const code of ["53100", "57014", "55P03", "40P01", "40001", "58030", "25006", "42501", "22021", "23505"]) {
    assert.equal(kindOf(code), "postgres_refuses", code);
  }
  assert.equal(kindOf(null, { embedded: true }), "postgres_refuses");
});
