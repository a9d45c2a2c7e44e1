import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type CniConfigKeeper, type CniConfigState, keepCniConfig } from "./cni-config.ts";

const source = (name: string): string => JSON.stringify({ name, cniVersion: "1.0.0", plugins: [{ type: "bridge" }] });

let folder: string;
let states: CniConfigState[];
let keeper: CniConfigKeeper | undefined;

/** The chain that a runtime would use: the first file in the order of names. */
const active = (): { name: string; types: string[] } | null => {
  const [first] = readdirSync(folder)
    .filter((name) => !name.endsWith(".tmp"))
    .sort();
  if (first === undefined) return null;
  const { name, plugins } = JSON.parse(readFileSync(join(folder, first), "utf8"));
  return { name, types: plugins.map(({ type }: { type: string }) => type) };
};
const chained = (name: string) => ({ name, types: ["bulkhead", "bridge", "bulkhead"] });
const put = (file: string, text: string): void => writeFileSync(join(folder, file), text);
const keep = (interval: number, grace = 60_000): void => {
  keeper = keepCniConfig({ folder, settings: {}, onState: (state) => states.push(state), interval, grace });
};
const never = 2 ** 30; // only the kernel's notices

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "bulkhead-conf-")), "net.d");
  mkdirSync(folder);
  states = [];
});

afterEach(() => {
  keeper?.close();
  rmSync(join(folder, ".."), { recursive: true });
});

describe("the node's chain", () => {
  test("is right when the keeper starts, and says so", () => {
    put("10-a.conflist", source("a"));
    keep(never);
    expect(active()).toEqual(chained("a"));
    expect(keeper!.state).toEqual({ kind: "chained", source: "10-a.conflist", gate: true });
  });

  test("waits for the first network plugin", async () => {
    keep(never);
    expect(keeper!.state).toEqual({ kind: "waiting" });
    put("10-a.conflist", source("a"));
    await vi.waitFor(() => expect(active()).toEqual(chained("a")));
    expect(states.map(({ kind }) => kind).filter((kind) => kind !== "problem")).toEqual(["waiting", "chained"]);
  });

  test("follows a rewritten file, another plugin that comes first, and a copy that is taken away", async () => {
    put("10-a.conflist", source("a"));
    keep(never);
    put("10-a.conflist", source("b"));
    expect(active()?.types).toContain("bulkhead"); // at no moment without
    await vi.waitFor(() => expect(active()).toEqual(chained("b")));
    put("05-c.conflist", source("c"));
    await vi.waitFor(() => expect(active()).toEqual(chained("c")));
    await vi.waitFor(() => expect(existsSync(join(folder, "10-a.bulkhead.conflist"))).toBe(false));
    rmSync(join(folder, "05-c.bulkhead.conflist"));
    await vi.waitFor(() => expect(active()).toEqual(chained("c")));
  });

  test("stays while a file is half written", async () => {
    put("10-a.conflist", source("a"));
    keep(never);
    put("10-a.conflist", '{"name": "a"');
    await vi.waitFor(() =>
      expect(keeper!.state).toMatchObject({ kind: "problem", message: "10-a.conflist is not JSON" }),
    );
    expect(active()).toEqual(chained("a"));
    put("10-a.conflist", source("d"));
    await vi.waitFor(() => expect(active()).toEqual(chained("d")));
    await vi.waitFor(() => expect(keeper!.state.kind).toBe("chained"));
  });

  test("is followed by looking alone, also through a folder that is made later", async () => {
    rmSync(folder, { recursive: true });
    keep(10);
    expect(keeper!.state).toEqual({ kind: "waiting" });
    mkdirSync(folder);
    put("10-a.conf", JSON.stringify({ name: "a", type: "bridge" }));
    await vi.waitFor(() => expect(active()).toEqual(chained("a")));
  });

  test("outlives a source that comes back, but not one that is gone for good", async () => {
    put("10-a.conflist", source("a"));
    keep(10, 100);
    rmSync(join(folder, "10-a.conflist"));
    await vi.waitFor(() => expect(keeper!.state.kind).toBe("waiting"));
    await vi.waitFor(() => expect(active()).toBeNull());
    put("10-a.conflist", source("a"));
    await vi.waitFor(() => expect(active()).toEqual(chained("a")));
  });

  test("is as readable as the network plugin's file", () => {
    put("10-a.conflist", source("a"));
    chmodSync(join(folder, "10-a.conflist"), 0o600);
    keep(never);
    expect(statSync(join(folder, "10-a.bulkhead.conflist")).mode & 0o777).toBe(0o600);
  });
});
