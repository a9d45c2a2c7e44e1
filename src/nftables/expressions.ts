/** Rules in the kernel's words: expressions, in attributes of linux/netfilter/nf_tables.h. */
import type { AttributeWriter } from "../netns/netlink-layout.ts";
import type { ConntrackState, Field, Rule, Statement } from "./rules.ts";

export const counterObject = 1; // NFT_OBJECT_COUNTER

/** The attributes of a list of expressions. */
export function writeRule(out: AttributeWriter, rule: Rule): void {
  for (const statement of rule) writeStatement(out, statement);
}

/** @param content writes what is behind NFTA_DATA_VALUE */
export const writeData = (out: AttributeWriter, type: number, content: () => void): void =>
  out.nested(type, () => out.written(1, content));
export const writeNumber = (out: AttributeWriter, type: number, number: number): void =>
  out.nested(type, () => out.hostNumber32(1, number));

export const verdictCode = { drop: 0, accept: 1, jump: -3 >>> 0, goto: -4 >>> 0 } as const;

export function writeVerdict(out: AttributeWriter, type: number, code: number, chain?: string): void {
  // NFTA_DATA_VERDICT
  out.nested(type, () =>
    out.nested(2, () => {
      out.number32(1, code); // NFTA_VERDICT_CODE
      if (chain !== undefined) out.text(2, chain); // NFTA_VERDICT_CHAIN
    }),
  );
}

function writeExpression(out: AttributeWriter, name: string, content: () => void): void {
  // NFTA_LIST_ELEM
  out.nested(1, () => {
    out.text(1, name); // NFTA_EXPR_NAME
    out.nested(2, content); // NFTA_EXPR_DATA
  });
}

const verdictRegister = 0; // NFT_REG_VERDICT
const register = 1; // NFT_REG_1

const stateBits: Readonly<Record<ConntrackState, number>> = { established: 2, new: 8 }; // NF_CT_STATE_BIT
const keyOfState = 0; // NFT_CT_STATE

/** The expression that reads or writes a field, and its key there. */
const access = {
  "meta priority": { name: "meta", key: 2, source: 3 }, // NFT_META_PRIORITY, NFTA_META_SREG
  "ct mark": { name: "ct", key: 3, source: 4 }, // NFT_CT_MARK, NFTA_CT_SREG
} as const;

const writeLoad = (out: AttributeWriter, name: string, key: number): void =>
  writeExpression(out, name, () => {
    out.number32(2, key); // NFTA_META_KEY, NFTA_CT_KEY
    out.number32(1, register); // NFTA_META_DREG, NFTA_CT_DREG
  });

function writeStore(out: AttributeWriter, field: Field): void {
  const { name, key, source } = access[field];
  writeExpression(out, name, () => {
    out.number32(2, key);
    out.number32(source, register);
  });
}

/** `register & mask ^ other` */
const writeBitwise = (out: AttributeWriter, mask: number, other: number): void =>
  writeExpression(out, "bitwise", () => {
    out.number32(1, register); // NFTA_BITWISE_SREG
    out.number32(2, register); // NFTA_BITWISE_DREG
    out.number32(3, 4); // NFTA_BITWISE_LEN: bytes
    writeNumber(out, 4, mask); // NFTA_BITWISE_MASK
    writeNumber(out, 5, other); // NFTA_BITWISE_XOR
  });

const writeCompare = (out: AttributeWriter, equal: boolean, number: number): void =>
  writeExpression(out, "cmp", () => {
    out.number32(1, register); // NFTA_CMP_SREG
    out.number32(2, equal ? 0 : 1); // NFTA_CMP_OP
    writeNumber(out, 3, number); // NFTA_CMP_DATA
  });

/** @param data writes NFTA_IMMEDIATE_DATA */
const writeImmediate = (out: AttributeWriter, into: number, data: () => void): void =>
  writeExpression(out, "immediate", () => {
    out.number32(1, into); // NFTA_IMMEDIATE_DREG
    data();
  });

function writeStatement(out: AttributeWriter, statement: Statement): void {
  switch (statement.kind) {
    case "counter":
      writeExpression(out, "objref", () => {
        out.number32(1, counterObject); // NFTA_OBJREF_IMM_TYPE
        out.text(2, statement.name); // NFTA_OBJREF_IMM_NAME
      });
      break;
    case "log":
      writeExpression(out, "log", () => {
        out.text(2, statement.prefix); // NFTA_LOG_PREFIX
        out.written(1, () => out.network16(statement.group)); // NFTA_LOG_GROUP
        out.number32(3, statement.snaplen); // NFTA_LOG_SNAPLEN
      });
      break;
    case "states": {
      const bits = statement.states.reduce((sum, state) => sum | stateBits[state], 0);
      writeLoad(out, "ct", keyOfState);
      writeBitwise(out, bits, 0);
      writeCompare(out, false, 0);
      break;
    }
    case "match": {
      const { field, mask, equal, value } = statement;
      const { name, key } = access[field];
      writeLoad(out, name, key);
      if (mask !== null) writeBitwise(out, mask, 0);
      writeCompare(out, equal, value);
      break;
    }
    case "set": {
      const { field, keep, bits } = statement;
      if (keep === 0) writeImmediate(out, register, () => writeNumber(out, 2, bits));
      else {
        const { name, key } = access[field];
        writeLoad(out, name, key);
        writeBitwise(out, keep, bits);
      }
      writeStore(out, field);
      break;
    }
    case "goto":
    case "jump":
      writeImmediate(out, verdictRegister, () => writeVerdict(out, 2, verdictCode[statement.kind], statement.chain));
      break;
    case "accept":
    case "drop":
      writeImmediate(out, verdictRegister, () => writeVerdict(out, 2, verdictCode[statement.kind]));
      break;
  }
}
