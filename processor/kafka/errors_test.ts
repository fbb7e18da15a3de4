import assert from "node:assert/strict";
import { MultipleErrors, ProtocolError, UserError } from "@platformatic/kafka";
import { isAnswer, isUnknownTopic } from "./errors.ts";

Deno.test("an error is recognised by Kafka's name for it, however the client words it", () => {
  const incompatible = new ProtocolError("INCONSISTENT_GROUP_PROTOCOL");
  incompatible.message = "reworded";
  const id = "INCONSISTENT_GROUP_PROTOCOL";
  const errors: readonly (readonly [unknown, boolean])[] = [
    [incompatible, true],
    [new MultipleErrors("joinGroup failed 2 times.", [new Error("gone"), incompatible]), true],
    [new Error("outer", { cause: incompatible }), true],
    [new ProtocolError("UNKNOWN_TOPIC_OR_PARTITION"), false],
    [new Error("The group member's supported protocols are incompatible"), false],
    ["not even an error", false],
  ];
  for (const [error, expected] of errors) assert.equal(isAnswer(error, id), expected, `${error}`);
});

Deno.test("an unknown topic is recognised by the client's code, unless another error contains it", () => {
  assert.equal(isUnknownTopic(new UserError("reworded")), true);
  assert.equal(isUnknownTopic(new MultipleErrors("failed", [new ProtocolError("UNKNOWN_TOPIC_OR_PARTITION")])), true);
  assert.equal(isUnknownTopic(new MultipleErrors("failed", [new UserError("Broker requires TLS.")])), false);
  assert.equal(isUnknownTopic(new Error("Unknown topic clicks.")), false);
});
