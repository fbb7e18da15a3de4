/**
 * Faults of the brokers.
 * @module
 */
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { BINARY, clickstream } from "../servers/binary.ts";
import { Child, freePort, until } from "../servers/child.ts";
import type { Broker } from "../servers/kafka.ts";
import { using } from "../servers/postgres.ts";
import type { Fault, World } from "./fault.ts";

/** Kills a broker, and starts it after a while. */
async function replaced({ random, cluster, topic }: World, broker: Broker): Promise<void> {
  await broker.kill();
  await setTimeout(1000 + random.below(6000));
  await broker.start();
  await cluster.whole(topic);
}

const isCluster = ({ cluster }: World) => cluster.brokers.length >= 3;

/** Faults of brokers. */
export const BROKERS: readonly Fault[] = [
  {
    name: "broker killed",
    does: "kills one broker with SIGKILL",
    ends: "after 1 to 7 s it starts again, and gets back in sync",
    judged: "everything is committed",
    weight: 1,
    possible: isCluster,
    inject: (world) => replaced(world, world.random.pick(world.cluster.brokers)),
  },
  {
    name: "controller change",
    does: "kills the broker that is the active controller with SIGKILL",
    ends: "another one has taken over; after 1 to 7 s the broker starts again, and gets back in sync",
    judged: "everything is committed",
    weight: 1,
    possible: isCluster,
    async inject(world) {
      const { cluster } = world;
      const id = await cluster.controller();
      await replaced(world, cluster.brokers[id - 1]!);
      assert.notEqual(await cluster.controller(), id, "no other broker has become the controller");
    },
  },
  {
    name: "broker frozen",
    does: "freezes one broker with SIGSTOP",
    ends: "after 4 to 15 s it goes on",
    judged: "everything is committed",
    weight: 1,
    async inject({ random, cluster, topic }) {
      const { pid } = random.pick(cluster.brokers);
      Deno.kill(pid, "SIGSTOP");
      await setTimeout(4000 + random.below(11_000));
      Deno.kill(pid, "SIGCONT");
      await cluster.whole(topic);
    },
  },
  {
    name: "all brokers down",
    does: "kills all brokers with SIGKILL",
    ends: "after 1 to 5 s all start again",
    judged: "everything is committed",
    weight: 0.7,
    async inject({ random, cluster, topic }) {
      await Promise.all(cluster.brokers.map((broker) => broker.kill()));
      await setTimeout(1000 + random.below(4000));
      await Promise.all(cluster.brokers.map((broker) => broker.start()));
      await cluster.whole(topic);
    },
  },
  {
    name: "unclean leader election",
    does: "lets a broker without the newest records lead a topic of its own, which has its own service",
    ends: "when all brokers are back",
    judged:
      "that service ends with 1 and names `adopt-topic`, also if the log has grown since; then it counts all of it",
    weight: 0.4,
    possible: isCluster,
    inject: uncleanElection,
  },
];

async function uncleanElection(world: World): Promise<void> {
  const { cluster, postgres, owner, random, topic: main, figures } = world;
  const topic = `${main}-unclean`;
  const database = topic.replaceAll("-", "_");
  const [leader, follower] = [1, 2];
  const [ahead, behind] = [cluster.brokers[leader - 1]!, cluster.brokers[follower - 1]!];
  // The third broker has no replica: it is there to elect.
  await cluster.createTopic(topic, [[leader, follower]], {
    "unclean.leader.election.enable": "true",
    "min.insync.replicas": "1",
  });
  await postgres.primary.server.createDatabase(database);
  const env = {
    ...owner,
    KAFKA_TOPIC: topic,
    KAFKA_GROUP_ID: topic,
    DATABASE_URL: postgres.url(database),
    HTTP_LISTEN: `127.0.0.1:${freePort()}`,
  };
  const does = async (...args: string[]) => {
    const { code, out, err } = await clickstream(args, env);
    assert.equal(code, 0, `${args.join(" ")}: ${out}${err}`);
  };
  const sends = (seed: number) => does("generate", "--fast", "--rate", "100", "--seconds", "2", "--seed", String(seed));
  const offset = () =>
    using(postgres.url(database), async (db) => {
      const { rows } = await db.query<{ n: number }>("select max(next_offset)::float8 as n from clickstream.progress");
      return rows[0]!.n;
    });
  const consumed = () =>
    using(postgres.url(database), async (db) => {
      const { rows } = await db.query<{ n: number }>(
        `select sum(consumed)::float8 as n from (select consumed from clickstream.progress
          union all select consumed from clickstream.former_progress) as both_logs`,
      );
      return rows[0]!.n;
    });
  const committed = async () =>
    await until("all is committed", async () => await offset() >= await cluster.endOf(topic), 60_000, 200);
  const folder = await Deno.makeTempDir({ prefix: "clickstream-chaos-unclean-" });
  await does("migrate");
  await using resources = new AsyncDisposableStack();
  const start = () => resources.use(Child.start(BINARY, ["run"], `${folder}/log`, env));
  const service = start();
  await sends(1);
  await committed();
  await behind.kill();
  await until("the follower is no longer in sync", async () => {
    const [partition] = await cluster.partitionsOf(topic).catch(() => []);
    return partition?.isr.length === 1 && partition.isr[0] === leader;
  });
  await sends(2);
  await committed();
  const [counted, isFrozen] = [await offset(), random.chance(0.5)];
  // While it is frozen, the log grows past what it has read.
  if (isFrozen) Deno.kill(service.pid, "SIGSTOP");
  await ahead.kill();
  await behind.start();
  let lostFrom = 0;
  try {
    await until("the follower leads", async () => (await cluster.partitionsOf(topic))[0]?.leader === follower);
    lostFrom = await cluster.endOf(topic);
    for (let seed = 3; isFrozen && await cluster.endOf(topic) <= counted; seed++) await sends(seed);
    if (isFrozen) Deno.kill(service.pid, "SIGCONT");
    assert.equal(await service.wait(), 1, await service.tail());
    assert.match(await service.tail(200), /adopt-topic/, "the service does not say what to do about the lost records");
  } finally {
    await ahead.start();
  }
  await cluster.whole(main);
  await does("adopt-topic", "--yes");
  const again = start();
  await sends(10);
  await committed();
  assert.equal(await again.end("SIGTERM"), 0, await again.tail());
  // What was counted and lost, and everything that was written since.
  assert.equal(
    await consumed(),
    counted + await cluster.endOf(topic) - lostFrom,
    "records were skipped or counted twice",
  );
  figures.counted.reported++;
  await cluster.deleteTopic(topic);
  await postgres.primary.server.dropDatabase(postgres.url(database));
  await Deno.remove(folder, { recursive: true });
}
