/** The role of deploy/install.yaml is what the agent needs of the API server, and no more. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Client, type ClusterFeed, EventWriter, followCluster, openClient } from "../../src/kube/index.ts";
import { type ControlPlane, describeApiServer, startControlPlane } from "../kube/control-plane.ts";
import { crd } from "../kube/crd.ts";
import { until } from "../kube/until.ts";
import { type KubeObject, ofKind, type Rule, readManifest } from "./manifest.ts";
import { askedBy, auditPolicy, rightsOf, without } from "./rights.ts";

const namespace = "bulkhead-system";
const role = ofKind(readManifest("install.yaml"), "ClusterRole").rules!;
const names = (account: string): string => `system:serviceaccount:${namespace}:${account}`;

/** The kinds of both generations. */
const kinds = ["ClusterNetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy"] as const;

function crdOf(kind: (typeof kinds)[number]): object {
  const plural = `${kind.replace(/y$/, "ies").toLowerCase()}`;
  const version = kind === "ClusterNetworkPolicy" ? "v1alpha2" : "v1alpha1";
  const { metadata, spec } = crd;
  return {
    ...crd,
    metadata: { ...metadata, name: `${plural}.policy.networking.k8s.io` },
    spec: {
      ...spec,
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
      versions: spec.versions.map((one) => ({ ...one, name: version })),
    },
  };
}

interface Stage {
  readonly plane: ControlPlane;
  readonly audit: () => string;
  /** Installs the kinds of both generations. */
  readonly install: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

async function up(featureGates: string): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), "bulkhead-rights-"));
  const [policy, log] = [join(folder, "policy.json"), join(folder, "audit.log")];
  writeFileSync(policy, auditPolicy);
  writeFileSync(log, "");
  const plane = await startControlPlane({
    featureGates,
    apiserverFlags: [`--audit-policy-file=${policy}`, `--audit-log-path=${log}`],
  });
  await plane.admin.post("/api/v1/namespaces", { metadata: { name: namespace } });
  return {
    plane,
    install: async () => {
      for (const kind of kinds)
        await plane.admin.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crdOf(kind));
    },
    audit: () => readFileSync(log, "utf8"),
    stop: async () => {
      await plane.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** An account with a role of its own; resolves when the API server goes by the role. */
async function account({ plane }: Stage, name: string, rules: readonly Rule[]): Promise<Client> {
  const { admin } = plane;
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  await admin.post(accounts, { metadata: { name } });
  await admin.post(`${rbac}/clusterroles`, { metadata: { name }, rules });
  await admin.post(`${rbac}/clusterrolebindings`, {
    metadata: { name },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
    subjects: [{ kind: "ServiceAccount", name, namespace }],
  });
  const given = rules.find(({ verbs }) => verbs.length > 0)!;
  const review = {
    spec: {
      user: names(name),
      resourceAttributes: { verb: given.verbs[0], group: given.apiGroups[0], resource: given.resources[0] },
    },
  };
  await until(async () => {
    const { status } = (await admin.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)) as {
      status: { allowed: boolean };
    };
    if (!status.allowed) throw new Error("not yet");
  });
  const { status } = (await admin.post(`${accounts}/${name}/token`, { spec: {} })) as { status: { token: string } };
  return openClient(plane.connection(status.token));
}

const follow = (client: Client): ClusterFeed =>
  followCluster(client, { mixedGenerations: true, warn: () => undefined });

/** Waits until a condition of the feed's sources holds. */
async function sources(feed: ClusterFeed, holds: (all: ReturnType<ClusterFeed["status"]>) => boolean): Promise<void> {
  while (!holds(feed.status())) await sleep(10);
}

const event = { type: "Warning", reason: "Test", message: "a test", policy: null } as const;

async function eventsOf({ plane }: Stage, node: string): Promise<{ series?: { count: number } }[]> {
  const { items } = (await plane.admin.get("/apis/events.k8s.io/v1/events")) as {
    items: (KubeObject & { regarding: { name: string }; series?: { count: number } })[];
  };
  return items.filter(({ regarding }) => regarding.name === node);
}

describeApiServer("the role of the agent", () => {
  let watchList: Stage;
  let lists: Stage;

  beforeAll(async () => {
    [watchList, lists] = await Promise.all([up("WatchList=true"), up("WatchList=false")]);
  });

  afterAll(() => Promise.all([watchList?.stop(), lists?.stop()]));

  test("allows every request of the agent, and each of its rights is asked for", async () => {
    const asked = await Promise.all(
      [watchList, lists].map(async (stage) => {
        const client = await account(stage, "agent", role);
        const feed = follow(client);
        const writer = new EventWriter(client, { node: "n1", seriesInterval: 1 });
        await feed.first;
        expect(feed.status().filter(({ installed }) => !installed)).toHaveLength(kinds.length);
        await stage.install();
        await sources(feed, (all) => all.length === 7 && all.every(({ connected, synced }) => connected && synced));
        writer.tell(event);
        await until(async () => expect(await eventsOf(stage, "n1")).toHaveLength(1));
        writer.tell(event);
        await until(async () => expect((await eventsOf(stage, "n1"))[0]?.series?.count).toBe(2));
        feed.close();
        client.close();
        // Watches are written to the log when they end.
        const watches = rightsOf(role).filter((right) => right.startsWith("watch "));
        let asked = askedBy(names("agent"), stage.audit());
        for (let tries = 0; tries < 250 && watches.some((right) => !asked.rights.includes(right)); tries++) {
          await sleep(20);
          asked = askedBy(names("agent"), stage.audit());
        }
        return asked;
      }),
    );
    for (const { forbidden, paths } of asked) expect({ forbidden, paths }).toEqual({ forbidden: [], paths: [] });
    const used = new Set(asked.flatMap(({ rights }) => rights));
    expect([...used].sort()).toEqual(rightsOf(role).sort());
  });

  const reading = rightsOf(role).filter((one) => /^(?:list|watch) (?!customresourcedefinitions)/.test(one));
  test.each(reading)("without the right to %s, the agent says what it misses", async (right) => {
    const name = right.replace(/[^a-z0-9]+/g, "-");
    const client = await account(lists, name, without(role, right));
    const feed = follow(client);
    feed.first.catch(() => undefined); // never comes
    const resource = right.split(" ")[1]!;
    await sources(feed, (all) => all.some((one) => one.resource === resource && /forbidden/i.test(one.error ?? "")));
    const others = feed.status().filter((one) => one.resource !== resource);
    await sources(feed, (all) => all.filter((one) => one.resource !== resource).every(({ synced }) => synced));
    expect(others).toHaveLength(6);
    feed.close();
    client.close();
  });

  test("without the right to create events there are none, and without that to patch them none is counted", async () => {
    const tell = async (name: string, right: string): Promise<{ series?: { count: number } }[]> => {
      const client = await account(lists, name, without(role, right));
      const writer = new EventWriter(client, { node: name, seriesInterval: 1 });
      const refused = (): readonly string[] => askedBy(names(name), lists.audit()).forbidden;
      writer.tell(event);
      if (right.startsWith("patch")) await until(async () => expect(await eventsOf(lists, name)).toHaveLength(1));
      writer.tell(event);
      await until(async () => expect(refused()).toEqual([right]));
      client.close();
      return eventsOf(lists, name);
    };
    expect(await tell("no-create", "create events.events.k8s.io")).toEqual([]);
    const [only, ...more] = await tell("no-patch", "patch events.events.k8s.io");
    expect(more).toEqual([]);
    expect(only?.series ?? null).toBeNull();
  });
});
