import { describe, expect, test } from "vitest";
import { emptyWorld } from "../policy/model/world.ts";
import { EarlyAddresses } from "./early-addresses.ts";
import { earlyPod, node, pod, put, removePod } from "./worlds.arbitrary.ts";

const a = "10.0.1.2";
const b = "10.0.1.3";
const web = { namespace: "shop", name: "web", uid: "uid-web" };

/** The addresses that a put of the feed leads to. */
const told = (early: EarlyAddresses, ips: readonly string[], more = {}): readonly string[] => {
  const [change] = early.changes([put.pod(pod("web", { ips, ...more }))]);
  if (change?.op !== "put" || change.kind !== "pod") throw new Error("a pod was expected");
  return change.object.ips;
};

describe("addresses that the runtime knows better", () => {
  test("a pod has what the runtime gave it until the API server says something else", () => {
    const early = new EarlyAddresses();
    expect(early.admit(web, [a], pod("web"))).toEqual([put.pod(pod("web", { ips: [a] }))]);
    expect(told(early, [])).toEqual([a]);
    expect(told(early, [a])).toEqual([a]);
    expect(early.entries()).toEqual([]); // the API server knows it now
    expect(told(early, [b])).toEqual([b]);
  });

  test("what the API server has said already changes nothing", () => {
    const early = new EarlyAddresses();
    expect(early.admit(web, [a], pod("web", { ips: [a] }))).toEqual([]);
    expect(early.entries()).toEqual([]);
  });

  test("an address that was taken away is nobody's, however long the status names it", () => {
    const early = new EarlyAddresses();
    expect(early.release(web, [a], pod("web", { ips: [a] }))).toEqual([put.pod(pod("web", { ips: [] }))]);
    expect(told(early, [a])).toEqual([]);
    expect(told(early, [a], { labels: { app: "other" } })).toEqual([]);
    expect(told(early, [b])).toEqual([b]);
    expect(early.entries()).toEqual([]);
  });

  test("a late report of an address that is gone already is not believed", () => {
    const early = new EarlyAddresses();
    early.admit(web, [a], pod("web"));
    early.release(web, [a], pod("web", { ips: [a] }));
    expect(told(early, [a])).toEqual([]);
  });

  test("a new sandbox of the same pod: the new address holds against the old status", () => {
    const early = new EarlyAddresses();
    const first = { ...web, sandbox: "1" };
    early.admit(first, [a], pod("web"));
    early.changes([put.pod(pod("web", { ips: [a] }))]);
    expect(early.release(first, [], pod("web", { ips: [a] }))).toEqual([put.pod(pod("web", { ips: [] }))]);
    expect(early.admit({ ...web, sandbox: "2" }, [b], pod("web"))).toEqual([put.pod(pod("web", { ips: [b] }))]);
    expect(told(early, [a])).toEqual([b]);
    expect(told(early, [b])).toEqual([b]);
    expect(early.entries()).toEqual([]);
  });

  test("the runtime knows a static pod by a uid of its own", () => {
    const early = new EarlyAddresses();
    const mirror = { staticUid: "hash-of-file" };
    const fromRuntime = { ...web, uid: mirror.staticUid };
    early.admit(fromRuntime, [a], pod("web", mirror));
    expect(told(early, [], mirror)).toEqual([a]);
    expect(early.release(fromRuntime, [a], pod("web", { ...mirror, ips: [a] }))).toEqual([
      put.pod(pod("web", { ...mirror, ips: [] })),
    ]);
    expect(early.release({ ...web, uid: "somebody" }, [a], pod("web", { ...mirror, ips: [a] }))).toEqual([]);
  });

  test("a sandbox that is collected late takes nothing from the pod's next one", () => {
    const early = new EarlyAddresses();
    early.admit({ ...web, sandbox: "1" }, [a], pod("web"));
    early.release({ ...web, sandbox: "1" }, [a], pod("web", { ips: [a] }));
    early.admit({ ...web, sandbox: "2" }, [b], pod("web"));
    const known = pod("web", { ips: [b] });
    expect(early.release({ ...web, sandbox: "1" }, [], known)).toEqual([]);
    expect(early.release({ ...web, sandbox: "1" }, [a, b], known)).toEqual([]);
    expect(early.release({ ...web, sandbox: "2" }, [], known)).toEqual([put.pod(pod("web", { ips: [] }))]);
  });

  test("what is not known to have gone stays: a sandbox of an earlier process, whose addresses nobody remembers", () => {
    const early = new EarlyAddresses();
    expect(early.release({ ...web, sandbox: "1" }, [], pod("web", { ips: [a] }))).toEqual([]);
    expect(early.entries()).toEqual([]);
  });

  test("the same address again is the pod's again", () => {
    const early = new EarlyAddresses();
    early.release(web, [a], pod("web", { ips: [a] }));
    early.admit(web, [a], pod("web"));
    expect(told(early, [a])).toEqual([a]);
  });

  test("another pod of the same name has nothing of it", () => {
    const early = new EarlyAddresses();
    early.admit(web, [a], pod("web"));
    expect(told(early, [], { uid: "another" })).toEqual([]);
    expect(early.release(web, [a], pod("web", { uid: "another", ips: [a] }))).toEqual([]);
  });

  test("a pod that is removed is forgotten", () => {
    const early = new EarlyAddresses();
    early.admit(web, [a], pod("web"));
    expect(early.changes([removePod("web")])).toEqual([removePod("web")]);
    expect(early.entries()).toEqual([]);
  });

  test("a new process goes on from what the old one kept, for pods that still are", () => {
    const old = new EarlyAddresses();
    old.admit(web, [a], pod("web"));
    const kept = [...old.entries(), earlyPod("gone", { ips: [b] })];
    const early = new EarlyAddresses(kept);
    const world = { ...emptyWorld, nodes: [node("n1", [])], pods: [pod("db", { ips: [b] }), pod("web")] };
    expect(early.world(world).pods.map(({ ips }) => ips)).toEqual([[b], [a]]);
    expect(early.entries()).toEqual(old.entries());
  });
});
