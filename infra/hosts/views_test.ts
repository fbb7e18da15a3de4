/**
 * Brings a processor's host to releases with declared views by its own script, with stand-ins for systemd, the service
 * and the database.
 */
import assert from "node:assert/strict";
import { run } from "../../testing/servers/child.ts";
import { disk, noMachines } from "../testing/machine.ts";
import { hostFiles } from "./mod.ts";

const why = await noMachines();

/** The service ends with 3 if the database has other views than its file, and a broken version with 1. */
const STAND_INS: Readonly<Record<string, string>> = {
  aws: `case "$*" in
    *get-parameters*) echo '{"Parameters": [{"Name": "c", "Value": "-----BEGIN CERTIFICATE-----"}]}' ;;
    *get-secret-value*) echo secret ;;
  esac`,
  systemctl: `current=/opt/clickstream/current
  text() { cat "$1" 2>/dev/null || echo "$2"; }
  version=$(text $current/clickstream none) views=$(text $current/views.yaml none) database=$(text /run/database none)
  case "$*" in
    *--property=ActiveState*) text /run/state inactive ;;
    *--property=ExecMainStatus*) text /run/status 0 ;;
    *--property=StatusText*) echo "ExecMainStatus=$(text /run/status 0)" ;;
    "start clickstream-views.service")
      . /run/clickstream/views
      echo "apply $(cat "$FILE") by $version$DROP" >>/run/said
      for view in $database; do
        [[ $DROP == --drop || $view == none || $(cat "$FILE") == *$view* ]] || exit 1
      done
      cp "$FILE" /run/database ;;
    "restart clickstream.service" | "start clickstream.service" | "restart --no-block clickstream.service")
      status=0
      [[ $version != broken* ]] || status=1
      [[ $views == "$database" ]] || status=3
      echo $status >/run/status
      if [[ $status == 0 ]]; then echo active; else echo failed; fi >/run/state
      echo "run $version with $views: $status" >>/run/said
      [[ $* == *--no-block* ]] || exit $status ;;
  esac`,
};

/** Each line of \`steps\` is a release: version, views, and whether they may be dropped; or a new host. Prints what is done. */
const SCRIPT = `set -euo pipefail
folder=$1 disk=$2
mkdir "$folder"/work "$folder"/root
mount -t overlay overlay -o "lowerdir=$disk,upperdir=$folder/files,workdir=$folder/work" "$folder/root"
mount -t proc proc "$folder/root/proc"
mount -t tmpfs tmpfs "$folder/root/run"
trap 'umount -R "$folder/root"' EXIT
here=$folder/root/opt/clickstream
mkdir -p "$folder/root/run/clickstream"
while read -r version views drop; do
  if [[ $version == new ]]; then rm -rf "$here" "$folder/root/run/state"; continue; fi
  if [[ $version == other ]]; then
    echo "$views" | tr _ ' ' >"$folder/root/run/database"
    echo failed >"$folder/root/run/state"
    continue
  fi
  mkdir -p "$here/store/clickstream-$version" "$here/store/views-$views"
  echo "$version" >"$here/store/clickstream-$version/clickstream"
  echo "$views" | tr _ ' ' >"$here/store/views-$views/views"
  jq --null-input --arg version "$version" --arg views "$views" --argjson drop "$drop" '{
    artifacts: ({clickstream: {sha256: $version}, host: {sha256: "1"}, "rds-ca": {sha256: "1"}, node_exporter: {sha256: "1"}}
      + if $views == "none" then {} else {views: {sha256: $views}} end),
    secrets: {"kafka-processor": "k", "database-processor": "d"},
    environment: {}, database: {host: "h", port: "5432", name: "n"},
    kafka: {brokers: [{certificateParameter: "c"}]}, mayDropViews: $drop }' >"$folder/root/run/clickstream/release.json"
  : >"$folder/root/run/said"
  chroot "$folder/root" env READY_WITHIN=5 KIND=processor HOST=processor-1 bash -euo pipefail -c '
    . /usr/local/lib/clickstream/common
    . /usr/local/lib/clickstream/apply-processor' 2>"$folder/error" </dev/null || tail -1 "$folder/error" >>"$folder/root/run/said"
  paste -sd '|' "$folder/root/run/said"
done <"$folder/steps"
`;

interface Step {
  readonly version: string;
  /** In one word; none by default. */
  readonly views?: string;
  readonly mayDrop?: boolean;
  readonly done: readonly (string | RegExp)[];
}

const back = (status: number) =>
  new RegExp(`^generation \\w+ did not get ready within 5 s, and \\w+ is back: ExecMainStatus=${status}$`);
const STAYS =
  /^generation \w+ is not ready, but has migrated the schema, and \w+ can't work with it: deploy a repaired/;
const REFUSED_VIEWS = /^the declared views can't be applied, and are not used: .*; tried again in a minute$/;

/** Another host applies views, so that the service here ends. */
interface Elsewhere {
  readonly appliedElsewhere: string;
}

const STEPS: readonly (Step | "new host" | Elsewhere)[] = [
  { version: "v1", done: ["run v1 with none: 0"] },
  // The service runs on while the views are applied.
  { version: "v1", views: "a", done: ["apply a by v1", "run v1 with a: 0"] },
  { version: "v1", views: "a", done: [] },
  { version: "v2", views: "a", done: ["run v2 with a: 0"] },
  // A new version with other views gets ready with those before first.
  { version: "v3", views: "a_b", done: ["run v3 with a: 0", "apply a b by v3", "run v3 with a b: 0"] },
  // So that one which fails can be rolled back: other views are not applied.
  { version: "broken", views: "a_b_c", done: ["run broken with a b: 1", "run v3 with a b: 0", back(1)] },
  { version: "broken", views: "a_b_c", done: [] },
  // Nothing restarts for views that can't be applied, but it is tried again.
  { version: "v3", views: "a_c", done: ["apply a c by v3", REFUSED_VIEWS] },
  { version: "v3", views: "a_c", done: ["apply a c by v3", REFUSED_VIEWS] },
  // The release has changed meanwhile.
  { version: "broken", views: "a_b_c", done: ["run broken with a b: 1", "run v3 with a b: 0", back(1)] },
  { version: "v4", views: "a_c", done: ["run v4 with a b: 0", "apply a c by v4", REFUSED_VIEWS] },
  { version: "v4", views: "a_c", mayDrop: true, done: ["apply a c by v4--drop", "run v4 with a c: 0"] },
  { version: "v4", views: "a_c", done: [] },
  // What was applied stays declared: a processor without the file commits nothing.
  { version: "v4", done: ["run v4 with none: 3", "run v4 with a c: 0", back(3)] },
  { version: "v4", done: [] },
  { version: "v5", done: ["run v5 with a c: 0", "run v5 with none: 3", "run v5 with a c: 0", back(3)] },
  { version: "v5", views: "a_c", done: [] },
  "new host",
  { version: "v5", views: "a_c", done: ["apply a c by v5", "run v5 with a c: 0"] },
  // The database may have become too new for the version that ran.
  { appliedElsewhere: "a_c_d" },
  { version: "v6", views: "a_c_d", done: ["apply a c d by v6", "run v6 with a c d: 0"] },
  { appliedElsewhere: "a_c_d_e" },
  {
    version: "v7",
    views: "a_c_d",
    done: ["run v7 with a c d: 3", "run v6 with a c d: 3", "run v7 with a c d: 3", STAYS],
  },
  "new host",
  { version: "v6", views: "b", done: ["apply b by v6", REFUSED_VIEWS] },
  { version: "v6", views: "b", done: ["apply b by v6", REFUSED_VIEWS] },
  { version: "v6", views: "a_c_d_e", done: ["apply a c d e by v6", "run v6 with a c d e: 0"] },
];

Deno.test({
  name: `declared views are applied before a service counts by them${why === null ? "" : ` (${why})`}`,
  ignore: why !== null,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "clickstream-declared-", dir: "/tmp" });
    const standIns = Object.entries(STAND_INS).map(([name, text]) => ({
      path: `usr/local/bin/${name}`,
      bytes: new TextEncoder().encode(`#!/bin/bash\n${text}\n`),
      mode: 0o755,
    }));
    for (const { path, bytes, mode } of [...hostFiles("processor"), ...standIns]) {
      await Deno.mkdir(`${folder}/files/${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
      await Deno.writeFile(`${folder}/files/${path}`, bytes, { mode });
    }
    const lines = STEPS.map((step) => {
      if (step === "new host") return "new";
      if ("appliedElsewhere" in step) return `other ${step.appliedElsewhere}`;
      return `${step.version} ${step.views ?? "none"} ${step.mayDrop === true}`;
    });
    await Deno.writeTextFile(`${folder}/steps`, `${lines.join("\n")}\n`);
    try {
      const said = await run("unshare", ["--mount", "bash", "-c", SCRIPT, "bash", folder, await disk()]);
      const done = said.split("\n");
      for (const step of STEPS) {
        if (step === "new host" || "appliedElsewhere" in step) continue;
        const lines = done.shift()!.split("|").filter((line) => line !== "");
        const what = `${JSON.stringify(step)}: ${lines.join("\n")}`;
        assert.equal(lines.length, step.done.length, what);
        step.done.forEach((one, n) =>
          typeof one === "string" ? assert.equal(lines[n], one, what) : assert.match(lines[n]!, one, what)
        );
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
