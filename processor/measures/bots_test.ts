import assert from "node:assert/strict";
import { list } from "isbot";
import { BOT_LIST_VERSION, BOT_PATTERN, BotList } from "./bot_list.ts";

/** User agents of people, and of robots. */
const PEOPLE = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 " +
  "Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
  "Mozilla/5.0 (Linux; Android 15; CUBOT X70) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile " +
  "Safari/537.36",
];
const ROBOTS = [
  "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
  "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
  "curl/8.14.1",
  "python-requests/2.32.5",
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36",
];

Deno.test("the list has a version, and tells robots from people", () => {
  assert.match(BOT_LIST_VERSION, /^\d+\.\d+\.\d+$/);
  const bots = new BotList();
  for (const again of [false, true]) {
    for (const userAgent of PEOPLE) assert.equal(bots.has(userAgent), false, `${userAgent}, again: ${again}`);
    for (const userAgent of ROBOTS) assert.equal(bots.has(userAgent), true, `${userAgent}, again: ${again}`);
    for (const userAgent of ROBOTS) assert.equal(bots.has(userAgent.toUpperCase()), true, userAgent);
  }
});

Deno.test("the list forgets what it knows before it takes much memory, and says the same", () => {
  const bots = new BotList();
  for (let n = 0; n < 3000; n++) {
    assert.equal(bots.has(`${PEOPLE[0]} (${n}; ${"x".repeat(800)})`), false);
    assert.equal(bots.has(`${ROBOTS[0]} ${n} ${"x".repeat(800)}`), true);
  }
  assert.equal(bots.has(PEOPLE[0]!), false);
});

/** The longest user agents that an event may have, made of what the list's patterns repeat. */
function* hostile(): Generator<string> {
  const parts = [
    ...[
      "a",
      "1",
      ".",
      "/",
      " ",
      "-",
      "_",
      "(",
      ")",
      ";",
      ":",
      "%",
      "@",
      "a/",
      "1.",
      ".1",
      "; a",
      "@a",
      "@a-",
      "\u017f",
    ],
    ...[
      "searc",
      " cubot",
      " channel/google",
      "sapphire",
      "mozilla/5.0 (a/1.1 ",
      "mozilla/5.0 ",
      "a/1.0",
      "/v1.1",
      "bo",
    ],
    ...["mozilla/5.0 (compatible; ", "http", "libhttp", "javA;", "google app", "abcdefghijkmnopqstuvwxyz /;.-"],
  ];
  for (const begin of ["", "mozilla/5.0 (", "x mozilla/5.0 "]) {
    for (const one of parts) {
      for (const other of parts) {
        yield (begin + (one + other).repeat(1024)).slice(0, 1023) + "!";
        yield (begin + one.repeat(600 / one.length) + other.repeat(1024)).slice(0, 1023) + "!";
      }
    }
  }
}

Deno.test("no user agent takes the expression long", () => {
  const expression = new RegExp(BOT_PATTERN, "i");
  for (const warm of [true, false]) {
    let [worstMs, worst] = [0, ""];
    for (const userAgent of hostile()) {
      // The shortest of several times, because a busy machine stops a test at any moment.
      let ms = Infinity;
      for (let n = 0; n < 3; n++) {
        const startMs = performance.now();
        expression.test(userAgent);
        ms = Math.min(ms, performance.now() - startMs);
      }
      if (ms > worstMs) [worstMs, worst] = [ms, userAgent];
    }
    if (!warm) assert.ok(worstMs < 5, `${worstMs} ms for ${worst.slice(0, 80)}`);
  }
});

Deno.test("the expression of Flink's job is the list, in a form that needs nothing of JavaScript alone", () => {
  assert.equal(BOT_PATTERN, new RegExp(list.join("|"), "i").source);
  // No named groups, no Unicode properties, no quantified lookaround: the same means the same in Java.
  assert.doesNotMatch(BOT_PATTERN, /\(\?<[^!=]|\\[pk]|\(\?<?[!=][^)]*\)[*+?{]/);
});
