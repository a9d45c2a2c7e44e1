/** Commands as a script of nft(8). */
import { formatAddress } from "../net/address.ts";
import type { PortProtocol } from "../net/ports.ts";
import type { Command, Element, Key } from "./commands.ts";
import { classid } from "./numbers.ts";
import { ruleText } from "./rules.ts";

/** Elements in one command: keeps lines, and nft's errors, short. */
const elementsAtOnce = 500;

/** Lines, in order. @param table of family `inet` */
export function scriptOf(commands: readonly Command[], table: string): string {
  return [...commands.flatMap((command) => [...lines(command, `inet ${table}`)]), ""].join("\n");
}

function* lines(command: Command, table: string): Generator<string> {
  switch (command.kind) {
    case "add":
    case "delete":
      yield `${command.kind} ${command.what} ${table} ${command.name}`;
      break;
    case "flush":
      yield `flush chain ${table} ${command.chain}`;
      break;
    case "rule":
      yield `add rule ${table} ${command.chain} ${ruleText(command.rule)}`;
      break;
    case "elements": {
      const { add, set, elements } = command;
      for (let i = 0; i < elements.length; i += elementsAtOnce) {
        const some = elements.slice(i, i + elementsAtOnce).map(elementText);
        yield `${add ? "add" : "delete"} element ${table} ${set} { ${some.join(", ")} }`;
      }
      break;
    }
    case "script":
      yield* command.lines;
      break;
  }
}

function elementText({ key, value, comment }: Element): string {
  const said = comment === undefined ? "" : ` comment "${comment}"`;
  if (value === undefined) return `${keyText(key)}${said}`;
  return `${keyText(key)}${said} : ${"chain" in value ? `goto ${value.chain}` : classid(value.number)}`;
}

const protocolName: Readonly<Record<PortProtocol, string>> = { TCP: "tcp", UDP: "udp", SCTP: "sctp" };

function keyText(key: Key): string {
  switch (key.kind) {
    case "number":
      return classid(key.number);
    case "protocol":
      return `${classid(key.number)} . ${protocolName[key.protocol]}`;
    case "port":
      return `${classid(key.number)} . ${protocolName[key.protocol]} . ${key.port}`;
    case "ports":
      return `${classid(key.number)} . ${protocolName[key.protocol]} . ${key.start}-${key.end}`;
    case "address":
      return formatAddress(key.address);
    case "addresses": {
      const { family, start, end } = key;
      const first = formatAddress({ family, value: start });
      return start === end ? first : `${first}-${formatAddress({ family, value: end })}`;
    }
  }
}
