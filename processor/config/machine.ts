/**
 * What this process may use of its machine.
 * @module
 */

/** Cores and memory. */
export interface Machine {
  readonly cores: number;
  /** The machine's memory, or the limit of the process's control group where that is lower; in bytes. */
  readonly memoryBytes: number;
}

/** Cores and memory that this process may use. */
export function machine(): Machine {
  const memoryBytes = Math.min(Deno.systemMemoryInfo().total, ...memoryLimits("/proc/self/cgroup", "/sys/fs/cgroup"));
  return { cores: navigator.hardwareConcurrency, memoryBytes };
}

/**
 * The memory limits, in bytes, of the control groups that `membership` lists, and of all above them; both versions of
 * control groups.
 *
 * @param membership file such as `/proc/self/cgroup`
 * @param mount folder such as `/sys/fs/cgroup`
 */
export function memoryLimits(membership: string, mount: string): number[] {
  const groups = textOf(membership).split("\n").flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) return [];
    if (controllers === "") return foldersTo(mount, path, "memory.max");
    return controllers!.split(",").includes("memory")
      ? foldersTo(`${mount}/memory`, path, "memory.limit_in_bytes")
      : [];
  });
  // Without a limit it says `max`, or a number beyond all memory.
  return groups.map((file) => textOf(file).trim()).filter((text) => /^\d+$/.test(text)).map(Number);
}

/** A file in the folder of a group, and in those above it. */
function foldersTo(mount: string, path: string, file: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== "..");
  return Array.from({ length: parts.length + 1 }, (_, n) => [mount, ...parts.slice(0, n), file].join("/"));
}

function textOf(file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch {
    // No control groups here, or none that this process may see.
    return "";
  }
}
