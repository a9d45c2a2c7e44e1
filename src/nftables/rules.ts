/** Rules as data: nft's words and the kernel's expressions are made of them. Only what changes at run time needs both. */
import { classid } from "./numbers.ts";

/** 32-bit numbers that come with a packet. */
export type Field = "meta priority" | "ct mark";

export type ConntrackState = "new" | "established";

export type Statement =
  | { readonly kind: "counter"; readonly name: string }
  /** @see nft(8), LOG STATEMENT; `snaplen` in bytes */
  | { readonly kind: "log"; readonly prefix: string; readonly group: number; readonly snaplen: number }
  | { readonly kind: "states"; readonly states: readonly ConntrackState[] }
  /** Goes on if `field & mask` is `value`, or is not. null: all bits. */
  | {
      readonly kind: "match";
      readonly field: Field;
      readonly mask: number | null;
      readonly equal: boolean;
      readonly value: number;
    }
  /** Makes the field `field & keep | bits`, which have no bit in common. */
  | { readonly kind: "set"; readonly field: Field; readonly keep: number; readonly bits: number }
  | { readonly kind: "goto" | "jump"; readonly chain: string }
  | { readonly kind: "accept" | "drop" };

export type Rule = readonly Statement[];

const all = 0xffff_ffff;

export const is = (field: Field, value: number, mask: number | null = null): Statement => {
  return { kind: "match", field, mask, equal: true, value };
};
export const isNot = (field: Field, value: number, mask: number | null = null): Statement => {
  return { kind: "match", field, mask, equal: false, value };
};
/** `field = value` */
export const assign = (field: Field, value: number): Statement => ({ kind: "set", field, keep: 0, bits: value });
/** `field |= bits` */
export const turnOn = (field: Field, bits: number): Statement => {
  return { kind: "set", field, keep: (all ^ bits) >>> 0, bits };
};
/** Puts `bits` in the place of the bits of `mask`. */
export const replace = (field: Field, mask: number, bits: number): Statement => {
  return { kind: "set", field, keep: (all ^ mask) >>> 0, bits };
};
export const jump = (chain: string): Statement => ({ kind: "jump", chain });
export const accept: Statement = { kind: "accept" };
export const drop: Statement = { kind: "drop" };

const hex = (value: number): string => `0x${value.toString(16).padStart(8, "0")}`;

const number: Readonly<Record<Field, (value: number) => string>> = { "meta priority": classid, "ct mark": hex };

/** In nft's words. */
export const ruleText = (rule: Rule): string => rule.map(statementText).join(" ");

function statementText(statement: Statement): string {
  switch (statement.kind) {
    case "counter":
      return `counter name ${statement.name}`;
    case "log":
      return `log prefix "${statement.prefix}" group ${statement.group} snaplen ${statement.snaplen}`;
    case "states":
      return `ct state ${statement.states.join(",")}`;
    case "match": {
      const { field, mask, equal, value } = statement;
      const operator = equal ? (mask === null ? "" : "== ") : "!= ";
      return `${field} ${mask === null ? "" : `& ${number[field](mask)} `}${operator}${number[field](value)}`;
    }
    case "set": {
      const { field, keep, bits } = statement;
      if (keep === 0) return `${field} set ${number[field](bits)}`;
      const kept = keep === (all ^ bits) >>> 0 ? "" : ` & ${number[field](keep)}`;
      return `${field} set ${field}${kept} | ${number[field](bits)}`;
    }
    case "goto":
    case "jump":
      return `${statement.kind} ${statement.chain}`;
    case "accept":
    case "drop":
      return statement.kind;
  }
}
