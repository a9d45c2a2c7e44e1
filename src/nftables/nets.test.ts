import fc from "fast-check";
import { expect, test } from "vitest";
import { cutNets, mergeNets, withoutLone } from "./nets.ts";
import { type NetPiece, netPeer, nobody } from "./state.ts";

/** A split of the addresses 0 to 31, every one in a piece. */
const split: fc.Arbitrary<NetPiece[]> = fc
  .array(fc.constantFrom(nobody, "a", "b"), { minLength: 32, maxLength: 32 })
  .map((peers) => peers.map((peer, i) => ({ start: BigInt(i), end: BigInt(i), peer })));

const addresses = Array.from({ length: 32 }, (_, i) => BigInt(i));

test("what is taken out as lone stands above what covers it", () => {
  fc.assert(
    fc.property(split, (pieces) => {
      const { nets, lone } = withoutLone(pieces);
      for (const address of addresses) {
        const own = lone.find((piece) => piece.start === address);
        expect(own?.peer ?? netPeer(nets, address)).toBe(pieces[Number(address)]!.peer);
      }
      expect(mergeNets(nets)).toEqual(nets);
    }),
  );
});

test("a cut knows both classes of every address", () => {
  fc.assert(
    fc.property(split, split, (one, other) => {
      const [before, after] = [mergeNets(one), mergeNets(other)];
      const cuts = cutNets(before, after);
      if (cuts.length === 0) expect(before).toEqual(after);
      else {
        for (const address of addresses) {
          const cut = cuts.find((piece) => piece.start <= address && address <= piece.end);
          expect([cut?.from ?? nobody, cut?.to ?? nobody]).toEqual([netPeer(before, address), netPeer(after, address)]);
        }
      }
    }),
  );
});
