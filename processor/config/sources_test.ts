import assert from "node:assert/strict";
import { CONFIG_FILE, find, settingsIn, WrongSettings } from "./sources.ts";

/** Runs `body` with these environment variables and files in a folder; `${folder}` in a variable is that folder. */
function given(
  env: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>>,
  body: (folder: string) => void,
): void {
  const folder = Deno.makeTempDirSync({ prefix: "clickstream-" });
  const before = Object.keys(env).map((name) => [name, Deno.env.get(name)] as const);
  try {
    for (const [name, text] of Object.entries(files)) Deno.writeTextFileSync(`${folder}/${name}`, text);
    for (const [name, text] of Object.entries(env)) Deno.env.set(name, text.replaceAll("${folder}", folder));
    body(folder);
  } finally {
    for (const [name, text] of before) {
      if (text === undefined) Deno.env.delete(name);
      else Deno.env.set(name, text);
    }
    Deno.removeSync(folder, { recursive: true });
  }
}

const FILES = {
  "secret": "of-the-file\n",
  "KAFKA_GROUP_ID": "of-the-credential\n",
  "c.env": "KAFKA_GROUP_ID=of-config\n",
};

Deno.test("the environment counts before a named file, a credential and the file of settings", () => {
  const all = { CREDENTIALS_DIRECTORY: "${folder}", [CONFIG_FILE]: "${folder}/c.env" };
  given({ ...all, KAFKA_GROUP_ID: "of-the-variable" }, FILES, () => {
    assert.deepEqual(find("KAFKA_GROUP_ID"), { text: "of-the-variable", source: "environment" });
  });
  given({ ...all, KAFKA_GROUP_ID_FILE: "${folder}/secret" }, FILES, (folder) => {
    assert.deepEqual(find("KAFKA_GROUP_ID"), { text: "of-the-file", source: `${folder}/secret` });
  });
  given({ ...all, KAFKA_GROUP_ID: "" }, FILES, (folder) => {
    assert.deepEqual(find("KAFKA_GROUP_ID"), { text: "of-the-credential", source: `${folder}/KAFKA_GROUP_ID` });
  });
  given({ [CONFIG_FILE]: "${folder}/c.env" }, FILES, (folder) => {
    assert.deepEqual(find("KAFKA_GROUP_ID"), { text: "of-config", source: `${folder}/c.env` });
    assert.equal(find("KAFKA_TOPIC"), undefined);
  });
  given({ KAFKA_GROUP_ID: "a", KAFKA_GROUP_ID_FILE: "${folder}/secret" }, FILES, () => {
    assert.throws(() => find("KAFKA_GROUP_ID"), /KAFKA_GROUP_ID and KAFKA_GROUP_ID_FILE are both set/);
  });
  given({ KAFKA_GROUP_ID_FILE: "/nowhere" }, {}, () => {
    assert.throws(() => find("KAFKA_GROUP_ID"), /cannot read KAFKA_GROUP_ID_FILE \/nowhere/);
  });
});

Deno.test("reads a file of settings as systemd does, and refuses what others read differently", () => {
  const lines = [
    "# a comment",
    "; another",
    "",
    "A=1",
    "  B=two words  ",
    "C='it is # quoted'",
    "D=\"a 'b'\"",
    "E=",
    "F=a#b=c$d",
  ];
  given({}, { "good.env": lines.join("\r\n") }, (folder) => {
    assert.deepEqual(Object.fromEntries(settingsIn(`${folder}/good.env`)), {
      ...{ A: "1", B: "two words", C: "it is # quoted", D: "a 'b'", E: "", F: "a#b=c$d" },
    });
  });
  for (
    const line of [
      "nonsense",
      "A",
      "A = 1",
      "export A=1",
      "A=1 # remark",
      "A='x",
      'A="x\\n"',
      "A=a\\b",
      "A=it's",
      "1A=2",
    ]
  ) {
    given({}, { "bad.env": `X=1\n${line}\n` }, (folder) => {
      assert.throws(() => settingsIn(`${folder}/bad.env`), (error) => {
        return error instanceof WrongSettings && /bad\.env: line 2 is not NAME=value/.test(error.message);
      }, line);
    });
  }
  given({}, { "twice.env": "A=1\nA=2\n" }, (folder) => {
    assert.throws(() => settingsIn(`${folder}/twice.env`), /line 2 sets A again/);
  });
});
