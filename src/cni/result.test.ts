import { describe, expect, test } from "vitest";
import { addressesOf, CniError, cniVersionOf, convertResult } from "./result.ts";

const interfaces = [{ name: "cni0" }, { name: "veth1" }, { name: "eth0", sandbox: "/run/netns/x" }];
const modern = {
  cniVersion: "1.0.0",
  interfaces,
  ips: [
    { address: "10.1.0.5/24", gateway: "10.1.0.1", interface: 2 },
    { address: "fd00::5/64", interface: 2 },
  ],
  routes: [{ dst: "0.0.0.0/0" }],
  dns: {},
  "x-own": { kept: [1, null] },
};

describe("converting a result", () => {
  test("in one version nothing changes", () => {
    expect(convertResult(modern, "1.0.0")).toEqual(modern);
    expect(convertResult(modern, "1.1.0")).toEqual({ ...modern, cniVersion: "1.1.0" });
  });

  test("before 1.0.0 addresses name their family, and back", () => {
    const old = convertResult(modern, "0.4.0");
    expect(old["ips"]).toEqual([
      { version: "4", ...modern.ips[0] },
      { version: "6", ...modern.ips[1] },
    ]);
    expect(convertResult(old, "1.0.0")).toEqual(modern);
  });

  test("the form without chains stays as it is, and is not converted", () => {
    const oldest = { cniVersion: "0.2.0", ip4: { ip: "10.1.0.5/24" } };
    expect(convertResult(oldest, "0.2.0")).toEqual(oldest);
    expect(() => convertResult(oldest, "1.0.0")).toThrow(CniError);
  });

  test("a result without a version is of the configuration's", () => {
    expect(convertResult({ ips: [] }, "0.3.1")).toEqual({ cniVersion: "0.3.1", ips: [] });
  });
});

describe("the sandbox's addresses", () => {
  test("without prefix lengths, of every form", () => {
    expect(addressesOf(modern)).toEqual(["10.1.0.5", "fd00::5"]);
    expect(addressesOf({ ip4: { ip: "10.1.0.5/24" }, ip6: { ip: "fd00::5/64" } })).toEqual(["10.1.0.5", "fd00::5"]);
  });

  test("not those of the host's interfaces; those of none are the sandbox's", () => {
    const ips = [{ address: "10.1.0.1/24", interface: 0 }, { address: "10.1.0.5/24" }, { address: 7 }, null];
    expect(addressesOf({ interfaces, ips })).toEqual(["10.1.0.5"]);
    expect(addressesOf({})).toEqual([]);
  });
});

test("a missing version is the first one, an unknown one an error", () => {
  expect(cniVersionOf({})).toBe("0.1.0");
  expect(() => cniVersionOf({ cniVersion: "2.0.0" })).toThrow("incompatible");
});
