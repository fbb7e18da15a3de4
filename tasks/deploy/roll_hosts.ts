/**
 * `deno task roll`: moves the hosts of a deployment to the machines of its settings, and with `--image newest` to the
 * newest image, one after another. Prints first what changes; `--yes` continues without asking.
 * @module
 */
import { resume } from "../../infra/record.ts";
import { WrongSettings } from "../../infra/settings.ts";
import { Aws } from "./aws.ts";
import { exitCodeOf, identity, readOptions, readRecord } from "./deployment.ts";
import { AwsEstate, changesFor, hostsOf, newestImage } from "./estate.ts";
import { inOrder, roll } from "./roll.ts";

/** A broker may need an hour to get the records of a day; a first boot takes minutes. */
const PATIENCE = { toStop: 90, toReady: 360 };

/** Moves the hosts; returns false if it was declined. */
async function main(args: readonly string[]): Promise<boolean> {
  const { yes, text, env } = readOptions(args, ["image"]);
  const wanted = text("image");
  if (wanted !== undefined && wanted !== "newest") throw new WrongSettings(`--image is ${wanted}; it must be newest`);
  const { AWS_REGION: region, DEPLOY_NAME: name } = identity(env);
  const aws = new Aws(region);
  const record = await readRecord(aws, name);
  if (record === null) throw new Error(`no deployment ${name} is in ${region}`);
  // What is deployed, whatever the environment says.
  const { settings } = resume(
    record,
    (setting) => setting === "AWS_REGION" || setting === "DEPLOY_NAME" ? env(setting) : undefined,
  );
  const hosts = await hostsOf(aws, name);
  const image = wanted === undefined ? null : await newestImage(aws, settings.DEPLOY_ARCHITECTURE);
  const changes = inOrder(changesFor(hosts, settings, image));
  for (const { host, from, to } of changes) {
    console.log(`${host}: ${from.machine}, ${from.image} → ${to.machine}, ${to.image}`);
  }
  if (changes.length === 0) {
    console.log("nothing to change: all hosts run on what they should");
    return true;
  }
  if (!yes && !confirm("Go on, one host after another?")) return false;
  await roll(changes, new AwsEstate(aws, hosts), PATIENCE, console.log);
  return true;
}

if (import.meta.main) Deno.exit(await exitCodeOf(() => main(Deno.args)));
