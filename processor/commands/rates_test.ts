import assert from "node:assert/strict";
import { readSettings } from "../config/config.ts";
import { onServer } from "../../testing/servers/databases.ts";
import { using } from "../../testing/servers/postgres.ts";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { migrate } from "../postgres/operations/migrations.ts";
import { READS } from "./cli/reads.ts";
import { fillRates, listRates, ratesIn } from "./rates.ts";

const HEAD = "currency,from_day,rate\n";

Deno.test("a file of rates is read with blanks, quotes, Windows' ends of lines and empty lines", () => {
  assert.deepEqual(
    ratesIn(`\ufeffCurrency, from_day ,rate\r\nUSD,2026-11-01,0.92\r\n\n "JPY" , 1970-01-01 ,00.5\n`, "f", "EUR"),
    [
      { currency: "USD", fromDay: "2026-11-01", rate: "0.92" },
      { currency: "JPY", fromDay: "1970-01-01", rate: "00.5" },
    ],
  );
  assert.deepEqual(ratesIn(`${HEAD}EUR,2026-11-01,1`, "f", "EUR").length, 1);
});

Deno.test("a wrong line is named, with its value and what is allowed", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["", /^f, line 1: ""; the first line must be currency,from_day,rate$/],
    ["USD,2026-11-01,0.92", /^f, line 1: /],
    [`${HEAD}USD,2026-11-01`, /^f, line 2: "USD,2026-11-01"; a line must have 3 values/],
    [`${HEAD}\nusd,2026-11-01,1`, /^f, line 3: "usd"; a currency must be a code of ISO 4217, such as USD/],
    [`${HEAD}XXX,2026-11-01,1`, /^f, line 2: "XXX"; a currency/],
    [`${HEAD}USD,2026-02-29,1`, /^f, line 2: "2026-02-29"; from_day must be a day/],
    [`${HEAD}USD,1.11.2026,1`, /^f, line 2: "1.11.2026"; from_day/],
    [`${HEAD}USD,1969-12-31,1`, /^f, line 2: "1969-12-31"; from_day/],
    [`${HEAD}USD,2026-11-01,0.00`, /^f, line 2: "0.00"; a rate must be a decimal above 0/],
    [`${HEAD}USD,2026-11-01,1e3`, /^f, line 2: "1e3"; a rate/],
    [`${HEAD}USD,2026-11-01,"1,5"`, /^f, line 2: .*; a line must have 3 values/],
    [`${HEAD}EUR,2026-11-01,1.1`, /^f, line 2: "1.1"; the rate of EUR must be 1/],
    [`${HEAD}USD,2026-11-01,1\nUSD,2026-11-01,2`, /^f, line 3: .*line 2 has a rate of USD from 2026-11-01 already/],
  ];
  for (const [text, said] of cases) {
    assert.throws(() => ratesIn(text, "f", "EUR"), { name: "WrongUse", message: said }, text);
  }
});

onServer("rates", async (t, server) => {
  const url = await server.createDatabase();
  await using(url, (db) => migrate(db, MIGRATIONS));
  const env: Readonly<Record<string, string>> = { DATABASE_URL: url, CURRENCY: "EUR" };
  const settings = readSettings(READS.rates, (name) => env[name]);
  const file = await Deno.makeTempFile({ suffix: ".csv" });
  const run = async (command: "list" | "json" | "fill") => {
    const lines: string[] = [];
    const output = {
      print: (line: string) => void lines.push(line),
      writeError: (line: string) => void lines.push(line),
    };
    const code = command === "fill"
      ? await fillRates({ file }, settings, output)
      : await listRates({ json: command === "json" }, settings, output);
    assert.equal(code, 0);
    return lines;
  };
  try {
    await t.step("fills the table, and the second time changes nothing", async () => {
      await Deno.writeTextFile(file, `${HEAD}USD,2026-11-01,0.92\nUSD,2026-11-02,0.93\n`);
      const [first, ...advice] = await run("fill");
      assert.equal(first, "2 rates in the file: 2 new or changed");
      assert.match(advice[0]!, /clickstream rebuild --from DAY/);
      assert.deepEqual(await run("fill"), ["2 rates in the file: 0 new or changed"]);
    });

    await t.step("changes a rate, and keeps what the file does not have", async () => {
      await Deno.writeTextFile(file, `${HEAD}USD,2026-11-02,0.94\nJPY,2026-11-02,0.006\n`);
      assert.equal((await run("fill"))[0], "2 rates in the file: 2 new or changed");
      assert.deepEqual(await run("json"), [
        '{"currency":"JPY","from_day":"2026-11-02","rate":"0.006"}',
        '{"currency":"USD","from_day":"2026-11-01","rate":"0.92"}',
        '{"currency":"USD","from_day":"2026-11-02","rate":"0.94"}',
      ]);
    });

    await t.step("changes nothing if a line is wrong", async () => {
      const before = await run("json");
      await Deno.writeTextFile(file, `${HEAD}GBP,2026-11-02,1.15\nGBP,2026-11-03,x\n`);
      await assert.rejects(() => run("fill"), /line 3: "x"; a rate must be .* Nothing was changed/);
      assert.deepEqual(await run("json"), before);
    });

    await t.step("lists them as a table", async () => {
      const lines = await run("list");
      assert.match(lines[0]!, /^currency +from day +rate$/);
      assert.equal(lines.at(-1), "3 rates; CURRENCY is EUR");
    });

    await t.step("writer and reader may read rates and settings, and not write them", async () => {
      await using(url, async (db) => {
        for (const table of ["rates", "settings"]) {
          const { rows } = await db.query<{ may: string }>(
            `select r.name || ' ' || p.name as may
               from unnest(array['writer', 'reader']) r(name), unnest(array['select', 'insert', 'update', 'delete']) p(name)
              where has_table_privilege('clickstream_' || r.name, 'clickstream.${table}', p.name) order by 1`,
          );
          assert.deepEqual(rows.map(({ may }) => may), ["reader select", "writer select"], table);
        }
      });
    });
  } finally {
    await Deno.remove(file);
  }
});
