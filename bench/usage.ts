/**
 * Resource usage of processes, from Linux's /proc.
 * @module
 */

/** Clock ticks of `/proc` per second; 100 on every Linux. */
const TICKS = 100;

/** CPU time of a process with its threads, in seconds. */
export async function processCpuSeconds(pid: number): Promise<number> {
  const [user, system] = await ticks(pid);
  return (user + system) / TICKS;
}

/** CPU time of a process and its children, ended ones included, in seconds. */
export async function treeCpuSeconds(pid: number): Promise<number> {
  let sum = (await ticks(pid)).reduce((total, n) => total + n, 0) / TICKS;
  const tasks = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`).catch(() => "");
  for (const child of tasks.split(" ").filter((text) => text !== "")) {
    sum += await treeCpuSeconds(Number(child)).catch(() => 0);
  }
  return sum;
}

/** Peak RSS of a process, in MB. */
export async function residentPeakMb(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)![1]) / 1000;
}

/** User and system time of a process, and of its ended children. */
async function ticks(pid: number): Promise<[number, number, number, number]> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
  return [fields[11]!, fields[12]!, fields[13]!, fields[14]!];
}
