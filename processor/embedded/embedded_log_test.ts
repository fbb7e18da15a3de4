/** The embedded log: it fulfils the contract of a source, and its records survive a crash. */
import assert from "node:assert/strict";
import { sourceContract } from "../testing/contracts/source_contract.ts";
import { EmbeddedLog, type Entry } from "./embedded_log.ts";

const TOPIC = "clickstream-events";
const HEAD_BYTES = 13;

function fileOf(folder: string, partition: number): string {
  return `${folder}/${TOPIC}-${partition}.log`;
}

async function inFolder<T>(body: (folder: string) => T | Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-log-" });
  try {
    return await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** One key per partition: the records of that key go there. */
async function keysOf(partitions: number): Promise<readonly string[]> {
  return await inFolder(async (folder) => {
    const log = EmbeddedLog.open(folder, TOPIC, partitions);
    const keys = new Map<number, string>();
    const sizes = () => Array.from({ length: partitions }, (_, p) => Deno.statSync(fileOf(folder, p)).size);
    for (let n = 0; keys.size < partitions; n++) {
      const before = sizes();
      log.append([{ key: `k${n}`, value: null, time: 0, tag: 0 }]);
      keys.set(sizes().findIndex((size, p) => size > before[p]!), `k${n}`);
    }
    await log.close();
    return Array.from({ length: partitions }, (_, p) => keys.get(p)!);
  });
}

sourceContract("embedded log", async (partitions) => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-log-" });
  const keys = await keysOf(partitions);
  let log: EmbeddedLog | null = null;
  return {
    open: () => log = EmbeddedLog.open(folder, TOPIC, partitions),
    append: (partition, records) => {
      log!.append(records.map(({ value, time }) => ({ key: keys[partition]!, value, time, tag: 0 })));
      return Promise.resolve();
    },
    close: () => Deno.remove(folder, { recursive: true }),
  };
});

/** Records that differ in time and tag, and in value where they have one. */
function entries(count: number, from = 0): Entry[] {
  return Array.from({ length: count }, (_, i) => {
    const n = from + i;
    const value = n % 5 === 3 ? null : new TextEncoder().encode("v".repeat(n % 7) + n);
    return { key: `user-${n % 11}`, value, time: 1000 + n, tag: n % 256 };
  });
}

/** All records of a log as text, in the order of their tags. */
function told(log: EmbeddedLog): string[] {
  return [...log.entries()].sort((a, b) => a.tag - b.tag).map(({ value, tag }) => `${tag} ${value}`);
}

function expected(entries: readonly Entry[]): string[] {
  return entries.map(({ value, tag }) => `${tag} ${value}`);
}

Deno.test("an embedded log keeps its records between runs, and appends at its end", () =>
  inFolder(async (folder) => {
    for (let run = 0; run < 4; run++) {
      const log = EmbeddedLog.open(folder, TOPIC, 3);
      assert.equal(log.count, run * 50);
      assert.deepEqual(told(log), expected(entries(run * 50)));
      log.append(entries(30, run * 50));
      log.append([]);
      log.append(entries(20, run * 50 + 30));
      assert.equal(log.count, run * 50 + 50);
      await log.close();
    }
  }));

Deno.test("records of one key go to one partition of an embedded log, in order, in every run", () =>
  inFolder(async (folder) => {
    const keys = ["a", "user-1", "ключ", "", "💥".repeat(50)];
    const text = new TextEncoder();
    for (let run = 0; run < 2; run++) {
      const log = EmbeddedLog.open(folder, TOPIC, 4);
      for (let n = 0; n < 20; n++) {
        log.append(keys.map((key) => ({ key, value: text.encode(`${key} ${run * 20 + n}`), time: 0, tag: 0 })));
      }
      await log.close();
    }
    const log = EmbeddedLog.open(folder, TOPIC, 4);
    const byKey = new Map<string, { readonly partition: number; readonly n: number }[]>();
    log.seek(new Map([0, 1, 2, 3].map((p) => [p, null])));
    for (const { partition, count, bytes, starts, ends } of await log.poll(0)) {
      for (let i = 0; i < count; i++) {
        const value = new TextDecoder().decode(bytes.subarray(starts[i]!, ends[i]!));
        const space = value.lastIndexOf(" ");
        const records = byKey.get(value.slice(0, space)) ?? [];
        byKey.set(value.slice(0, space), [...records, { partition, n: Number(value.slice(space)) }]);
      }
    }
    await log.close();
    assert.equal(byKey.size, keys.length);
    for (const records of byKey.values()) {
      assert.equal(new Set(records.map(({ partition }) => partition)).size, 1);
      assert.deepEqual(records.map(({ n }) => n), Array.from({ length: 40 }, (_, n) => n));
    }
  }));

Deno.test("an embedded log that was cut off at any byte keeps its complete records and accepts more", () =>
  inFolder(async (folder) => {
    const all = entries(6);
    const whole = EmbeddedLog.open(folder, TOPIC, 1);
    whole.append(all);
    await whole.close();
    const bytes = Deno.readFileSync(fileOf(folder, 0));
    const ends = [0];
    for (const { value } of all) ends.push(ends.at(-1)! + HEAD_BYTES + (value?.length ?? 0));
    assert.equal(ends.at(-1), bytes.length);
    for (let cut = 0; cut <= bytes.length; cut++) {
      Deno.writeFileSync(fileOf(folder, 0), bytes.subarray(0, cut));
      const kept = ends.filter((end) => end <= cut).length - 1;
      const torn = EmbeddedLog.open(folder, TOPIC, 1);
      assert.equal(torn.count, kept, `cut off at byte ${cut}`);
      assert.equal(Deno.statSync(fileOf(folder, 0)).size, ends[kept], "what is left of a record is gone");
      torn.append(entries(3, 100));
      await torn.close();
      const mended = EmbeddedLog.open(folder, TOPIC, 1);
      assert.deepEqual(told(mended), expected([...all.slice(0, kept), ...entries(3, 100)]));
      await mended.close();
    }
  }));

Deno.test("an embedded log keeps what it has appended when its process is killed at any moment", () =>
  inFolder(async (folder) => {
    const module = new URL("embedded_log.ts", import.meta.url);
    const program = `
      const { EmbeddedLog } = await import("${module}");
      const log = EmbeddedLog.open("${folder}", "${TOPIC}", 2);
      const said = new Uint8Array(4);
      for (let n = 0;; n += 10) {
        log.append(Array.from({ length: 10 }, (_, i) => (
          { key: String(i), value: new Uint8Array(200).fill((n + i) % 251), time: n + i, tag: 0 }
        )));
        new DataView(said.buffer).setUint32(0, n + 10);
        Deno.stdout.writeSync(said);
      }
    `;
    const child = new Deno.Command(Deno.execPath(), { args: ["eval", "-q", program], stdout: "piped" }).spawn();
    const confirmed = await killedAfter(child, 20_000);
    const log = EmbeddedLog.open(folder, TOPIC, 2);
    assert.ok(log.count >= confirmed, `${log.count} records are left of ${confirmed} that were appended`);
    const times: number[][] = [[], []];
    log.seek(new Map([[0, null], [1, null]]));
    for (let polled = await log.poll(0); polled.length > 0; polled = await log.poll(0)) {
      for (const records of polled) {
        for (let i = 0; i < records.count; i++) {
          const value = records.bytes.subarray(records.starts[i]!, records.ends[i]!);
          const time = records.times[i]!;
          assert.ok(value.length === 200 && value.every((byte) => byte === time % 251), `the record of time ${time}`);
          times[records.partition]!.push(time);
        }
      }
    }
    await log.close();
    const sorted = times.flat().sort((a, b) => a - b);
    for (let n = 0; n < confirmed; n++) assert.equal(sorted[n], n);
    for (const of of times) assert.deepEqual(of, of.toSorted((a, b) => a - b));
  }));

/** Kills a program that writes big-endian numbers once it has written one of at least `enough`; returns that number. */
async function killedAfter(child: Deno.ChildProcess, enough: number): Promise<number> {
  const said: number[] = [];
  try {
    for await (const bytes of child.stdout) {
      said.push(...bytes);
      const whole = said.length - said.length % 4;
      const last = new DataView(Uint8Array.from(said.slice(whole - 4, whole)).buffer);
      if (whole >= 4 && last.getUint32(0) >= enough) return last.getUint32(0);
      said.splice(0, whole);
    }
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
  throw new Error("the program ended by itself");
}

Deno.test("an embedded log has an id, and one without an id gets one when it is opened", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const id = async () => {
      const log = EmbeddedLog.open(folder, "clicks", 2);
      await log.close();
      return log.topicId();
    };
    const first = await id();
    assert.match(first, /^[\w-]{22}$/);
    assert.equal(await id(), first);
    await Deno.remove(`${folder}/clicks.id`);
    const second = await id();
    assert.notEqual(second, first);
    assert.equal(await id(), second);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
