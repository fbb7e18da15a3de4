/**
 * Cores and memory that this process may use.
 * @module
 */

/** Cores and memory. */
export interface Machine {
  readonly cores: number;
  /** Memory of the machine, or the limit of the process's control group if that is lower, in bytes. */
  readonly memoryBytes: number;
}

/** Cores and memory that this process may use. */
export function machine(): Machine {
  const memoryBytes = Math.min(Deno.systemMemoryInfo().total, ...memoryLimits("/proc/self/cgroup", "/sys/fs/cgroup"));
  return { cores: navigator.hardwareConcurrency, memoryBytes };
}

/**
 * The memory limits, in bytes, of the control groups in `membership` and of their parents, for both versions of control
 * groups.
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
  // Without a limit, the file contains `max`, or a number larger than any memory.
  return groups.map((file) => textOf(file).trim()).filter((text) => /^\d+$/.test(text)).map(Number);
}

/** Paths of a file in the folder of a group and in its parents. */
function foldersTo(mount: string, path: string, file: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== "..");
  return Array.from({ length: parts.length + 1 }, (_, n) => [mount, ...parts.slice(0, n), file].join("/"));
}

function textOf(file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch {
    // There are no control groups, or this process may not see them.
    return "";
  }
}
