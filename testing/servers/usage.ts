/**
 * Resource usage of processes and of the machine, from Linux's /proc, and the machine's speed.
 * @module
 */
import { cpuUsage } from "node:process";

/** Clock ticks of `/proc` per second; 100 on every Linux. */
const TICKS = 100;

/** CPU time of a process with its threads, in seconds. */
export async function processCpuSeconds(pid: number): Promise<number> {
  const [user, system] = await ticks(pid);
  return (user + system) / TICKS;
}

/** CPU time of a process and its children, ended ones included, in seconds. */
export async function treeCpuSeconds(pid: number): Promise<number> {
  while (true) {
    const before = await ticks(pid);
    let children = 0;
    for await (const { name: thread } of Deno.readDir(`/proc/${pid}/task`)) {
      const pids = await Deno.readTextFile(`/proc/${pid}/task/${thread}/children`).catch(() => "");
      for (const child of pids.split(" ").filter((text) => text !== "")) {
        children += await treeCpuSeconds(Number(child)).catch(() => 0);
      }
    }
    const after = await ticks(pid);
    // If a child ended meanwhile, it may be missing in both.
    if (before[2] !== after[2] || before[3] !== after[3]) continue;
    return after.reduce((total, n) => total + n, 0) / TICKS + children;
  }
}

/** Peak RSS of a process, in MB. */
export async function residentPeakMb(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)![1]) / 1000;
}

/** What a process holds at a moment. */
export interface Footprint {
  readonly rssMb: number;
  /** Memory that it shares with nobody, in MB. */
  readonly privateMb: number;
  /** Open files, sockets and pipes. */
  readonly handles: number;
  readonly threads: number;
}

/** What a process holds now. */
export async function footprintOf(pid: number): Promise<Footprint> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
  const handles = [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
  return { rssMb: of("VmRSS") / 1000, privateMb: of("RssAnon") / 1000, handles, threads: of("Threads") };
}

/** User and system time of a process, and of its ended children. */
async function ticks(pid: number): Promise<[number, number, number, number]> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
  return [fields[11]!, fields[12]!, fields[13]!, fields[14]!];
}

/** A machine. */
export interface Machine {
  readonly cores: number;
  readonly model: string;
  readonly memoryMb: number;
}

/** This machine. */
export async function thisMachine(): Promise<Machine> {
  const [, model] = /^model name\s*: (.+)$/m.exec(await Deno.readTextFile("/proc/cpuinfo")) ?? [];
  return {
    cores: navigator.hardwareConcurrency,
    model: model ?? Deno.build.arch,
    memoryMb: Math.round(Deno.systemMemoryInfo().total / 1e6),
  };
}

/** Load of the machine over a time. */
export interface MachineLoad {
  /** Cores that neither this process nor its children used, on average; what a hypervisor took counts, too. */
  readonly othersCores: number;
  /** Load average of the last minute, at the end. */
  readonly loadAverage: number;
}

/** Begins to watch the load; the returned function ends it. */
export async function watchLoad(): Promise<() => Promise<MachineLoad>> {
  const before = await usedSeconds();
  const sinceMs = performance.now();
  return async () => {
    const after = await usedSeconds();
    const seconds = (performance.now() - sinceMs) / 1000;
    return {
      // Ticks are rounded, so the difference may be slightly below 0.
      othersCores: Math.max(0, (after.all - before.all - (after.own - before.own)) / seconds),
      loadAverage: Deno.loadavg()[0]!,
    };
  };
}

async function usedSeconds(): Promise<{ readonly all: number; readonly own: number }> {
  return { all: busySeconds(await Deno.readTextFile("/proc/stat")), own: await treeCpuSeconds(Deno.pid) };
}

/** CPU seconds that all processes and the hypervisor have used since the start, from the text of `/proc/stat`. */
export function busySeconds(stat: string): number {
  const [user, nice, system, _idle, _ioWait, irq, softIrq, steal] = /^cpu +(.+)$/m.exec(stat)![1]!.split(" ").map(
    Number,
  );
  return (user! + nice! + system! + irq! + softIrq! + steal!) / TICKS;
}

/** Work of the calibration, chosen to take about 0.3 s. */
const ROUNDS = 500_000;
const BYTES = 8 << 20;

/**
 * CPU time in milliseconds of a fixed piece of work: it parses JSON and reads memory at random places, as this project
 * does. It depends on the machine and its load, but not on the project's code.
 */
export function calibrate(): number {
  const record = JSON.stringify({ userId: "user-1", eventType: "page_view", page: "/products/1", price: 1.99, n: 1 });
  const bytes = new Uint8Array(BYTES).map((_, i) => i);
  const before = cpuUsage();
  let sum = 0;
  for (let n = 0; n < ROUNDS; n++) {
    sum += (JSON.parse(record) as { readonly n: number }).n;
    for (let i = 0; i < 32; i++) sum = Math.imul(sum ^ bytes[(sum >>> 0) % BYTES]!, 0x01000193) + i;
  }
  const { user, system } = cpuUsage(before);
  // Uses the sum, so that the work is not optimised away.
  return Number.isNaN(sum) ? NaN : (user + system) / 1000;
}
