import { describe, expect, test } from "vitest";
import { documents, errorsOf, load, warningsOf } from "../../test/manifests/load.ts";
import { formatProblem } from "./index.ts";

const meta = "metadata: {name: a}\n";
const helm = "looks like an unrendered Helm template: render it first with 'helm template'";

/** Each text and everything that is wrong with it. */
const errors: Record<string, readonly [text: string, ...messages: string[]]> = {
  nothing: ["", "no objects in -"],
  "comments only": ["# a\n---\n# b\n---\n", "no objects in -"],
  "an empty List": ["apiVersion: v1\nkind: List\nitems: []\n", "no objects in -"],
  "a word": ["hello", "-:1:1: expected an object with apiVersion and kind, got string"],
  "a list": ["- a\n- b\n", "-:1:1: expected an object with apiVersion and kind, got array"],
  "no kind": [`apiVersion: v1\n${meta}`, "-:1:1: kind not set"],
  "no apiVersion": [`---\nkind: Pod\n${meta}`, "-:2:1: apiVersion not set"],
  "a kind that is a number": ["apiVersion: v1\nkind: 3\n", "-:2:7: kind: expected string, got number"],
  "a kind in the wrong case": [
    `apiVersion: networking.k8s.io/v1\nkind: Networkpolicy\n${meta}`,
    '-:2:7: kind: Invalid value: "Networkpolicy": no such kind of policy: did you mean NetworkPolicy?',
  ],
  "a kind in the wrong group": [
    `apiVersion: v1\nkind: Deployment\n${meta}`,
    '-:2:7: no matches for kind "Deployment" in version "v1": Kubernetes has it in apps/v1',
  ],
  "a kind that was": [
    `apiVersion: extensions/v1beta1\nkind: Deployment\n${meta}`,
    '-:2:7: no matches for kind "Deployment" in version "extensions/v1beta1": Kubernetes has it in apps/v1',
  ],
  "a kind that never was": [
    `apiVersion: apps/v1\nkind: Deploymnet\n${meta}`,
    '-:2:7: no matches for kind "Deploymnet" in version "apps/v1"',
  ],
  "a policy of an API that is gone": [
    `apiVersion: extensions/v1beta1\nkind: NetworkPolicy\n${meta}`,
    '-:1:13: apiVersion: Unsupported value: "extensions/v1beta1": supported values: "networking.k8s.io/v1"',
  ],
  "a tab": [
    "apiVersion: v1\nkind: Pod\nmetadata:\n\tname: a\n",
    "-:4:1: not valid YAML: found character that cannot start any token",
  ],
  "a colon in a value": [
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a: b\n",
    "-:4:10: not valid YAML: mapping values are not allowed in this context",
  ],
  "a forgotten ---": [
    `apiVersion: v1\nkind: Pod\n${meta}apiVersion: v1\nkind: Secret\nmetadata: {name: b}\n`,
    "-:4:13: apiVersion: the key is there twice: is a line with --- missing?",
  ],
  "a forgotten --- between policies": [
    `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n${meta}spec: {podSelector: {}}\nkind: NetworkPolicy\nspec: {podSelector: {}}\n`,
    "-:5:7: kind: the key is there twice: is a line with --- missing?",
  ],
  "a document that kubectl does not read": [
    `apiVersion: v1\nkind: Pod\n${meta}--- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n`,
    "-:4:1: kubectl does not read this document: begin it on the line after the ---",
  ],
  "a control character": ["a\0b", "-:1:2: control characters are not allowed"],
  "JSON cut off": ['{"apiVersion": "v1",\n', "-:2:1: not valid JSON: expected a field name in quotes"],
  "JSON with a bad value": ['{"apiVersion": "v1", "kind": [}', "-:1:31: not valid JSON: expected a value"],
  "several JSON values": [
    '{"apiVersion":"v1","kind":"Pod",\n"metadata":{"name":3}}\n{"apiVersion":"v1","kind":"Pod","metadata":{"name":true}}',
    "-:2:20: metadata.name: expected string, got number 3: put it in quotes",
    "-:3:52: metadata.name: expected string, got bool true: put it in quotes",
  ],
  "items that are no objects": [
    '{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a"}}, null, 3]}',
    "-:1:73: expected an object with apiVersion and kind, got null",
    "-:1:79: expected an object with apiVersion and kind, got number",
  ],
  "items that are no list": ["apiVersion: v1\nkind: List\nitems: {}\n", "-:3:8: items: expected array, got object"],
  "items twice": [
    "apiVersion: v1\nkind: List\nitems: []\nitems: []\n",
    "-:4:8: items: the key is there twice, and the first value would be lost",
  ],
  "the same object twice": [
    `apiVersion: v1\nkind: Pod\n${meta}---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: default}}\n`,
    "-:8:3: Pod default/a is there twice: first at -:1:1",
  ],
  "a boolean for a name": [
    "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: y}\n",
    "-:3:32: metadata.namespace: expected string, got bool true: put it in quotes",
  ],
  "a name that can't be": [
    "apiVersion: v1\nkind: Pod\nmetadata: {name: A_b}\n",
    expect.stringMatching(
      /^-:3:18: metadata\.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain must consist of/,
    ),
  ],
  "no name": ["apiVersion: v1\nkind: Pod\n", "-:1:1: metadata.name: Required value: name or generateName is required"],
  "a label that can't be": [
    "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: my app}}\n",
    expect.stringMatching(/^-:3:35: metadata\.labels\.app: Invalid value: "my app": a valid label must be/),
  ],
  "labels that are a list": [
    "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: [app]}\n",
    "-:3:29: metadata.labels: expected object, got array",
  ],
  "a workload without template": [
    `apiVersion: batch/v1\nkind: CronJob\n${meta}spec: {jobTemplate: {}}\n`,
    "-:4:21: spec.jobTemplate.spec.template: Required value",
  ],
  "wrong types in a Pod": [
    `apiVersion: v1\nkind: Pod\n${meta}spec: {hostNetwork: 'yes', nodeName: 3, containers: [{ports: [{containerPort: 70000}, {containerPort: '80'}, {name: x}, {containerPort: 80, protocol: tcp}]}, 3]}\nstatus: {podIPs: [{ip: 10.0.0.300}]}\n`,
    "-:4:38: spec.nodeName: expected string, got number 3: put it in quotes",
    "-:4:21: spec.hostNetwork: expected bool, got string",
    "-:4:159: spec.containers[1]: expected object, got number 3",
    "-:4:79: spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
    "-:4:103: spec.containers[0].ports[1].containerPort: expected integer, got string",
    "-:4:110: spec.containers[0].ports[2].containerPort: Required value",
    '-:4:151: spec.containers[0].ports[3].protocol: Unsupported value: "tcp": supported values: "TCP", "UDP", "SCTP"',
    '-:5:24: status.podIPs[0].ip: Invalid value: "10.0.0.300": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
  ],
  "port names that can't be": [
    `apiVersion: v1\nkind: Service\n${meta}spec: {ports: [{port: 80, targetPort: "8080"}]}\n`,
    '-:4:39: spec.ports[0].targetPort: Invalid value: "8080": must contain at least one letter (a-z)',
  ],
  "two addresses of a family": [
    `apiVersion: v1\nkind: Pod\n${meta}status: {podIPs: [{ip: 10.0.0.1}, {ip: 10.0.0.2}]}\n`,
    "-:4:18: status.podIPs: may specify no more than one IP for each IP family",
  ],
  "wrong fields in a policy": [
    `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n${meta}spec:\n  podSelector: {}\n  ingres: []\n  ingress:\n  - ports:\n    - port: 80\n      port: 81\n`,
    '-:6:11: unknown field "spec.ingres"',
    '-:10:13: duplicate field "spec.ingress[0].ports[0].port"',
  ],
  "a wrong type in a policy": [
    `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n${meta}spec: {podSelector: {matchLabels: {app: on}}}\n`,
    expect.stringMatching(/^-:4:41: spec\.podSelector\.matchLabels\.app: json: cannot unmarshal bool/),
  ],
  "a template": ["apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Values.name }}\n", `-:4:9: ${helm}`],
  "a template that begins with an action": ["{{- if .Values.x }}\napiVersion: v1\n{{- end }}\n", `-:1:1: ${helm}`],
  "a template in quotes": [
    'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: "{{ .Release.Name }}-web"}\nspec: {template: {}}\n',
    `-:3:18: metadata.name: ${helm}`,
  ],
  "a template in a policy": [
    'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: "{{ .Release.Name }}-x"}\nspec: {podSelector: {}}\n',
    `-:3:18: ${helm}`,
  ],
};

describe("errors", () => {
  test.each(Object.entries(errors))("%s", async (_, [text, ...messages]) => {
    expect(errorsOf(await load(text))).toEqual(messages);
  });

  test("are in the order of the text, with stable codes and paths", async () => {
    const { problems } = await load("kind: Pod\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: 1}\n");
    expect(problems).toEqual([
      {
        severity: "error",
        code: "missing-api-version",
        message: "apiVersion not set",
        position: { file: "-", line: 1, column: 1 },
        path: [],
      },
      {
        severity: "error",
        code: "wrong-type",
        message: "metadata.name: expected string, got number 1: put it in quotes",
        position: { file: "-", line: 5, column: 18 },
        path: ["metadata", "name"],
      },
    ]);
  });

  test("do not keep the rest from being read", async () => {
    const loaded = await load(documents("kind: Pod", "a: 'b", "apiVersion: v1\nkind: Pod\nmetadata: {name: ok}"));
    expect(errorsOf(loaded)).toHaveLength(2);
    expect(loaded.world.pods).toMatchObject([{ name: "ok" }]);
  });

  test("are warnings where parts are allowed; what is no missing part stays an error", async () => {
    const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: ok}";
    const loaded = await load(documents("kind: Pod", "a: 'b", pod, pod), { allowPartial: true });
    expect(errorsOf(loaded)).toEqual(["-:9:1: Pod default/ok is there twice: first at -:5:1"]);
    expect(warningsOf(loaded)).toContain("-:1:1: warning: apiVersion not set");
  });
});

describe("generations of cluster policies", () => {
  const v1alpha2 =
    "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: a}\nspec: {tier: Admin, priority: 1, subject: {namespaces: {}}}";
  const v1alpha1 =
    "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: b}\nspec: {priority: 1, subject: {namespaces: {}}}";

  test("do not go together", async () => {
    expect(errorsOf(await load(documents(v1alpha2, v1alpha1)))).toEqual([
      "-:6:1: AdminNetworkPolicy b is of another generation than ClusterNetworkPolicy a at -:1:1: their order is not defined; --mixed-generations takes both",
    ]);
  });

  test("unless asked for", async () => {
    const loaded = await load(documents(v1alpha2, v1alpha1), { mixedGenerations: true });
    expect(errorsOf(loaded)).toEqual([]);
    expect(loaded.world.policies).toHaveLength(2);
  });
});

describe("what is accepted", () => {
  const names = async (text: string): Promise<string[]> => {
    const loaded = await load(text);
    expect(errorsOf(loaded)).toEqual([]);
    return loaded.world.pods.map((p) => p.name);
  };

  test("Lists in Lists, typed lists, flow style, several JSON values, BOM and CRLF", async () => {
    const pod = (name: string): string => `{apiVersion: v1, kind: Pod, metadata: {name: ${name}}}`;
    expect(
      await names(
        `{apiVersion: v1, kind: List, items: [${pod("a")}, {apiVersion: v1, kind: List, items: [${pod("b")}]}]}`,
      ),
    ).toEqual(["a", "b"]);
    expect(await names("apiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: a}\n")).toEqual(["a"]);
    expect(
      await names(
        '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}\n\n{"apiVersion":"v1","kind":"Pod","metadata":{"name":"b"}}',
      ),
    ).toEqual(["a", "b"]);
    expect(
      await names(
        "\ufeffapiVersion: v1\r\nkind: Pod\r\nmetadata:\r\n  name: a\r\n--- # b\r\napiVersion: v1\r\nkind: Pod\r\nmetadata: {name: b}\r\n---\r\n",
      ),
    ).toEqual(["a", "b"]);
    expect(await names(`---\n---\n${pod("a")}\n---   \n\n---\n# c\n---\nnull\n---\n${pod("b")}`)).toEqual(["a", "b"]);
  });

  test("null is absent, a null label is empty", async () => {
    const { world } = await load(
      "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: null, labels: {x: }, ownerReferences: null}\nspec: null\nstatus: {podIPs: null, phase: }",
    );
    expect(world.pods).toMatchObject([{ namespace: "default", labels: { x: "" }, ips: [], phase: "Pending" }]);
  });

  test("braces in what is not read", async () => {
    const config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: '{{ .Values }}'}";
    const pod =
      "apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {x: '{{ y }}'}}\nspec: {containers: [{args: ['{{.}}']}]}";
    expect(await names(documents(config, pod))).toEqual(["a"]);
  });
});

describe("what is passed over", () => {
  test("is counted", async () => {
    const config = (name: string): string => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}`;
    const crd = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}";
    const loaded = await load(documents(config("a"), config("b"), crd));
    expect(loaded.problems).toEqual([]);
    expect([...loaded.ignored]).toEqual([
      ["v1/ConfigMap", 2],
      ["example.com/v1/Widget", 1],
    ]);
    expect(loaded.objects).toBe(3);
  });

  test("is told once a kind where answers lack it", async () => {
    const cilium = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a}";
    const rollout = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nspec: {template: {spec: {containers: []}}}";
    const calico = "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: a}";
    const loaded = await load(documents(cilium, cilium, rollout, calico));
    expect(loaded.problems.map(formatProblem)).toEqual([
      "-:2:7: warning: CiliumNetworkPolicy (cilium.io/v2) is not understood: its rules are missing from the answers",
      "-:10:7: warning: Rollout (argoproj.io/v1alpha1) is not understood: its pods are missing from the answers",
      "-:14:7: warning: NetworkPolicy (projectcalico.org/v3) is not understood: its rules are missing from the answers",
    ]);
  });
});

test("a key that stands twice is told", async () => {
  expect(
    warningsOf(await load("apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {x: a, x: b}}\n")),
  ).toEqual(["-:3:39: warning: metadata.labels.x: the key is there twice, the last one counts"]);
});
