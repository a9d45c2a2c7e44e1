/** `bulkhead completion SHELL` */
import type { Command } from "commander";
import { Argument } from "commander";
import type { ExitCode, Io, Shell } from "../io.ts";

type ShellName = "bash" | "zsh" | "fish" | "powershell";

export function register(program: Command, shell: Shell): void {
  program
    .command("completion")
    .description("Print a script that makes the shell complete commands, flags and the names in your manifests")
    .addArgument(new Argument("<shell>", "the shell").choices(["bash", "zsh", "fish", "powershell"]))
    .addHelpText(
      "after",
      `
Examples:
  source <(bulkhead completion bash)                      # this shell only; also in ~/.bashrc
  bulkhead completion zsh > "\${fpath[1]}/_bulkhead"
  bulkhead completion fish > ~/.config/fish/completions/bulkhead.fish
  bulkhead completion powershell | Out-String | Invoke-Expression

kubectl completes "kubectl bulkhead" by itself when kubectl_complete-bulkhead is on PATH, as the npm package installs it.`,
    )
    .action(async (name: ShellName) => {
      shell.exitCode = await run(name, shell.io);
    });
}

export async function run(name: ShellName, io: Io): Promise<ExitCode> {
  io.stdout.write(scripts[name]);
  return 0;
}

// Every script asks `bulkhead __complete WORD...`, which answers as cobra programs do: one `value<TAB>description` a line,
// then `:DIRECTIVE`; bit 1 error, 2 no space after it, 4 no file names.
const scripts: Readonly<Record<ShellName, string>> = {
  bash: `# bash completion for bulkhead
_bulkhead() {
  local current words=() answer directive line
  current="\${COMP_WORDS[COMP_CWORD]}"
  # "=" and ":" split words in COMP_WORDS; the line up to the cursor, cut at blanks, does not
  local upto="\${COMP_LINE:0:COMP_POINT}"
  read -r -a words <<< "$upto"
  [[ "$upto" == *[[:space:]] ]] && words+=("")
  answer="$("\${words[0]}" __completeNoDesc "\${words[@]:1}" 2>/dev/null)" || return
  directive="\${answer##*:}"
  answer="\${answer%$'\\n':*}"
  local whole="\${words[\${#words[@]}-1]}"
  local cut="\${whole%"$current"}"
  COMPREPLY=()
  if [[ "$answer" != :* ]]; then
    while IFS= read -r line; do
      [[ -n "$line" && "$line" == "$whole"* ]] && COMPREPLY+=("\${line#"$cut"}")
    done <<< "$answer"
  fi
  if (( \${#COMPREPLY[@]} == 0 && (directive & 4) == 0 )); then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
  (( directive & 2 )) && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _bulkhead bulkhead
`,
  zsh: `#compdef bulkhead
# zsh completion for bulkhead
_bulkhead() {
  local -a lines values
  local answer directive line value description
  answer="$("\${words[1]}" __complete "\${(@Q)words[2,CURRENT]}" 2>/dev/null)" || return 1
  lines=("\${(@f)answer}")
  directive="\${lines[-1]#:}"
  lines=("\${(@)lines[1,-2]}")
  for line in "\${lines[@]}"; do
    value="\${line%%$'\\t'*}"
    description=""
    [[ "$line" == *$'\\t'* ]] && description="\${line#*$'\\t'}"
    values+=("\${value//:/\\\\:}:$description")
  done
  if (( \${#values} )); then
    local -a options
    (( directive & 2 )) && options=(-S '')
    _describe -V bulkhead values "\${options[@]}" && return 0
  fi
  (( directive & 4 )) || _files
}
if [[ "$funcstack[1]" == "_bulkhead" ]]; then _bulkhead; else compdef _bulkhead bulkhead; fi
`,
  fish: `# fish completion for bulkhead
function __bulkhead_complete
  set -l words (commandline -opc)
  set -l answer ($words[1] __complete $words[2..-1] (commandline -ct) 2>/dev/null)
  or return
  test (count $answer) -gt 0; or return
  set -l directive (string replace -r '^:' '' -- $answer[-1])
  if test (count $answer) -gt 1
    printf '%s\\n' $answer[1..-2]
  else if test (math "bitand($directive, 4)") -eq 0
    __fish_complete_path (commandline -ct)
  end
end
complete -c bulkhead -f -a '(__bulkhead_complete)'
`,
  powershell: `# PowerShell completion for bulkhead
Register-ArgumentCompleter -Native -CommandName bulkhead -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | ForEach-Object { $_.Extent.Text })
  $arguments = @($words | Select-Object -Skip 1)
  if ($wordToComplete -eq '') { $arguments += '""' }
  $answer = @(& $words[0] __complete @arguments 2>$null)
  $answer | Select-Object -SkipLast 1 | ForEach-Object {
    $value, $description = $_ -split "\`t", 2
    if (-not $description) { $description = $value }
    [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $description)
  }
}
`,
};
