/**
 * The command `completions`: scripts by which shells complete commands and options, made from the commands themselves.
 * @module
 */
import type { Command, Option } from "commander";

/** Shells with a script. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** One of `SHELLS`. */
export type Shell = typeof SHELLS[number];

/** What may follow a command. */
interface Level {
  /** Names of the commands that lead here, such as `refusals list`; empty for the program itself. */
  readonly path: string;
  readonly commands: readonly Word[];
  readonly options: readonly Word[];
  /** Whether a file may follow. */
  readonly takesFile: boolean;
}

/** A word, and what it does. */
interface Word {
  readonly word: string;
  readonly about: string;
}

/** The script for a shell. */
export function completionScript(program: Command, shell: Shell): string {
  const levels = levelsOf(program, "", program.options);
  return { bash, zsh, fish }[shell](program.name(), levels);
}

function levelsOf(command: Command, path: string, everywhere: readonly Option[]): Level[] {
  const below = command.commands.filter((each) => each.name() !== "help");
  const options = new Set([...command.options, ...everywhere]);
  const level: Level = {
    path,
    commands: below.map((each) => ({ word: each.name(), about: each.description() })),
    options: [
      ...[...options].map(({ long, description }) => ({ word: long!, about: description })),
      { word: "--help", about: "Print the help" },
    ],
    takesFile: command.registeredArguments.some((argument) => argument.name() === "file"),
  };
  return [level, ...below.flatMap((each) => levelsOf(each, `${path} ${each.name()}`.trim(), everywhere))];
}

function words(of: readonly Word[]): string {
  return of.map(({ word }) => word).join(" ");
}

/** Sets `path` to the commands among the words before the cursor. */
function pathLoop(levels: readonly Level[], each: string): string {
  const paths = levels.filter(({ path }) => path !== "").map(({ path }) => `"${path}"`).join("|");
  return `  for word in ${each}; do
    case "\${path:+$path }$word" in
      ${paths}) path="\${path:+$path }$word" ;;
    esac
  done`;
}

function bash(name: string, levels: readonly Level[]): string {
  const cases = levels.map(({ path, commands, options, takesFile }) =>
    `    "${path}") all="${words([...commands, ...options])}"${takesFile ? " files=1" : ""} ;;`
  );
  return `# Completion of ${name} for bash: source this file, or put it into /etc/bash_completion.d/.
_${name}() {
  local word path="" all="" files="" current="\${COMP_WORDS[COMP_CWORD]}"
${pathLoop(levels, '"${COMP_WORDS[@]:1:COMP_CWORD-1}"')}
  case "$path" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$all" -- "$current"))
  if [[ -n $files || \${COMP_WORDS[COMP_CWORD-1]} == --config || \${COMP_WORDS[COMP_CWORD-1]} == --out ]]; then
    COMPREPLY+=($(compgen -f -- "$current"))
  fi
}
complete -o filenames -F _${name} ${name}
`;
}

function zsh(name: string, levels: readonly Level[]): string {
  const list = (of: readonly Word[]) => of.map(({ word, about }) => quoted(`${word}:${about}`)).join(" ");
  const cases = levels.map(({ path, commands, options, takesFile }) =>
    `    "${path}") all=(${list([...commands, ...options])})${takesFile ? " files=1" : ""} ;;`
  );
  return `#compdef ${name}
# Completion of ${name} for zsh: put this file as _${name} into a folder of $fpath.
_${name}() {
  local word path_="" files=""
  local -a all
${
    pathLoop(levels, '"${(@)words[2,CURRENT-1]}"').replaceAll("path=", "path_=").replaceAll(
      "${path:+$path }",
      "${path_:+$path_ }",
    )
  }
  case "$path_" in
${cases.join("\n")}
  esac
  _describe ${name} all
  if [[ -n $files || \${words[CURRENT-1]} == (--config|--out) ]]; then _files; fi
}
compdef _${name} ${name}
`;
}

function fish(name: string, levels: readonly Level[]): string {
  const lines = levels.flatMap(({ path, commands, options, takesFile }) => {
    const when = `-n '__${name}_at "${path}"'`;
    return [
      ...commands.map(({ word, about }) => `complete -c ${name} -f ${when} -a ${word} -d ${quoted(about)}`),
      ...options.map(({ word, about }) => `complete -c ${name} ${when} -l ${word.slice(2)} -d ${quoted(about)}`),
      ...(takesFile ? [`complete -c ${name} -F ${when}`] : []),
    ];
  });
  const paths = levels.filter(({ path }) => path !== "").map(({ path }) => `"${path}"`).join(" ");
  return `# Completion of ${name} for fish: put this file as ${name}.fish into ~/.config/fish/completions/.
function __${name}_at
  set -l path
  for word in (commandline -opc)[2..]
    set -l next (string trim "$path $word")
    contains -- "$next" ${paths}; and set path $next
  end
  test "$path" = "$argv[1]"
end
complete -c ${name} -f
${lines.join("\n")}
`;
}

/** A text in single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
