import assert from "node:assert/strict";
import { Activity } from "../status/activity.ts";
import type { Sample } from "../status/sampler.ts";
import type { Front, ShopReport } from "../status/shop.ts";
import { until } from "../../testing/servers/child.ts";
import { Live } from "./live.ts";

const FRONT: Front = { partitions: [], gaps: 0, watermark: null, latest: null, forgotten: [] };
const NOTHING: ShopReport = {
  asOf: null,
  watermark: null,
  currency: { code: null, digits: 2 },
  activeUsers: null,
  conversion: null,
  revenue: null,
  topPages: [],
  windows: [],
  refusals: [],
};

/** A sample of an event at this offset of partition 0. */
function sampleAt(offset: number): Sample {
  const event = { type: "search", user: "ann", page: "/", device: "mobile", region: "DE" };
  return { partition: 0, offset, time: offset, ...event, revenueCents: 0, reason: null, detail: null };
}

/** A live status whose tables hold what `front` returns, and a way to look at its stream. */
function watched(front: () => Promise<Front>) {
  const live = new Live({
    about: { version: "0", instance: "here", topic: "clicks", startedAt: Date.now(), settings: {} },
    activity: new Activity(() => Date.now()),
    open: () => Promise.resolve({ front, report: () => Promise.resolve(NOTHING), close: () => Promise.resolve() }),
    watched: () => {},
  });
  /** Connects a client; `recent` is the offsets of each `recent` message, `end` disconnects it. */
  const look = () => {
    const reader = live.stream()!.getReader();
    let text = "";
    const reading = (async () => {
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        text += new TextDecoder().decode(read.value);
      }
    })();
    return {
      recent: () =>
        [...text.matchAll(/^event: recent\ndata: (.*)$/gm)].map(([, data]) =>
          (JSON.parse(data!) as Sample[]).map(({ offset }) => offset)
        ),
      events: () => /^event: events$/m.test(text),
      end: async () => {
        await reader.cancel();
        await reading;
      },
    };
  };
  return {
    live,
    look,
    sample: (...offsets: number[]) => live.take({ kind: "sampled", samples: offsets.map(sampleAt) }),
  };
}

Deno.test("keeps the latest events for clients that come later, and shows each only once", async () => {
  const { live, look, sample } = watched(() => Promise.resolve(FRONT));
  sample(1, 2);
  sample(3);
  const first = look();
  await until("the first client has them", () => first.recent().length === 1, 5000, 5);
  assert.deepEqual(first.recent(), [[1, 2, 3]]);
  const second = look();
  await until("the second client has them", () => second.recent().length === 1, 5000, 5);
  sample(4);
  await until("a new event is sent", () => second.events(), 5000, 5);
  assert.deepEqual([first.recent(), second.recent()], [[[1, 2, 3]], [[1, 2, 3]]]);
  await first.end();
  await second.end();
  const later = look();
  await until("the next client has them", () => later.recent().length === 1, 5000, 5);
  assert.deepEqual(later.recent(), [[1, 2, 3, 4]]);
  await later.end();
  await live.close();
});

Deno.test("shows no kept event that may be a forgotten user's, nor any before the tables were asked", async () => {
  let forgotten: Front["forgotten"] = [[0, 3]];
  let isDown = true;
  const { live, look, sample } = watched(() =>
    isDown ? Promise.reject(new Error("down")) : Promise.resolve({ ...FRONT, forgotten })
  );
  sample(1, 2, 3, 4);
  const client = look();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(client.recent(), []);
  isDown = false;
  await until("they are sent", () => client.recent().length === 1, 5000, 5);
  assert.deepEqual(client.recent(), [[3, 4]]);
  forgotten = [[0, 4]];
  await until("fewer are sent", () => client.recent().length === 2, 5000, 5);
  assert.deepEqual(client.recent(), [[3, 4], [4]]);
  live.take({
    kind: "started",
    partitions: new Map(),
    cause: { kind: "user_forgotten", message: "a user was forgotten" },
  });
  await until("none is left", () => client.recent().length >= 3, 5000, 5);
  assert.deepEqual(client.recent()[2], []);
  const later = look();
  await until("a later client is told", () => later.recent().length >= 1, 5000, 5);
  assert.deepEqual(later.recent()[0], []);
  await later.end();
  await client.end();
  await live.close();
});
