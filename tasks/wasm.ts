/**
 * Embeds the Kafka client's WebAssembly, which computes checksums, in bundles: the client expects it next to its own
 * file.
 * @module
 */

/**
 * Returns a bundle with the WebAssembly in it.
 *
 * @throws {Error} if the client does not read it where it is expected to
 */
export async function withKafkaWasm(bundle: string): Promise<string> {
  const file = new URL("native.wasm", import.meta.resolve("@platformatic/wasm-utils"));
  const wasm = (await Deno.readFile(file)).toBase64();
  const pieces = bundle.split(/[\w$]+\(new URL\("\.\.\/dist\/native\.wasm", ?import\.meta\.url\)\)/);
  if (pieces.length !== 2) throw new Error("the Kafka client reads its WebAssembly in another way: see tasks/wasm.ts");
  return pieces.join(`Buffer.from("${wasm}", "base64")`);
}
