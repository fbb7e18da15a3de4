/**
 * How the service uses glibc's allocator, as its unit says: whatever runs the program as a service sets the same.
 * @module
 */
const UNIT = new URL("units/clickstream.service", import.meta.url);

/** Environment variables of `clickstream.service` that glibc reads, by name. Fails if there are none. */
export function allocatorSettings(): Readonly<Record<string, string>> {
  const settings = [...Deno.readTextFileSync(UNIT).matchAll(/^Environment=(MALLOC_\w+)=(\S+)$/gm)]
    .map(([, name, value]) => [name!, value!] as const);
  if (settings.length === 0) throw new Error("clickstream.service sets no variable of the allocator");
  return Object.fromEntries(settings);
}
