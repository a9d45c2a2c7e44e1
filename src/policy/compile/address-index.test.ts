import fc from "fast-check";
import { expect, test } from "vitest";
import { AddressSet, parseAddress, parseCidr } from "../../net/address.ts";
import { AddressIndex } from "./address-index.ts";

const texts = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "255.255.255.255", "::", "fd00::1", "fd00::2", "fd00::8000:0:0:1"];
const sets = [
  "10.0.0.0/24",
  "10.0.0.2/32",
  "0.0.0.0/0",
  "255.255.255.255/32",
  "::/0",
  "fd00::/127",
  "fd00::8000:0:0:0/66",
].map((text) => AddressSet.ofCidrs([parseCidr(text)!.cidr]));

test("answers by address and by range as a plain list would", () => {
  const step = fc.record({ add: fc.boolean(), text: fc.constantFrom(...texts), owner: fc.constantFrom("a", "b", "c") });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const index = new AddressIndex<string>();
      const plain = new Set<string>();
      for (const { add, text, owner } of steps) {
        const address = parseAddress(text)!;
        if (add) index.add(address, owner);
        else index.remove(address, owner);
        if (add) plain.add(`${text} ${owner}`);
        else plain.delete(`${text} ${owner}`);
        const pairs = [...plain].map((pair) => pair.split(" ") as [string, string]);
        expect([...index.at(address)].sort()).toEqual(pairs.flatMap(([at, who]) => (at === text ? [who] : [])).sort());
        for (const set of sets) {
          const expected = pairs.flatMap(([at, who]) => (set.has(parseAddress(at)!) ? [who] : []));
          expect([...index.within(set)].sort()).toEqual(expected.sort());
        }
      }
    }),
  );
});
