/**
 * AWS, asked through its command line: it knows every kind of login.
 * @module
 */

/** A region, seen with the logins of whoever runs this. */
export class Aws {
  readonly region: string;

  constructor(region: string) {
    this.region = region;
  }

  /**
   * Runs a command, such as `ssm get-parameter --name x`; returns its output.
   *
   * @throws {AwsError} with what AWS answered
   */
  async run(...args: readonly string[]): Promise<string> {
    const env = { AWS_PAGER: "" };
    const all = ["--region", this.region, ...args];
    const { success, stdout, stderr } = await new Deno.Command("aws", { args: all, env }).output();
    if (!success) throw new AwsError(args, new TextDecoder().decode(stderr).trim());
    return new TextDecoder().decode(stdout).trim();
  }

  /** The same, with JSON as the output. */
  async json<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.run(...args, "--output", "json")) as T;
  }
}

/** AWS refused, or did not answer. */
export class AwsError extends Error {
  override name = "AwsError";
  /** AWS's name for it, such as `ParameterNotFound`; empty if there is none. */
  readonly code: string;

  constructor(args: readonly string[], answer: string) {
    super(`aws ${args.slice(0, 2).join(" ")}: ${answer}`);
    this.code = /An error occurred \((\w+)\)/.exec(answer)?.[1] ?? "";
  }
}
