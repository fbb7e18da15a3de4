/**
 * What must be there before anything is created, each with its cure.
 * @module
 */

/** Required programs and their purposes. */
const NEEDED: Readonly<Record<string, string>> = {
  terraform: "creates what the stacks describe; 1.11 or later",
  aws:
    "asks the hosts how they are, and forwards ports to them; AWS's command line, version 2, with its session manager plug-in",
};

/** Reports missing programs. */
export async function missingPrograms(): Promise<string[]> {
  const missing: string[] = [];
  for (const [name, what] of Object.entries(NEEDED)) {
    const found = new Deno.Command("sh", { args: ["-c", `command -v ${name}`], stdout: "null", stderr: "null" });
    if (!(await found.output()).success) missing.push(`${name} is missing: it ${what}`);
  }
  return missing;
}
