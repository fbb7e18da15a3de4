/**
 * Boots three brokers as they run on AWS, and updates, breaks and replaces them one after another while a simulator
 * sends: at no moment are two away, and no acknowledged record is lost.
 */
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { until as waitUntil } from "../../testing/servers/child.ts";
import { type Change, type Estate, roll } from "../../tasks/deploy/roll.ts";
import { Cluster, type Node } from "../testing/cluster.ts";
import { noMachines } from "../testing/machine.ts";

/** Longest wait, in milliseconds; the machine may be busy. */
const PATIENCE_MS = 600_000;

const why = await noMachines();

/** A machine on which Kafka does not run. */
const BROKEN = { "/etc/systemd/system/kafka.service.d/90-test.conf": "[Service]\nExecStart=\nExecStart=/bin/false\n" };

/** What a broker says at `check ready`; null if it is. */
async function notReady(cluster: Cluster, node: Node): Promise<string | null> {
  return await cluster.machine(node).sh("/usr/local/lib/clickstream/check ready").then(() => null, (error) => {
    return String(error.message).split("\n").slice(1).join(" ");
  });
}

async function allReady(cluster: Cluster): Promise<void> {
  for (const node of cluster.nodes) {
    let said: string | null = "";
    try {
      await waitUntil(
        `kafka-${node} is ready`,
        async () => (said = await notReady(cluster, node)) === null,
        PATIENCE_MS,
      );
    } catch (error) {
      throw new Error(`${(error as Error).message}: ${said}\n${await cluster.machine(node).journal()}`);
    }
  }
}

/** Applies the release of a broker; returns what it says. */
async function apply(cluster: Cluster, node: Node): Promise<string> {
  const machine = cluster.machine(node);
  const from = await machine.sh("date +%s.%N");
  await machine.sh("systemctl start clickstream-apply.service || true");
  return await machine.sh(`journalctl -b -o cat -u clickstream-apply.service --since @${from} --no-pager`);
}

/** What a broker says that had no time to ask the others; on a busy machine this may take longer than its turn. */
const POSTPONED = /waits: (it took until the next broker's turn|the cluster does not answer)/;

/** Applies the release of a broker until it says what is wanted; anything else but a lack of time is an error. */
async function applyUntil(cluster: Cluster, node: Node, wanted: RegExp, postponed = POSTPONED): Promise<string> {
  for (;;) {
    const said = await apply(cluster, node);
    if (wanted.test(said)) return said;
    assert.match(said, postponed);
  }
}

/** Looks at all brokers all the time; tells how many were away at once, at most. */
function watch(cluster: Cluster): { stop(): Promise<number> } {
  let most = 0;
  let stopped = false;
  const watching = (async () => {
    while (!stopped) {
      const answers = await Promise.all(cluster.nodes.map((node) => cluster.metrics(node)));
      most = Math.max(most, answers.filter((text) => text === null).length);
      await setTimeout(300);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await watching;
      return most;
    },
  };
}

/** Records of the topic, by the offsets of all brokers. */
async function records(cluster: Cluster): Promise<number> {
  const ends = new Map<string, number>();
  for (const node of cluster.nodes) {
    const text = await cluster.metrics(node) ?? "";
    for (const [, labels, end] of text.matchAll(/^kafka_log_log_logendoffset\{([^}]*topic="clicks"[^}]*)\} (\S+)$/gm)) {
      const partition = /partition="(\d+)"/.exec(labels!)![1]!;
      ends.set(partition, Math.max(ends.get(partition) ?? 0, Number(end)));
    }
  }
  return [...ends.values()].reduce((sum, end) => sum + end, 0);
}

/** Whether no partition lacks a replica. */
async function inSync(cluster: Cluster): Promise<boolean> {
  const all = await Promise.all(cluster.nodes.map((node) => cluster.metrics(node)));
  return all.every((text) =>
    text !== null && /^kafka_server_replicamanager_underreplicatedpartitions 0\.0$/m.test(text)
  );
}

Deno.test({
  name: `brokers are replaced one after another${why === null ? "" : ` (${why})`}`,
  ignore: why !== null,
  sanitizeOps: false,
  sanitizeResources: false,
}, async (t) => {
  /** Later steps depend on earlier ones. */
  const step = async (name: string, body: () => Promise<void>) => {
    if (!await t.step(name, body)) throw new Error(`${name}: the rest can't be tried`);
  };
  await using cluster = await Cluster.prepare();

  await step("three brokers form a cluster", async () => {
    await Promise.all(cluster.nodes.map((node) => cluster.boot(node)));
    await allReady(cluster);
    await waitUntil("the topic is there", async () => {
      const text = await cluster.machine(1).sh("journalctl -b -o cat -u kafka-setup.service --no-pager");
      return text.includes("topic clicks has its users");
    }, PATIENCE_MS);
    for (const node of cluster.nodes) await cluster.machine(node).sh("systemctl stop clickstream-apply.timer");
    assert.match(await cluster.machine(2).sh("cat /run/dnf.log"), /^install --assumeyes --quiet jq .*\bopenssl\b/m);
  });

  await using load = await cluster.load();
  await step("a new release restarts one broker after another, each once all are in sync", async () => {
    await cluster.release({ retentionHours: 49 });
    const watched = watch(cluster);
    await Promise.all(
      cluster.nodes.map((node) => applyUntil(cluster, node, /runs generation/, /generation \w+ waits: /)),
    );
    assert.equal(await watched.stop(), 1, "brokers that were away at once");
    for (const node of cluster.nodes) {
      assert.match(
        await cluster.machine(node).sh("cat /opt/clickstream/current/server.properties"),
        /^log\.retention\.hours=49$/m,
      );
    }
    assert.ok(await inSync(cluster));
  });

  await step("a broker waits while another is out of sync", async () => {
    await cluster.machine(3).sh("systemctl stop kafka.service");
    await cluster.release({ retentionHours: 50 }, [2]);
    await applyUntil(cluster, 2, /generation \w+ waits: another broker is out of sync in \d+ partitions/);
    await cluster.machine(3).sh("systemctl start kafka.service");
    await allReady(cluster);
    await applyUntil(cluster, 2, /runs generation/);
  });

  await step("a version with which a broker does not run is rolled back, once", async () => {
    await cluster.release({ heapMiB: 1 }, [2]);
    await applyUntil(cluster, 2, /generation \w+ did not get ready within 600 s, and \w+ is back/);
    assert.equal(await notReady(cluster, 2), null);
    await applyUntil(cluster, 2, /did not get ready on this host, and is not tried again/);
    await cluster.release({ retentionHours: 50 });
  });

  /** Replaces machines as `deno task roll` replaces their disks. */
  const estate: Estate & { readonly log: string[] } = {
    log: [],
    async mayStop(host) {
      const machine = cluster.machine(nodeOf(host));
      return await machine.sh("/usr/local/lib/clickstream/check stop").then(
        () => null,
        (error) => String(error.message),
      );
    },
    isReady: (host) => notReady(cluster, nodeOf(host)),
    async put(host, { image }) {
      assert.ok(image === "old" || await inSync(cluster), "the broker before has left partitions out of sync");
      this.log.push(`${host} ${image}`);
      await cluster.lose(nodeOf(host));
      await cluster.boot(nodeOf(host), image === "broken" ? BROKEN : {});
    },
    wait: () => setTimeout(1000),
  };
  const changeTo = (image: string) => (node: Node): Change => ({
    host: `kafka-${node}`,
    from: { machine: "any", image: "old" },
    to: { machine: "any", image },
  });

  await step("machines are replaced one after another, each with the volume of the one before", async () => {
    const watched = watch(cluster);
    await roll(cluster.nodes.map(changeTo("new")), estate, { toStop: 300, toReady: 600 }, () => {});
    assert.equal(await watched.stop(), 1, "brokers that were away at once");
    assert.deepEqual(estate.log.splice(0), ["kafka-1 new", "kafka-2 new", "kafka-3 new"]);
    assert.ok(await inSync(cluster));
  });

  await step("a machine that does not come back is set back, and the others stay as they are", async () => {
    const rolled = roll(cluster.nodes.map(changeTo("broken")), estate, { toStop: 300, toReady: 60 }, () => {});
    await assert.rejects(rolled, /kafka-1 did not get ready on any, broken: .*It is set back and ready; those after/s);
    assert.deepEqual(estate.log.splice(0), ["kafka-1 broken", "kafka-1 old"]);
  });

  await step("every record that was acknowledged is there, once", async () => {
    const acknowledged = await load.stop();
    assert.equal(await records(cluster), acknowledged);
  });
});

function nodeOf(host: string): Node {
  return Number(host.at(-1)) as Node;
}
