import assert from "node:assert/strict";
import { jsonSchema } from "./schema.ts";
import { countsIn, readDeclared, viewsOfDeclared, withDeclared, WrongDeclarations } from "./file.ts";
import { columnComments } from "./comments.ts";
import { tableOf } from "../translate/table.ts";
import { forShop, VIEWS } from "../views/mod.ts";
import { UTC } from "../views/time_zone.ts";

const PUBLISHED = new URL("../../docs/views.schema.json", import.meta.url);

const WHOLE = `
views:
  - name: sale_carts
    description: Carts of the sale by campaign.
    filter:
      event: add_to_cart
      page: [{ prefix: /sale/ }, { pattern: "*/outlet/*" }, /sale]
      campaign: { pattern: "*" }
    window: { size: 15 minutes, every: 5 minutes }
    keys: [campaign, device]
    measures:
      carts: count
      people: users
      price_cents: sum price
      phone_carts: { measure: count, filter: { device: mobile } }
      last_page: last page
  - name: product_days
    description: Views of products.
    window: 1 day
    keys: [product]
    measures: { views: { measure: count, filter: { event: page_view } }, most_cents: max price }
`;

const OF_SESSIONS = `
goals:
  - { name: order, description: Bought something., filter: { event: purchase } }
  - name: signup
    description: Signed up.
    filter: { page: [{ prefix: /thanks }, /welcome], device: mobile }
funnels:
  - name: checkout
    description: To the order.
    steps:
      - { name: cart, filter: { event: add_to_cart } }
      - { name: order, filter: { event: purchase, campaign: { pattern: "a*" } } }
`;

Deno.test("a file of views becomes the views that it declares", () => {
  const { views: [carts, days], declared, hash } = readDeclared(WHOLE, "views.yaml");
  assert.equal(carts!.name, "sale_carts");
  assert.deepEqual(carts!.where, {
    type: ["add_to_cart"],
    pagePath: [{ around: ["/sale/", ""] }, { around: ["", "/outlet/", ""] }, "/sale"],
    campaign: [{ around: ["", ""] }],
  });
  assert.deepEqual(carts!.window, { kind: "hopping", widthMs: 900_000, everyMs: 300_000 });
  assert.deepEqual(carts!.by, ["campaign", "device", "bot"]);
  const measured = Object.entries(carts!.measures).map(([name, { kind, of, where }]) => [name, kind, of, where]);
  assert.deepEqual(measured, [
    ["carts", "count", undefined, {}],
    ["people", "distinct", undefined, {}],
    ["price_cents", "sum", "price", {}],
    ["phone_carts", "count", undefined, { device: ["mobile"] }],
    ["last_page", "last", "pagePath", {}],
  ]);
  assert.deepEqual([days!.window.kind, days!.by], ["day", ["product", "bot"]]);
  // Events without a product have no row.
  assert.deepEqual(days!.where, { product: [{ around: ["", ""] }] });
  assert.match(hash, /^[0-9a-f]{64}$/);
  // What is stored is read again as it is.
  assert.deepEqual(viewsOfDeclared(JSON.parse(JSON.stringify(declared))).declared, declared);
});

Deno.test("goals and funnels become measures of sessions, and change no other view", () => {
  const file = readDeclared(OF_SESSIONS, "views.yaml");
  const { ofSessions, declared, hash, views } = file;
  assert.deepEqual(views, []);
  assert.deepEqual(ofSessions.map(({ kind, name, column }) => `${kind} ${name}: ${column}`), [
    ...["goal order: goal_order", "goal signup: goal_signup", "funnel checkout: funnel_checkout"],
  ]);
  const [order, signup, checkout] = ofSessions.map(({ measure }) => measure);
  assert.deepEqual([order!.kind, order!.where], ["count", { type: ["purchase"] }]);
  assert.deepEqual(signup!.where, { pagePath: [{ around: ["/thanks", ""] }, "/welcome"], device: ["mobile"] });
  assert.deepEqual(checkout!.steps, [{ type: ["add_to_cart"] }, {
    type: ["purchase"],
    campaign: [{ around: ["a", ""] }],
  }]);
  assert.deepEqual(ofSessions.flatMap(({ column, measure }) => measure.columns(column)), [
    { name: "goal_order", type: "bigint", nullable: false, default: "0" },
    { name: "goal_signup", type: "bigint", nullable: false, default: "0" },
    { name: "funnel_checkout", type: "smallint", nullable: false, default: "0" },
    { name: "funnel_checkout_state", type: "bytea", nullable: true },
  ]);
  assert.equal(countsIn(declared), "2 goals and 1 funnel");
  assert.deepEqual(viewsOfDeclared(JSON.parse(JSON.stringify(declared))).declared, declared);
  assert.match(hash, /^[0-9a-f]{64}$/);
  for (const zone of [null, UTC]) {
    const asked = withDeclared(VIEWS, file);
    const all = zone === null ? asked : forShop(asked, { siteHosts: ["shop.example"], zone });
    assert.deepEqual(all.map(({ name }) => name), VIEWS.map(({ name }) => name));
    const added = all.flatMap((view, n) =>
      Object.keys(view.measures).filter((name) => !(name in VIEWS[n]!.measures)).map((name) => `${view.name}.${name}`)
    );
    assert.deepEqual(added, ["sessions.goal_order", "sessions.goal_signup", "sessions.funnel_checkout"]);
  }
  assert.equal(withDeclared(VIEWS, null), VIEWS);
});

Deno.test("a goal or funnel changes the hash, and a file without them has the hash that it had before there were any", () => {
  const hash = (text: string) => readDeclared(text, "views.yaml").hash;
  assert.equal(hash(WHOLE), "4f8029a0464c0d1ba5b324ba115f0c20fe2e37f18708e091db04419810f929e1");
  assert.equal(hash(`${WHOLE}goals: []\n`), hash(WHOLE));
  assert.notEqual(hash(WHOLE + OF_SESSIONS.slice(1)), hash(WHOLE));
  assert.notEqual(hash(OF_SESSIONS.replace("name: cart", "name: basket")), hash(OF_SESSIONS));
  assert.notEqual(hash(OF_SESSIONS.replace("Signed up.", "Signed.")), hash(OF_SESSIONS));
  const [goals, funnels] = OF_SESSIONS.split("funnels:");
  assert.equal(hash(`funnels:${funnels}${goals}`), hash(OF_SESSIONS));
});

Deno.test("the hash is that of the content, whatever its order and notation", () => {
  const hash = (text: string) => readDeclared(text, "views.yaml").hash;
  const [one, other] = WHOLE.trim().split("\n  - ").slice(1);
  assert.equal(hash(`views:\n  - ${other}\n  - ${one}`), hash(WHOLE));
  assert.equal(
    hash(WHOLE.replace("carts: count", "carts: { measure: count }").replace("/sale]", '"/sale"]')),
    hash(WHOLE),
  );
  assert.equal(
    hash(WHOLE.replace("event: add_to_cart", "event: [add_to_cart]").replace("keys:", "# a remark\n    keys:")),
    hash(WHOLE),
  );
  assert.notEqual(hash(WHOLE.replace("/sale/ }", "/sales/ }")), hash(WHOLE));
  assert.notEqual(hash(WHOLE.replace("15 minutes", "20 minutes")), hash(WHOLE));
  assert.equal(hash("views: []"), "");
});

Deno.test("every column of a declared view has a comment", () => {
  for (const view of readDeclared(WHOLE, "views.yaml").views) {
    const { window, key, measured } = tableOf(view);
    const commented = columnComments(view);
    for (const { name } of [...window, ...key, ...measured]) {
      if (view.measures[name]?.kind !== "distinct") assert.ok(commented[name], `${view.name}.${name}`);
    }
  }
});

/** A view with these lines in the place of its own. */
function changed(lines: Readonly<Record<string, string>>): string {
  const own = { name: "baskets", description: "Carts.", window: "5 minutes", measures: "{ carts: count }", ...lines };
  return `views:\n${
    Object.entries(own).map(([key, value], n) => `${n === 0 ? "  -" : "   "} ${key}: ${value}`).join("\n")
  }\n`;
}

/** A funnel with these lines in the place of its own. */
function funnels(lines: Readonly<Record<string, string>>): string {
  const own = { name: "f", description: "F.", steps: "[{ name: a, filter: {} }, { name: b, filter: {} }]", ...lines };
  return `funnels:\n${
    Object.entries(own).map(([key, value], n) => `${n === 0 ? "  -" : "   "} ${key}: ${value}`).join("\n")
  }\n`;
}

const FAULTS: readonly (readonly [text: string, faults: readonly string[]])[] = [
  ["", ["1:1 the file must be a map with views, goals or funnels"]],
  ["- a", ["1:1 the file must be a map with views, goals or funnels"]],
  ["views: 3", ["1:1 views is 3; it must be a list"]],
  ["views: []\nview: []", ["2:1 view is not known"]],
  ["views:\n- name: [", [
    "2:10 Flow sequence in block collection must be sufficiently indented and end with a ]",
  ]],
  ["views: []\nviews: []", ["2:1 Map keys must be unique"]],
  [changed({ name: "Carts" }), [
    '2:5 views[0].name is "Carts"; it must be a name: 1 to 50 small letters, digits and _, beginning with a letter',
  ]],
  [changed({ name: "user" }), ['2:5 views[0].name is "user"; it is a keyword of SQL; choose another name']],
  [changed({ name: "page_days" }), ['2:5 views[0].name is "page_days", which the schema has already']],
  [changed({ name: "top_pages" }), ['2:5 views[0].name is "top_pages", which the schema has already']],
  [changed({ name: "events_20260101" }), ['2:5 views[0].name is "events_20260101", which the schema has already']],
  [changed({}) + changed({}).replace("views:\n", ""), ['6:5 views[1].name is "baskets", as another view\'s']],
  [changed({ window: "5 minuts" }), [
    '4:5 views[0].window is "5 minuts"; it must be a number of minutes or hours up to 24 hours, such as "5 minutes", or "1 day"',
  ]],
  [changed({ window: "25 hours" }), [
    '4:5 views[0].window is "25 hours"; it must be a number of minutes or hours up to 24 hours, such as "5 minutes", or "1 day"',
  ]],
  [changed({ window: "{ size: 5 minutes, every: often }" }), [
    '4:32 views[0].window.every is "often"; it must be a number of minutes or hours, such as "5 minutes"',
  ]],
  [changed({ window: "{ size: 2 hours, every: 1 minute }" }), [
    '4:5 views[0].window must not count an event in more than 60 windows; choose a longer "every"',
  ]],
  [changed({ window: "{ size: 10 minutes, every: 3 minutes }" }), [
    '4:5 views[0].window must have a size that is a multiple of its "every"',
  ]],
  [changed({ keys: "[device, user]" }), [
    '6:20 views[0].keys[1] is "user"; it must be one of event, page, device, region, product, campaign',
  ]],
  [changed({ keys: "[device, device]" }), ["6:5 views[0].keys must not name a key twice"]],
  [changed({ measures: "{}" }), ["5:5 views[0].measures must not be empty"]],
  [changed({ measures: "{ order: count }" }), [
    "5:17 views[0].measures.order is a keyword of SQL; choose another name",
  ]],
  [changed({ measures: "{ device: count }" }), [
    '2:5 view "baskets": device has a column device, as the window or the keys',
  ]],
  [changed({ measures: "{ is_bot: count }" }), [
    '2:5 view "baskets": is_bot has a column is_bot, as the window or the keys',
  ]],
  [changed({ measures: "{ a: last page, a_at: count }" }), ['2:5 view "baskets": a_at has a column a_at, as a']],
  [changed({ measures: "{ a: average price }" }), [
    '5:17 views[0].measures.a is "average price"; it must be count, users, sum, min or max with revenue or price, or ' +
    'first or last with event, page, device, region, product or campaign, such as "sum revenue" or "last page"',
  ]],
  [changed({ filter: "{ page: { suffix: /a } }" }), [
    "6:15 views[0].filter.page must be a text, {prefix: TEXT} or {pattern: TEXT}, or a list of them",
  ]],
  [changed({ filter: "{ user: ann }" }), ["6:15 views[0].filter.user is not known"]],
  [changed({ filter: "{ event: [] }" }), ["6:15 views[0].filter.event must not be an empty list"]],
  [changed({ description: "''" }), ['3:5 views[0].description is ""; it must not be empty']],
  ["goals: a", ['1:1 goals is "a"; it must be a list']],
  ["goals: [a]", ['1:9 goals[0] is "a"; it must be a map with name, description and filter']],
  ["goals:\n- { name: Sale, description: A. }", [
    "2:3 goals[0].filter is missing; it must be a map of dimensions",
    '2:5 goals[0].name is "Sale"; it must be a name: 1 to 50 small letters, digits and _, beginning with a letter',
  ]],
  ["goals:\n- { name: a, description: A., filter: { user: ann } }", ["2:41 goals[0].filter.user is not known"]],
  ["goals:\n- &a { name: a, description: A., filter: {} }\n- *a", ['3:3 goals[1].name is "a", as another goal\'s']],
  [`goals: [{ name: a, description: A., filter: {} }]\n${funnels({ name: "a" })}`, [
    '3:5 funnels[0].name is "a", as a goal\'s',
  ]],
  [funnels({ name: "step" }), [
    '2:5 funnels[0].name is "step"; it has the column funnel_step, which sessions have already',
  ]],
  [funnels({ name: "a" }) + funnels({ name: "a_state" }).replace("funnels:\n", ""), [
    '5:5 funnels[1].name is "a_state"; it has the column funnel_a_state, which the funnel a has',
  ]],
  [funnels({ steps: "[{ name: a, filter: {} }]" }), ["4:5 funnels[0].steps must be a list of 2 to 8 steps"]],
  [funnels({ steps: `[${Array.from({ length: 9 }, (_, n) => `{ name: s${n}, filter: {} }`).join(", ")}]` }), [
    "4:5 funnels[0].steps must be a list of 2 to 8 steps",
  ]],
  [funnels({ steps: "[{ name: a, filter: {} }, { name: a, filter: { event: b } }]" }), [
    "4:5 funnels[0].steps must not have two steps of one name",
  ]],
  [funnels({ steps: "[{ name: a, filter: {} }, { name: b, filter: { page: [] } }]" }), [
    "4:59 funnels[0].steps[1].filter.page must not be an empty list",
  ]],
  [funnels({ steps: "[page_view, purchase]" }), [
    '4:13 funnels[0].steps[0] is "page_view"; it must be a map with name and filter',
    '4:24 funnels[0].steps[1] is "purchase"; it must be a map with name and filter',
  ]],
  [`goals:\n${Array.from({ length: 21 }, (_, n) => `- { name: g${n}, description: A., filter: {} }\n`).join("")}`, [
    "1:1 goals must have at most 20 goals",
  ]],
];

Deno.test("every fault of a file is named with its place and what is allowed", () => {
  for (const [text, faults] of FAULTS) {
    try {
      readDeclared(text, "views.yaml");
    } catch (error) {
      assert.ok(error instanceof WrongDeclarations, String(error));
      const said = error.faults.map(({ line, column, message }) => `${line}:${column} ${message}`);
      assert.deepEqual(said, faults, text);
      continue;
    }
    assert.fail(`no fault was found in ${text}`);
  }
});

Deno.test("all faults are named at once, in the order of the file", () => {
  const text = changed({ window: "x", name: "A", measures: "{ a: b }" });
  assert.throws(() => readDeclared(text, "views.yaml"), (error: unknown) => {
    assert.ok(error instanceof WrongDeclarations);
    assert.deepEqual(error.faults.map(({ line }) => line), [2, 4, 5]);
    assert.match(error.message, /^line 2, column 5: views\[0\]\.name is "A"; .*; line 4, column 5: .*; line 5, /);
    return true;
  });
});

Deno.test("aliases cannot make a file grow without bound", () => {
  const levels = Array.from({ length: 9 }, (_, n) => `a${n + 1}: &a${n + 1} [${Array(9).fill(`*a${n}`).join(", ")}]`);
  assert.throws(() => readDeclared(`a0: &a0 [x]\n${levels.join("\n")}`, "views.yaml"), /Excessive alias count/);
});

Deno.test("the published JSON Schema is that of the file", async () => {
  assert.deepEqual(
    JSON.parse(await Deno.readTextFile(PUBLISHED)),
    jsonSchema(),
    "docs/views.schema.json is stale: clickstream views schema prints it",
  );
});
