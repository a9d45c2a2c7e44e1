import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ConfError, type ConfFile, ownName, planConf, withBulkhead } from "./conflist.ts";
import { defaultSocket } from "./protocol.ts";

const file = (name: string, value: unknown): ConfFile => ({ name, text: JSON.stringify(value) });
const flannel = file("10-flannel.conflist", {
  name: "cbr0",
  cniVersion: "0.3.1",
  plugins: [{ type: "flannel", delegate: { isDefaultGateway: true } }, { type: "portmap" }],
});

const plugin = fc
  .tuple(fc.dictionary(fc.string(), fc.jsonValue()), fc.string({ minLength: 1 }))
  .map(([rest, type]) => ({ ...rest, type }))
  .filter(({ type }) => type !== "bulkhead");
const list = fc
  .tuple(fc.dictionary(fc.string(), fc.jsonValue()), fc.string(), fc.array(plugin, { minLength: 1, maxLength: 4 }))
  .map(([rest, name, plugins]) => ({ ...rest, name, plugins }));
const fileName = fc
  .tuple(fc.stringMatching(/^[!-.0-~]{1,12}$/), fc.constantFrom(".conflist", ".conf", ".json"))
  .map(([stem, ending]) => stem + ending)
  .filter((name) => !name.endsWith(".bulkhead.conflist"));

describe("the copy", () => {
  test("has the network's name, and Bulkhead as its first and its last plugin", () => {
    const { name, text } = withBulkhead(flannel, { socket: "/x", timeoutSeconds: 30 });
    expect(name).toBe("10-flannel.bulkhead.conflist");
    const source = JSON.parse(flannel.text);
    const { plugins, ...rest } = JSON.parse(text);
    expect(rest).toEqual({ name: "cbr0", cniVersion: "0.3.1" });
    expect(plugins.slice(1, -1)).toEqual(source.plugins);
    const entry = { type: "bulkhead", socket: "/x", timeoutSeconds: 30 };
    expect(plugins[0]).toEqual({ ...entry, gate: true });
    expect(plugins.at(-1)).toEqual({ ...entry, source: { file: flannel.name, sha256: expect.any(String) } });
  });

  test.each([
    ["cilium-cni, which refuses a previous result", { type: "cilium-cni" }, false],
    ["a plugin that nobody has read", { type: "cassowary" }, false],
    ["ipvlan that takes its master from the result", { type: "ipvlan" }, false],
    ["ipvlan with a master", { type: "ipvlan", master: "eth0" }, true],
    ["bridge", { type: "bridge" }, true],
  ])("before %s: is there a gate?", (_, first, gate) => {
    const source = file("10-a.conflist", { name: "a", plugins: [first, { type: "portmap" }] });
    const types = JSON.parse(withBulkhead(source, {}).text).plugins.map(({ type }: { type: string }) => type);
    expect(types).toEqual([...(gate ? ["bulkhead"] : []), first.type, "portmap", "bulkhead"]);
    expect(planConf([source], {}).gate).toBe(gate);
  });

  test("of any list keeps everything else", () => {
    fc.assert(
      fc.property(list, (value) => {
        const source = file("a.conflist", value);
        const copy = JSON.parse(withBulkhead(source, {}).text);
        expect(copy.plugins.pop().type).toBe("bulkhead");
        // As the file's reader sees it: what JSON can't tell apart (-0) is no difference.
        expect(copy).toEqual(JSON.parse(source.text));
      }),
    );
  });

  test("of a single plugin is a list of it", () => {
    const copy = JSON.parse(
      withBulkhead(file("87-podman.conf", { type: "bridge", name: "n", cniVersion: "0.4.0", mtu: 9000 }), {}).text,
    );
    expect(copy).toMatchObject({ name: "n", cniVersion: "0.4.0" });
    expect(copy.plugins[1]).toEqual({ type: "bridge", name: "n", cniVersion: "0.4.0", mtu: 9000 });
    expect(copy.plugins).toHaveLength(3);
  });

  test("comes right before its source in the order of names", () => {
    fc.assert(
      fc.property(fileName, fileName, (source, other) => {
        const copy = ownName(source);
        expect(copy < source).toBe(true);
        if (other < source && ownName(other) !== copy && !other.startsWith(source.replace(/[^.]*$/, "")))
          expect(other < copy).toBe(true);
      }),
    );
  });

  test.each([
    ["half written", "10-a.conflist", '{"name":"x","plu'],
    ["without plugins", "10-a.conflist", '{"name":"x","plugins":[]}'],
    ["without a name", "10-a.conflist", '{"plugins":[{"type":"bridge"}]}'],
    ["with a plugin that is none", "10-a.conflist", '{"name":"x","plugins":[{}]}'],
    ["a list in a .conf", "10-a.conf", '{"name":"x","plugins":[{"type":"bridge"}]}'],
    ["with Bulkhead alone", "10-a.conflist", '{"name":"x","plugins":[{"type":"bulkhead"}]}'],
  ])("is not made of a file %s", (_, name, text) => {
    expect(() => withBulkhead({ name, text }, {})).toThrow(ConfError);
    // Nothing is done to a copy that stands.
    expect(() => planConf([{ name, text }, withBulkhead({ ...flannel, name: "10-a.conflist" }, {})], {})).toThrow(name);
  });
});

describe("what to do with a folder", () => {
  const other = file("05-other.conf", { name: "o", type: "ptp" });
  const copy = withBulkhead(flannel, {});

  test("a copy of the first file, once", () => {
    expect(planConf([flannel], {})).toEqual({ source: flannel.name, write: copy, gate: true, remove: [] });
    expect(planConf([flannel, copy], {})).toEqual({ source: flannel.name, write: null, gate: true, remove: [] });
  });

  test("again when the source, or the settings, are others", () => {
    const changed = { ...flannel, text: flannel.text.replace("cbr0", "cbr1") };
    expect(planConf([changed, copy], {}).write).toEqual(withBulkhead(changed, {}));
    expect(planConf([flannel, copy], { socket: "/x" }).write).toEqual(withBulkhead(flannel, { socket: "/x" }));
  });

  test("settings that nobody mentions stay, also in a copy of another file", () => {
    const slow = withBulkhead(flannel, { socket: "/x", timeoutSeconds: 30 });
    expect(planConf([flannel, slow], { socket: "/x" }).write).toBeNull();
    expect(planConf([flannel, slow], { socket: defaultSocket }).write).toEqual(
      withBulkhead(flannel, { timeoutSeconds: 30 }),
    );
    expect(planConf([flannel, slow, other], {}).write).toEqual(
      withBulkhead(other, { socket: "/x", timeoutSeconds: 30 }),
    );
  });

  test("what others added to the copy stays", () => {
    const value = JSON.parse(copy.text);
    value.plugins.push({ type: "istio-cni" });
    expect(planConf([flannel, file(copy.name, value)], {}).write).toBeNull();
  });

  test("a copy that someone spoilt, or took one of our entries out of, is made again", () => {
    const { plugins, ...rest } = JSON.parse(copy.text);
    const without = (index: number) => JSON.stringify({ ...rest, plugins: plugins.toSpliced(index, 1) });
    for (const text of ["", "{", flannel.text, without(0), without(-1)])
      expect(planConf([flannel, { ...copy, text }], {}).write).toEqual(copy);
  });

  test("a copy without a gate, of an earlier version, is made again with its settings", () => {
    const settings = { socket: "/x", timeoutSeconds: 30 };
    const value = JSON.parse(withBulkhead(flannel, settings).text);
    value.plugins.shift();
    expect(planConf([flannel, file(copy.name, value)], {}).write).toEqual(withBulkhead(flannel, settings));
  });

  test("copies of what is no longer first go", () => {
    expect(planConf([flannel, copy, other], {})).toEqual({
      source: other.name,
      write: withBulkhead(other, {}),
      gate: true,
      remove: [copy.name],
    });
    expect(planConf([copy], {})).toEqual({ source: null, write: null, gate: false, remove: [copy.name] });
    expect(planConf([], {})).toEqual({ source: null, write: null, gate: false, remove: [] });
  });
});
