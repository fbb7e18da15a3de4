/**
 * Changes the Kafka client in bundles: embeds its WebAssembly, and compiles the validators of its options only when they
 * are used.
 * @module
 */

/** How the client reads its WebAssembly, which computes checksums: from next to its own file. */
const READ_WASM = /[\w$]+\(new URL\("\.\.\/dist\/native\.wasm", ?import\.meta\.url\)\)/;

/** How the client compiles the validator of an option, as it is loaded. */
const COMPILE = "ajv.compile(";

/** Validators that the client compiles, at least. */
const FEWEST_VALIDATORS = 30;

const LAZY_VALIDATOR = `function lazyValidator(ajv, schema) {
  let compiled;
  // The schemas are the client's own; to validate them would take longer than to compile them.
  ajv.opts.validateSchema = false;
  return function validate(value) {
    compiled ??= ajv.compile(schema);
    const isValid = compiled(value);
    validate.errors = compiled.errors;
    return isValid;
  };
}
`;

/**
 * Returns a bundle with the WebAssembly in it.
 *
 * @throws {Error} if the client does not read it where it is expected to
 */
export async function withKafkaWasm(bundle: string): Promise<string> {
  const file = new URL("native.wasm", import.meta.resolve("@platformatic/wasm-utils"));
  const wasm = (await Deno.readFile(file)).toBase64();
  const pieces = bundle.split(READ_WASM);
  if (pieces.length !== 2) {
    throw new Error("the Kafka client reads its WebAssembly in another way: see tasks/kafka_client.ts");
  }
  return pieces.join(`Buffer.from("${wasm}", "base64")`);
}

/** Whether this part of a bundle reads the WebAssembly. */
export function readsKafkaWasm(part: string): boolean {
  return READ_WASM.test(part);
}

/**
 * The same part of a bundle with lazy validators, and how many there are. The client compiles all of them as it is
 * loaded, which takes longer than anything else at the start; it uses them only in its `strict` mode.
 */
export function withLazyValidators(part: string): { readonly text: string; readonly validators: number } {
  const pieces = part.split(COMPILE);
  if (pieces.length === 1) return { text: part, validators: 0 };
  return { text: LAZY_VALIDATOR + pieces.join("lazyValidator(ajv, "), validators: pieces.length - 1 };
}

/** @throws {Error} if a bundle has fewer validators than the client is known to have */
export function assertLazyValidators(validators: number): void {
  if (validators >= FEWEST_VALIDATORS) return;
  throw new Error(`the Kafka client has ${validators} validators, not ${FEWEST_VALIDATORS}: see tasks/kafka_client.ts`);
}
