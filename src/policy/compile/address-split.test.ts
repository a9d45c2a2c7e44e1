import fc from "fast-check";
import { expect, test } from "vitest";
import { AddressSet, parseAddress, parseCidr } from "../../net/address.ts";
import { AddressSplit } from "./address-split.ts";
import type { AddressGroup } from "./plan.ts";

const setOf = (...texts: string[]): AddressSet => AddressSet.ofCidrs(texts.map((text) => parseCidr(text)!.cidr));

const group = (id: number, set: AddressSet): AddressGroup => ({
  kind: "addresses",
  id,
  key: `addresses ${set.key}`,
  set,
});

const cidr = fc.constantFrom(
  "0.0.0.0/0",
  "0.0.0.0/1",
  "128.0.0.0/1",
  "10.0.0.0/8",
  "10.1.0.0/16",
  "10.1.0.0/17",
  "10.1.2.3/32",
  "255.255.255.255/32",
  "::/0",
  "2001:db8::/32",
  "2001:db8::1/128",
);

const arbitrarySet = fc
  .tuple(fc.uniqueArray(cidr, { minLength: 1, maxLength: 3 }), fc.uniqueArray(cidr, { maxLength: 2 }))
  .map(([inside, outside]) => setOf(...inside).minus(setOf(...outside)));

const arbitraryGroups = fc
  .uniqueArray(arbitrarySet, { maxLength: 8, selector: (set) => set.key })
  .map((sets) => sets.map((set, index) => group(index + 1, set)));

const facts = (split: AddressSplit): string[] =>
  split.pieces.map(({ set, groups }) => `${set.key} in ${groups.join()}`).sort();

const addresses = ["0.0.0.0", "9.255.255.255", "10.0.0.0", "10.1.2.3", "10.1.128.0", "127.255.255.255", "128.0.0.0"]
  .concat("255.255.255.255", "::", "2001:db8::1", "2001:db8::2", "ffff::")
  .map((text) => parseAddress(text)!);

test("pieces are disjoint, cover everything, and say the groups of each address", () => {
  fc.assert(
    fc.property(arbitraryGroups, (groups) => {
      const split = AddressSplit.of(groups);
      let covered = AddressSet.empty;
      for (const { set } of split.pieces) {
        expect(set.intersect(covered).isEmpty).toBe(true);
        covered = covered.union(set);
      }
      expect(covered.key).toBe(AddressSet.all.key);
      expect(new Set(split.pieces.map((piece) => piece.groups.join())).size).toBe(split.pieces.length);
      for (const address of addresses) {
        const expected = groups.filter(({ set }) => set.has(address)).map(({ id }) => id);
        expect(split.find(address)).toEqual(expected);
        expect(split.pieces.find(({ set }) => set.has(address))?.groups).toBe(split.find(address));
      }
    }),
  );
});

test("adding and removing groups makes the split of what is left", () => {
  fc.assert(
    fc.property(arbitraryGroups, fc.infiniteStream(fc.nat()), (groups, numbers) => {
      let split = AddressSplit.of([]);
      let inside: AddressGroup[] = [];
      for (let step = 0; step < groups.length * 3; step++) {
        const one = groups[numbers.next().value! % groups.length]!;
        const present = inside.includes(one);
        split = present ? split.without(one) : split.with(one);
        inside = present ? inside.filter((other) => other !== one) : [...inside, one];
        expect(split.has(one)).toBe(!present);
        expect(facts(split)).toEqual(facts(AddressSplit.of(inside)));
        for (const address of addresses)
          expect(split.pieces.find(({ set }) => set.has(address))?.groups).toBe(split.find(address));
      }
    }),
  );
});

test("an unknown address is in the groups that cover all it could be", () => {
  const split = AddressSplit.of([
    group(1, setOf("0.0.0.0/0")),
    group(2, setOf("10.0.0.0/8")),
    group(3, setOf("10.244.1.0/24")),
    group(4, setOf("192.168.0.0/16")),
  ]);
  const pods = setOf("10.244.0.0/16");
  expect(split.unknown("IPv4", pods)).toMatchObject({ covered: [1, 2], dependent: [{ id: 3 }] });
  expect(split.unknown("IPv4", AddressSet.empty)).toMatchObject({
    covered: [1],
    dependent: [{ id: 4 }, { id: 2 }, { id: 3 }],
  });
  expect(split.unknown("IPv6", pods)).toEqual({ covered: [], dependent: [] });
});
