/**
 * Boots the hosts as they run on AWS: with their user data, set up by their own scripts from a bucket, parameters and
 * secrets. Then uses, kills, updates and breaks them.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { DASHBOARDS } from "../../grafana/mod.ts";
import { run, until as waitUntil } from "../../testing/servers/child.ts";
import { startPostgres, using } from "../../testing/servers/postgres.ts";
import { startCloud } from "../testing/aws.ts";
import { Fleet, PASSWORDS } from "../testing/fleet.ts";
import { type Machine, noMachines } from "../testing/machine.ts";
import { Shops } from "../testing/shops.ts";

/** Longest wait, in milliseconds; the machine may be busy. */
const PATIENCE_MS = 300_000;

async function until(what: string, ready: () => Promise<boolean>): Promise<void> {
  await waitUntil(what, ready, PATIENCE_MS, 250);
}

const BINARY = fileURLToPath(new URL("../../dist/clickstream", import.meta.url));
const why = await noMachines();

/** An unused public address; the test listens there. */
const ELSEWHERE = "198.51.100.7";

/** A file of one declared view, which counts every event. */
const DECLARED = `views:
  - name: by_device
    description: Every event, by device.
    window: 5 minutes
    keys: [device]
    measures: { clicks: count }
`;

/** Its line in `systemctl status`. */
async function status(processor: Machine): Promise<string> {
  return await processor.property("clickstream.service", "StatusText");
}

interface Elsewhere extends AsyncDisposable {
  readonly port: number;
}

/** Starts a server at an address that is neither private nor this machine's own. */
async function listenElsewhere(): Promise<Elsewhere> {
  await run("ip", ["addr", "add", `${ELSEWHERE}/32`, "dev", "lo"]);
  const server = Deno.serve({ hostname: ELSEWHERE, port: 0, onListen: () => {} }, () => new Response("here"));
  return {
    port: server.addr.port,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await run("ip", ["addr", "del", `${ELSEWHERE}/32`, "dev", "lo"]);
    },
  };
}

/** Runs shell commands in a copy of the service's unit that only starts something else. */
async function fromInside(processor: Machine, commands: Readonly<Record<string, string>>) {
  const script = Object.values(commands).map((command, n) => `(${command}) >/dev/null 2>&1 && echo did ${n}`).join(
    "\n",
  );
  const unit = "/run/systemd/system/tried.service";
  await processor.sh(`mkdir -p ${unit}.d && cp /etc/systemd/system/clickstream.service.d/* ${unit}.d/`);
  await processor.sh(
    `sed -e 's/^Type=.*/Type=oneshot/; /^Restart=/d; /^Watchdog/d; /^Wants=/d; s,^ExecStart=.*,ExecStart=/bin/sh /opt/tried,' \
    /etc/systemd/system/clickstream.service >${unit}`,
  );
  await processor.sh(`base64 -d >/opt/tried <<'END'\n${btoa(`${script}\nexit 0\n`)}\nEND`);
  await processor.sh("systemctl daemon-reload && systemctl start tried.service");
  const did = new Set((await processor.journal("tried.service")).match(/(?<=^did )\d+$/gm));
  return Object.keys(commands).map((what, n) => ({ what, done: did.has(String(n)) }));
}

async function apply(machine: Machine): Promise<string> {
  const from = await machine.sh("date +%s.%N");
  await machine.sh("systemctl start clickstream-apply.service || true");
  return await machine.sh(`journalctl -b -o cat -u clickstream-apply.service --since @${from} --no-pager`);
}

/** Waits until a host matches its release; retries as its timer would. */
async function settled(machine: Machine): Promise<void> {
  const start = () => machine.sh("systemctl start clickstream-apply.service").then(() => true, () => false);
  try {
    await until(`${machine.name} is as its release says`, start);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${await machine.journal()}`);
  }
}

/** How long a new version may take to become ready, in seconds. */
async function readyWithin(machine: Machine, seconds: number): Promise<void> {
  const folder = "/run/systemd/system/clickstream-apply.service.d";
  await machine.sh(
    `mkdir -p ${folder} && printf '[Service]\nEnvironment=READY_WITHIN=%s\n' ${seconds} >${folder}/90-test.conf`,
  );
  await machine.sh("systemctl daemon-reload");
}

Deno.test({
  name: `hosts boot and work${why === null ? "" : ` (${why})`}`,
  ignore: why !== null,
  // kafkajs leaves timers behind.
  sanitizeOps: false,
  sanitizeResources: false,
}, async (t) => {
  /** Later steps depend on earlier ones. */
  const step = async (name: string, body: () => Promise<void>) => {
    if (!await t.step(name, body)) throw new Error(`${name}: the rest can't be tried`);
  };
  await using cloud = await startCloud();
  await using server = await startPostgres({ tls: true, passwords: true });
  const fleet = await Fleet.prepare(cloud, server);
  const url = fleet.databaseUrl;
  for (const kind of ["kafka", "processor", "monitoring"] as const) await fleet.release(kind);
  await using kafka = await fleet.boot("kafka");
  await using processor = await fleet.boot("processor");
  await using monitoring = await fleet.boot("monitoring");
  // The timers are stopped: the test says when to look for a new release, and need not wait a minute.
  for (const machine of [kafka, processor, monitoring]) {
    await until(`${machine.name} is set up`, () => {
      return machine.sh("test -e /run/cloud-init/result.json").then(() => true, () => false);
    });
    await machine.sh("systemctl stop clickstream-apply.timer");
  }
  await readyWithin(processor, PATIENCE_MS / 1000);
  await until("the broker has written its certificate", async () => {
    if ((await cloud.parameter(fleet.certificateParameter)).includes("BEGIN CERTIFICATE")) return true;
    // If applying the release failed at boot, the timer would have tried again.
    await kafka.sh("systemctl start clickstream-apply.service").catch(() => {});
    return false;
  });
  const shops = new Shops(await fleet.generator(await Deno.makeTempFile()), url);
  const pid = () => processor.property("clickstream.service", "MainPID");
  const restarts = () => processor.property("clickstream.service", "NRestarts");

  await step("user data is enough: each host becomes what its kind says", async () => {
    await Promise.all([kafka, processor, monitoring].map(settled));
    await kafka.sh("test -e /run/clickstream/kafka-is-set-up");
    await processor.active("clickstream.service");
    for (const unit of ["prometheus", "grafana", "postgres-exporter"]) await monitoring.active(`${unit}.service`);
    for (const machine of [kafka, processor, monitoring]) await machine.active("node-exporter.service");
    await shops.sell(2);
    await shops.counted("the first events");
    await processor.sh("systemctl start clickstream-maintain.service");
    assert.match(
      await processor.journal("clickstream-maintain.service"),
      /^created \d+ partitions of events, up to \d+ days ahead/m,
    );
    await processor.active("clickstream-maintain.timer");
    for (const machine of [kafka, processor, monitoring]) {
      // While the machine was busy, it may have taken too long.
      await machine.sh("systemctl start clickstream-report.service");
      assert.equal(await machine.sh("systemctl --failed --no-legend"), "", machine.name);
    }
  });

  await step("logs go to CloudWatch, and so does the usage of memory and disks", async () => {
    for (const machine of [kafka, processor, monitoring]) {
      await machine.active("amazon-cloudwatch-agent.service");
      const { metrics, logs } = JSON.parse(await machine.sh("cat /run/cloudwatch-agent.json"));
      assert.equal(metrics.namespace, "tests");
      assert.deepEqual(metrics.metrics_collected.disk.resources, ["/"]);
      const { file_path, log_group_name, log_stream_name } = logs.logs_collected.files.collect_list[0];
      assert.deepEqual([log_group_name, log_stream_name], ["/clickstream/tests", machine.name]);
      await until("what is said is in the file", async () => {
        await machine.sh("logger -t tested said by the test");
        return await machine.sh(`grep -c 'tested: said by the test' ${file_path}`).then(() => true, () => false);
      });
    }
  });

  await step("every host tells CloudWatch each minute how it does its work", async () => {
    const expected = {
      kafka: { Ready: 1, UnderReplicated: 0 },
      processor: { Ready: 1, Lag: null, Gaps: 0 },
      monitoring: { Ready: 1, "Alerts-critical": null, "Alerts-warning": null },
    };
    for (const machine of [kafka, processor, monitoring]) {
      await machine.active("clickstream-report.timer");
      const kind = machine.name.slice(0, -2) as keyof typeof expected;
      for (const [metric, value] of Object.entries(expected[kind])) {
        await until(`${machine.name} reports ${metric} ${value ?? ""}`, async () => {
          await machine.sh("systemctl start clickstream-report.service");
          const found = await cloud.reported("tests", metric, machine.name);
          return value === null ? found !== null : found === value;
        });
      }
      assert.equal(
        await machine.sh("/usr/local/lib/clickstream/check stop && /usr/local/lib/clickstream/check ready"),
        "",
      );
    }
  });

  await step("Prometheus reaches every target, and every target answers", async () => {
    await until(
      "all targets are up",
      async () => {
        // Started does not mean listening.
        const answer = await fetch(`http://127.0.0.1:${fleet.ports.prometheus}/api/v1/query?query=up`)
          .catch(() => null);
        if (answer === null) return false;
        const { data } = await answer.json() as {
          data: { result: { metric: { job: string }; value: [number, string] }[] };
        };
        const up = data.result.filter(({ value }) => value[1] === "1").map(({ metric }) => metric.job);
        return up.sort().join(" ") === "clickstream kafka node node node postgresql prometheus";
      },
    );
    for (const machine of [kafka, processor, monitoring]) {
      assert.equal(await machine.property("node-exporter.service", "NRestarts"), "0", machine.name);
    }
    const kafkaMetrics = await (await fetch(`http://127.0.0.1:${fleet.ports.kafkaExporter}/metrics`)).text();
    assert.match(kafkaMetrics, /^kafka_server_brokertopicmetrics_messagesin_total\{topic="clicks"[^}]*\} [1-9]/m);
    const database = await (await fetch(`http://127.0.0.1:${fleet.ports.postgresExporter}/metrics`)).text();
    assert.match(database, /^pg_up 1$/m);
    assert.match(database, /^clickstream_progress_consumed_total\{.*\} [1-9]/m);
    const rules = await (await fetch(`http://127.0.0.1:${fleet.ports.prometheus}/api/v1/rules`)).json();
    assert.ok(JSON.stringify(rules).includes("ClickstreamDown"));
    // And the runbook.
    const dashboards = Object.keys(DASHBOARDS).length + 1;
    assert.match(
      await monitoring.property("grafana.service", "StatusText"),
      new RegExp(
        `^passwords of ${PASSWORDS["grafana-admin"].length} and ${
          PASSWORDS["database-monitoring"].length
        } characters, ${dashboards} dashboards$`,
      ),
    );
  });

  const setUps = async () =>
    Number(
      await kafka.sh("journalctl -b -o cat -u kafka-setup.service | grep -c 'topic clicks has its users' || true"),
    );
  let setUpBefore = 0;
  await step("users have the rights that they need, and no others", async () => {
    const denied = async (user: "processor" | "monitoring", statement: string) => {
      const password = PASSWORDS[`database-${user}`];
      const own = server.urlFor(user, password, new URL(url).pathname.slice(1));
      return await using(own, (db) => db.query(statement)).then(() => "allowed", (error) => String(error.message));
    };
    assert.equal(await denied("monitoring", "select count(*) from clickstream.traffic"), "allowed");
    assert.match(await denied("monitoring", "delete from clickstream.traffic"), /permission denied/);
    assert.match(await denied("processor", "create table clickstream.t ()"), /permission denied/);
    // The generator may only write to the topic: it can create nothing.
    const env = { ...await fleet.generator(await Deno.makeTempFile()), KAFKA_TOPIC: "another" };
    const { code, stderr } = await new Deno.Command(BINARY, { args: ["generate", "--seconds", "1"], env }).output();
    assert.equal(code, 1);
    assert.match(new TextDecoder().decode(stderr), /another.*right to create/);
    // Runs beside the next steps; checked below.
    setUpBefore = await setUps();
    await kafka.sh("systemctl start --no-block kafka-setup.service");
  });

  await step("no secret is in an environment, on a command line, in the journal or on a disk", async () => {
    for (const machine of [kafka, processor, monitoring]) {
      const processes = await machine.sh("cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'");
      const journal = await machine.sh("journalctl -b -o cat --no-pager");
      for (const [name, password] of Object.entries(PASSWORDS)) {
        for (const form of [password, encodeURIComponent(password)]) {
          assert.ok(!processes.includes(form), `${name} can be seen in a process of ${machine.name}`);
          assert.ok(!journal.includes(form), `${name} is in the journal of ${machine.name}`);
        }
      }
      const forms = Object.values(PASSWORDS).flatMap((
        password,
      ) => ["-e", password, "-e", encodeURIComponent(password)]);
      const { stdout } = await new Deno.Command("grep", { args: ["-rFaoh", ...forms, machine.written] }).output();
      assert.equal(new TextDecoder().decode(stdout), "", `on the disk of ${machine.name}`);
    }
    // Migrations and the care of partitions have had it, and it is gone again.
    const administrator = decodeURIComponent(new URL(server.url()).password);
    assert.match(await processor.journal("clickstream-administrator.service"), /Deactivated successfully/);
    await processor.sh(`! grep -rqF -e '${administrator}' /run/clickstream /run/credentials /opt /etc`);
    assert.match(
      await processor.sh("cat /proc/$(systemctl show -P MainPID clickstream)/environ | tr '\\0' '\\n'"),
      /^CREDENTIALS_DIRECTORY=/m,
    );
  });

  await step("the sandbox holds from inside", async () => {
    await using elsewhere = await listenElsewhere();
    const reachable = `curl -s -o /dev/null -m 5 http://${ELSEWHERE}:${elsewhere.port}/ && echo reached || echo $?`;
    assert.equal(await processor.sh(reachable), "reached");
    const tried = await fromInside(processor, {
      "write /etc": "echo x >/etc/x",
      "write /usr": "echo x >/usr/x",
      "write its own program": "echo x >>/opt/clickstream/current/clickstream",
      "write its cache": "echo x >/var/cache/clickstream/x",
      "write /tmp": "echo x >/tmp/x",
      "read its own credential": 'test -s "$CREDENTIALS_DIRECTORY/DATABASE_URL"',
      "read where the secrets are": "ls /run/clickstream/secrets",
      "read another's credentials": "cat /run/credentials/clickstream-migrate.service/*",
      "read the root's home": "ls /root/.aws",
      "read the shadow file": "cat /etc/shadow",
      "see other processes": "test $(ls -d /proc/[0-9]* | wc -l) -gt 5",
      "reach localhost": `curl -s -o /dev/null -m 5 http://127.0.0.1:${fleet.ports.processor}/health`,
      "reach elsewhere": `curl -s -o /dev/null -m 5 http://${ELSEWHERE}:${elsewhere.port}/`,
      "open a raw socket": "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'",
      "make a namespace": "unshare --user true",
      "mount": "mount -t tmpfs tmpfs /mnt",
      "set the clock": "date -s 2030-01-01",
      "become root": "setpriv --reuid=0 true",
    });
    assert.deepEqual(tried.filter(({ done }) => done).map(({ what }) => what), [
      "write its cache",
      "write /tmp",
      "read its own credential",
      "reach localhost",
    ]);
  });

  await step("after a kill the service is back by itself, and every event counts once", async () => {
    const [before, killed] = [await restarts(), await pid()];
    await using shop = await shops.open();
    await processor.sh(`kill -9 ${killed}`);
    await until("it is back", async () => await pid() !== killed && await pid() !== "0");
    await processor.active("clickstream.service");
    assert.equal(Number(await restarts()), Number(before) + 1);
    await shop.close();
    await shops.counted("kill -9");
  });

  await step("reload prints the status, and the service keeps running", async () => {
    const running = await pid();
    await processor.sh("systemctl reload clickstream.service");
    // The journal may be a moment behind.
    const said = /nothing to reload: settings are read at the start/;
    await until("it says what a reload does", async () => said.test(await processor.journal("clickstream.service")));
    await processor.active("clickstream.service");
    assert.equal(await pid(), running);
    await until("its line says how it stands again", async () => {
      return /^[\d,]+ events\/s, lag [\d,]+, 3 partitions, \d+ refused$/.test(await status(processor));
    });
  });

  await step("after a second setup, the topic, its users and their rights are unchanged", async () => {
    await until("it is set up", async () => await setUps() > setUpBefore);
    assert.equal(await kafka.property("kafka-setup.service", "Result"), "success");
    await shops.counted("set up once more");
  });

  const restricted = "/run/systemd/system/clickstream.service.d/90-test.conf";
  await step("stop drains; without Kafka the service starts, waits and says for what; nothing is lost", async () => {
    await using shop = await shops.open();
    await processor.sh("systemctl stop clickstream.service");
    // systemd forgets a stopped unit; the journal does not.
    const journal = await processor.sh("journalctl -b -o short-monotonic -n 40 --no-pager -u clickstream.service");
    const said = [...journal.matchAll(/^\[ *([\d.]+)\] \S+ systemd\[1\]: (?!.*: Consumed)(.*)$/gm)].slice(-3);
    const [stopping, ended, stopped] = said.map(([, , what]) => what!);
    assert.match(stopping!, /^Stopping/, journal);
    assert.match(ended!, /^clickstream\.service: Deactivated successfully\.$/, journal);
    assert.match(stopped!, /^Stopped/, journal);
    const tookSeconds = Number(said[2]![1]) - Number(said[0]![1]);
    assert.ok(tookSeconds < 10, `stop took ${tookSeconds} s`);
    await shop.close();

    await kafka.sh("systemctl stop kafka.service");
    // The next step needs a start with it.
    await processor.sh(`mkdir -p ${restricted.slice(0, restricted.lastIndexOf("/"))}`);
    await processor.sh(`printf '[Service]\\nWatchdogSec=8\\n' >${restricted} && systemctl daemon-reload`);
    await processor.sh("systemctl start --no-block clickstream.service");
    await until("it says what it waits for", async () => /^waiting: .*localhost:\d+/.test(await status(processor)));
    assert.equal(await processor.property("clickstream.service", "ActiveState"), "activating");
    const answer = await fetch(`http://127.0.0.1:${fleet.ports.processor}/ready`);
    await answer.body?.cancel();
    assert.equal(answer.status, 503);
    await kafka.sh("systemctl start kafka.service");
    await processor.active("clickstream.service");
    assert.match(await processor.journal("clickstream-migrate.service"), /schema clickstream is current/);
    await shops.counted("stop and start");
  });

  await step("a hung event loop trips the watchdog, although the process is alive", async () => {
    const hanging = await pid();
    await using(url, (db) =>
      db.transaction(async (tx) => {
        await tx.query("lock table clickstream.progress in access exclusive mode");
        await shops.sell(1);
        await until("the watchdog bites", async () => await pid() !== hanging);
      }));
    assert.match(
      await processor.sh("journalctl -b -o cat -u clickstream.service --no-pager"),
      /Watchdog timeout \(limit 8s\)!/,
    );
    await processor.sh(`rm ${restricted} && systemctl daemon-reload`);
    await shops.counted("the watchdog");
  });

  await step("the database and the service adopt a changed password", async () => {
    const running = await pid();
    const connect = (password: string) =>
      using(server.urlFor("processor", password, new URL(url).pathname.slice(1)), (db) => db.query("select 1"));
    await fleet.change("database-processor", "database/processor:another");
    // As if an hour had passed.
    await processor.sh("rm /run/clickstream/secrets/.fetched");
    assert.match(await apply(processor), /secrets have changed/);
    await processor.active("clickstream.service");
    assert.notEqual(await pid(), running);
    await connect("database/processor:another");
    await assert.rejects(connect(PASSWORDS["database-processor"]), /password authentication failed/);
  });

  await step("a new release restarts only what changed, and no event is lost", async () => {
    const running = await pid();
    assert.doesNotMatch(await apply(processor), /generation/);
    assert.equal(await pid(), running);

    await using shop = await shops.open();
    await fleet.release("processor", { COMMIT_EVERY_MS: "500" });
    assert.match(await apply(processor), /runs generation/);
    assert.notEqual(await pid(), running);
    assert.match(
      await (await fetch(`http://127.0.0.1:${fleet.ports.processor}/api/status`)).text(),
      /"COMMIT_EVERY_MS":"500"/,
    );
    await shop.close();
    await shops.counted("a new release");
  });

  const declare = (text: string) => fleet.upload("views", new TextEncoder().encode(text));
  await step(
    "declared views count exactly from their release on; what was counted is not dropped by accident",
    async () => {
      const count = async (rows: string) =>
        await using(url, async (db) => Number((await db.query<{ n: string }>(`select ${rows}`)).rows[0]!.n));
      const stored = () => count("sum(stored)::text as n from clickstream.progress");
      const clicks = () => count("coalesce(sum(clicks), 0)::text as n from clickstream.by_device");
      const release = () => fleet.release("processor", { COMMIT_EVERY_MS: "500" });
      const before = await stored();
      const views = await declare(DECLARED);
      await release();
      assert.match(await apply(processor), /runs generation/);
      await shops.sell(2);
      await shops.counted("a declared view");
      assert.ok(await stored() > before);
      assert.equal(await clicks(), await stored() - before);
      await processor.sh(
        "/usr/local/lib/clickstream/as-owner rebuild --view by_device --from 2026-01-01T00:00:00Z --yes",
      );
      assert.equal(await clicks(), await stored());

      const running = await pid();
      await declare(DECLARED.replace("5 minutes", "15 minutes"));
      await release();
      assert.match(await apply(processor), /the declared views can't be applied, and are not used/);
      assert.match(
        await processor.journal("clickstream-views.service"),
        /this drops the counts of by_device: nothing was changed; add --drop to go on/,
      );
      assert.equal(await pid(), running);

      // What was applied stays declared, and a service without the file would count too little.
      fleet.remove("views");
      await release();
      assert.match(await apply(processor), /did not get ready within 300 s, and [0-9a-f]+ is back: .*ExecMainStatus=3/);
      await processor.active("clickstream.service");
      assert.match(await apply(processor), /did not get ready on this host, and is not tried again: deploy another/);

      fleet.pretend("views", views);
      await release();
      const back = await pid();
      assert.doesNotMatch(await apply(processor), /generation/);
      assert.equal(await pid(), back);
      await shops.sell(2);
      await shops.counted("the file was left out");
      assert.equal(await clicks(), await stored());
      await processor.sh(`! test -e /run/clickstream/administrator`);
    },
  );

  await step(
    "a file with a wrong hash is not used; a failing version is rolled back, once, with its declared views",
    async () => {
      const good = fleet.artifact("clickstream");
      const running = await pid();
      const release = () => fleet.release("processor", { COMMIT_EVERY_MS: "500" });
      fleet.pretend("clickstream", { key: good.key, sha256: "0".repeat(64) });
      await release();
      assert.match(await apply(processor), /has not the SHA-256 that the release says, 0{64}; nothing was changed/);
      assert.equal(await pid(), running);

      const script = '#!/bin/sh\n[ "$1" = run ] || exit 0\necho "does not work" >&2\nexit 1\n';
      await fleet.upload("clickstream", new TextEncoder().encode(script));
      const views = fleet.artifact("views");
      await declare(`${DECLARED}${DECLARED.replace("views:\n", "").replace("by_device", "again_by_device")}`);
      await release();
      await using shop = await shops.open();
      assert.match(await apply(processor), /did not get ready within 300 s, and [0-9a-f]+ is back: /);
      await processor.active("clickstream.service");
      const back = await pid();
      assert.match(await apply(processor), /did not get ready on this host, and is not tried again: deploy another/);
      assert.equal(await pid(), back);
      await shop.close();
      await shops.counted("a version that failed");
      fleet.pretend("clickstream", good);
      fleet.pretend("views", views);
      await release();
      await apply(processor);
      assert.equal(await pid(), back);
      const tables = "select count(*)::text as n from pg_tables where tablename = 'again_by_device'";
      assert.deepEqual((await using(url, (db) => db.query(tables))).rows, [{ n: "0" }]);
    },
  );
});
