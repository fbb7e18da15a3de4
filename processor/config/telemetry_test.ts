import assert from "node:assert/strict";
import fc from "fast-check";
import { readSettings, type SettingName, type Settings, WrongSettings } from "./config.ts";
import { shownSettings } from "./settings_shown.ts";
import { headersOf, pairsOf, TELEMETRY } from "./telemetry.ts";

const NAMES = Object.keys(TELEMETRY) as (keyof typeof TELEMETRY)[];

type Variables = Readonly<Partial<Record<SettingName, string>>>;

function read(variables: Variables): Settings<typeof NAMES[number]> {
  return readSettings(NAMES, (name) => variables[name as SettingName]);
}

function refused(variables: Variables): string {
  try {
    read(variables);
  } catch (error) {
    assert.ok(error instanceof WrongSettings);
    return error.message;
  }
  throw new assert.AssertionError({ message: `${JSON.stringify(variables)} should have been refused` });
}

Deno.test("without settings there is no collector, and every default is OpenTelemetry's", () => {
  const settings = read({});
  assert.equal(settings.OTEL_EXPORTER_OTLP_ENDPOINT, null);
  assert.equal(settings.OTEL_EXPORTER_OTLP_TIMEOUT, 10_000);
  assert.equal(settings.OTEL_METRIC_EXPORT_INTERVAL, 60_000);
  assert.equal(settings.OTEL_TRACES_SAMPLER, "parentbased_always_on");
  assert.equal(settings.OTEL_EXPORTER_OTLP_PROTOCOL, "http/protobuf");
  assert.equal(settings.OTEL_SPAN_LINK_COUNT_LIMIT, 128);
});

Deno.test("reads endpoints, headers and attributes as OpenTelemetry does", () => {
  const at = (OTEL_EXPORTER_OTLP_ENDPOINT: string) => read({ OTEL_EXPORTER_OTLP_ENDPOINT }).OTEL_EXPORTER_OTLP_ENDPOINT;
  assert.equal(at("http://collector:4318"), "http://collector:4318");
  assert.equal(at("https://otlp.example/api/otlp/"), "https://otlp.example/api/otlp");
  assert.equal(at("http://[::1]:4318"), "http://[::1]:4318");
  assert.deepEqual(headersOf("authorization=Basic%20a%3D=, x-scope = 7,"), [
    ["authorization", "Basic a=="],
    ["x-scope", "7"],
  ]);
  assert.deepEqual(pairsOf("deployment.environment.name=a%2Cb,team=shop"), [
    ["deployment.environment.name", "a,b"],
    ["team", "shop"],
  ]);
  assert.equal(read({ OTEL_TRACES_SAMPLER_ARG: "0.25" }).OTEL_TRACES_SAMPLER_ARG, 0.25);
});

Deno.test("refuses what it cannot follow, and names it", () => {
  const wrong: readonly (readonly [keyof typeof TELEMETRY, string, RegExp])[] = [
    ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", /must be http\/protobuf or http\/json/],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", /not the address of a collector/],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector", /not the address of a collector/],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:secret@collector", /a login belongs into OTEL_EXPORTER_OTLP_HEADERS/],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector/?a=b", /has parameters/],
    ["OTEL_EXPORTER_OTLP_HEADERS", "novalue", /part 1 is not name=value/],
    ["OTEL_EXPORTER_OTLP_HEADERS", "a=1,content-type=text/plain", /part 2 would change a header/],
    ["OTEL_EXPORTER_OTLP_HEADERS", "a=x%0d%0ahost:%20evil", /the value of part 1 has characters not allowed/],
    ["OTEL_EXPORTER_OTLP_HEADERS", "a=%zz", /not percent-encoded/],
    ["OTEL_RESOURCE_ATTRIBUTES", "=a", /part 1 is not name=value/],
    ["OTEL_TRACES_SAMPLER", "jaeger_remote", /must be always_on/],
    ["OTEL_TRACES_SAMPLER_ARG", "1.5", /from 0 to 1/],
    ["OTEL_METRIC_EXPORT_INTERVAL", "10", /from 1000/],
    ["OTEL_SDK_DISABLED", "yes", /true or false/],
  ];
  for (const [name, value, said] of wrong) {
    const message = refused({ [name]: value });
    assert.match(message, said, `${name}=${value}`);
    assert.ok(message.includes(`  ${name} `), message);
    assert.doesNotMatch(message, /secret/);
  }
});

Deno.test("headers are in no message and nowhere shown", () => {
  fc.assert(fc.property(fc.string({ minLength: 1, maxLength: 30 }), (text) => {
    const secret = `hunter2${text}`;
    const variables = { OTEL_EXPORTER_OTLP_HEADERS: secret };
    let said: string;
    try {
      const settings = read(variables);
      said = JSON.stringify([settings, shownSettings(settings)]);
    } catch (error) {
      said = String(error);
    }
    assert.ok(!said.includes("hunter2"), said);
  }));
});
