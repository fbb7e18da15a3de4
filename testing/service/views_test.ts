/** Declared views in the compiled program: a file is checked, planned, applied, counted into and filled from the log. */
import assert from "node:assert/strict";
import { readDeclared } from "../../processor/declared/file.ts";
import { Random } from "../../generator/random.ts";
import { clickstream, killed } from "../servers/binary.ts";
import { startKafka } from "../servers/kafka.ts";
import { startPostgres } from "../servers/postgres.ts";
import { agrees, Shop } from "./shop.ts";

const CARTS = `  - name: cart_values
    description: What is in carts, by product.
    filter: { event: add_to_cart }
    window: { size: 5 minutes, every: 1 minute }
    keys: [product]
    measures: { added: count, people: users, price_cents: sum price, most_cents: max price }
`;
const DAYS = `  - name: region_days
    description: Visits of products by region.
    filter: { page: { prefix: /product } }
    window: 1 day
    keys: [region, device]
    measures: { seen: { measure: count, filter: { event: page_view } }, last_seen: last page, people: users }
`;

const GOALS = `goals:
  - { name: bought, description: Bought something., filter: { event: purchase } }
  - { name: far, description: Saw products., filter: { event: page_view, page: { pattern: "*/product*" } } }
funnels:
  - name: checkout
    description: To the order.
    steps:
      - { name: any, filter: {} }
      - { name: product, filter: { page: { prefix: /product } } }
      - { name: cart, filter: { event: add_to_cart } }
      - { name: order, filter: { event: purchase } }
`;

Deno.test(
  "declared views are checked, applied, counted and rebuilt, and equal the oracle",
  { sanitizeOps: false, sanitizeResources: false },
  async (t) => {
    await using broker = await startKafka();
    await using server = await startPostgres();
    const folder = await Deno.makeTempDir({ prefix: "clickstream views " });
    const VIEWS_FILE = `${folder}/views.yaml`;
    const write = (...views: readonly string[]) => Deno.writeTextFile(VIEWS_FILE, `views:\n${views.join("")}`);
    const read = async () => readDeclared(await Deno.readTextFile(VIEWS_FILE), VIEWS_FILE);
    const declare = async (...views: readonly string[]) => {
      await write(...views);
      return (await read()).views;
    };
    const generated = [
      "--fast",
      "--rate",
      "500",
      "--bad",
      "0.05",
      "--duplicates",
      "0.02",
      "--late",
      "0.02",
      "--users",
      "200",
    ];
    await using shop = await Shop.open(broker, server, "declared", [...generated, "--seconds", "8"]);
    const ours = { ...shop.env, VIEWS_FILE };

    await t.step("check names each fault with its place", async () => {
      await write(CARTS, DAYS.replace("1 day", "1 week"));
      const { code, err } = await clickstream(["views", "check", VIEWS_FILE], {});
      assert.equal(code, 2);
      assert.equal(
        err,
        `${VIEWS_FILE}:11:5: views[1].window is "1 week"; it must be a number of minutes or hours up to 24 hours, such as "5 minutes", or "1 day"\n`,
      );
      await write(CARTS.replace("cart_values", "traffic"));
      const taken = await clickstream(["views", "check"], { VIEWS_FILE });
      assert.deepEqual([taken.code, taken.err], [
        2,
        `${VIEWS_FILE}:2:5: views[0].name is "traffic", which the schema has already\n`,
      ]);
      const none = await clickstream(["views", "check"], {});
      assert.match(none.err, /no file is named: add its path, or set VIEWS_FILE/);
      await declare(CARTS);
      const right = await clickstream(["views", "check", VIEWS_FILE], {});
      assert.deepEqual([right.code, right.out], [0, `${VIEWS_FILE} declares 1 view, and has no fault\n`]);
    });

    await t.step("without apply, the service does not start, and says what to do", async () => {
      shop.serve({ VIEWS_FILE });
      const { code, log } = await shop.ended();
      assert.equal(code, 3);
      assert.match(log, /VIEWS_FILE declares other views than the database has: cart_values \(only in the file\)/);
      assert.match(log, /clickstream views apply/);
      const doctor = await clickstream(["doctor"], ours);
      assert.match(doctor.out, /declared views.*cart_values \(only in the file\)/);
    });

    await t.step("apply makes the tables, and the service counts into them", async () => {
      const views = await declare(CARTS);
      const plan = await clickstream(["views", "plan"], ours);
      assert.match(plan.out, /^\+ cart_values: a new table/);
      const applied = await clickstream(["views", "apply"], ours);
      assert.equal(applied.code, 0, applied.err);
      assert.match(
        applied.out,
        /^\+ cart_values: .*\nRestart every instance .*\nThen .*rebuild --view cart_values --from/,
      );
      shop.serve({ VIEWS_FILE });
      await agrees(shop, await shop.caughtUp(), { views });
      assert.match((await clickstream(["views", "list"], ours)).out, /cart_values +5 minutes every 1 minute +product/);
      assert.match((await clickstream(["flink"], ours)).out, /INSERT INTO `cart_values` \(.*`most_cents`/);
    });

    await t.step("a service with another file commits nothing more", async () => {
      await declare(CARTS, DAYS);
      assert.equal((await clickstream(["views", "apply"], ours)).code, 0);
      const before = await shop.number("select sum(consumed) as n from clickstream.progress");
      await shop.does("generate", ...generated, "--seconds", "2", "--seed", "2");
      const { code, log } = await shop.ended();
      assert.equal(code, 3);
      assert.match(log, /VIEWS_FILE declares other views than the database has/);
      assert.equal(await shop.number("select sum(consumed) as n from clickstream.progress"), before);
    });

    await t.step("a new view is filled from the log beside the service, killed at random", async () => {
      const views = await declare(CARTS, DAYS);
      shop.serve({ VIEWS_FILE });
      const log = await shop.caughtUp();
      await assert.rejects(agrees(shop, log, { views }));
      const live = clickstream(["generate", "--rate", "300", "--seconds", "5", "--seed", "3"], shop.env);
      const from = new Date(Date.now() - 2 * 86_400_000).toISOString();
      const unknown = await clickstream(["rebuild", "--view", "region_day", "--from", from, "--yes"], ours);
      assert.match(unknown.err, /--view is "region_day", which is no view; did you mean region_days\?/);
      const { code, err, out } = await killed(["rebuild", "--view", "region_days", "--from", from, "--yes"], ours, {
        times: 4,
        withinMs: 1500,
        chance: new Random(20_261_130),
      });
      assert.equal(code, 0, err);
      assert.match(out, /rebuilt region_days from/);
      assert.equal((await live).code, 0);
      await agrees(shop, await shop.caughtUp(), { views });
    });

    await t.step("goals and funnels count from their start on, and a rebuild counts what was before", async () => {
      const views = await declare(CARTS, DAYS, GOALS);
      const { declared } = await read();
      await shop.rest();
      const plan = await clickstream(["views", "plan", "--json"], ours);
      assert.deepEqual(plan.out.trimEnd().split("\n"), [
        ...['{"change":"create","goal":"bought"}', '{"change":"create","goal":"far"}'],
        '{"change":"create","funnel":"checkout"}',
      ]);
      const applied = await clickstream(["views", "apply"], ours);
      assert.match(
        applied.out,
        /^\+ goal bought: new columns of sessions.*\n.*\n\+ funnel checkout: .*\n.*\n.*rebuild --view sessions --from TIME\n$/,
      );
      assert.match(
        (await clickstream(["views", "list"], ours)).out,
        /checkout +any, product, cart, order +To the order/,
      );
      shop.serve({ VIEWS_FILE });
      await shop.does("generate", ...generated, "--seconds", "2", "--seed", "5");
      await agrees(shop, await shop.caughtUp(), { views });
      await assert.rejects(agrees(shop, await shop.caughtUp(), { views, declared }));
      const live = clickstream(["generate", "--rate", "300", "--seconds", "5", "--seed", "6"], shop.env);
      const from = new Date(Date.now() - 2 * 86_400_000).toISOString();
      const { code, err } = await killed(["rebuild", "--view", "sessions", "--from", from, "--yes"], ours, {
        times: 4,
        withinMs: 1500,
        chance: new Random(20_261_201),
      });
      assert.equal(code, 0, err);
      assert.equal((await live).code, 0);
      await agrees(shop, await shop.caughtUp(), { views, declared });
      assert.ok(await shop.number("select count(*) as n from clickstream.sessions where funnel_checkout = 4") > 10);
      const exported = await clickstream(["export", "funnels", "--from", from, "--format", "csv"], ours);
      assert.match(exported.out, /^funnel,step,name,sessions,step_rate,overall_rate\r\ncheckout,1,any,\d+,,1\r\n/);
    });

    await t.step("a changed view loses its rows only if told, and maintain knows declared views", async () => {
      await declare(CARTS.replace("5 minutes", "10 minutes"));
      const kept = await clickstream(["views", "apply"], ours);
      assert.equal(kept.code, 1);
      assert.match(
        kept.err,
        /drops the counts of cart_values, region_days, goal bought, goal far, funnel checkout: nothing was changed; add --drop/,
      );
      await shop.rest();
      assert.equal((await clickstream(["views", "apply", "--drop"], ours)).code, 0);
      assert.equal(await shop.number("select count(*) as n from clickstream.cart_values"), 0);
      await storeExpired(shop);
      assert.match(await shop.does("maintain"), /deleted expired rows: 1 of cart_values/);
    });
    await Deno.remove(folder, { recursive: true });
  },
);

/** Stores a row that has expired. */
async function storeExpired(shop: Shop): Promise<void> {
  await shop.number(
    `with stored as (insert into clickstream.cart_values (window_start, window_end, product_id, added, people, price_cents, most_cents, people_state)
       values ('2020-01-01Z', '2020-01-01T00:10Z', 'p', 1, 1, 0, null, '') returning 1) select count(*) as n from stored`,
  );
}
