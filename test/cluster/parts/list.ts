/** What a real cluster is made of, and how each part is built from its Go module. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assetPath, images } from "../lib/assets.ts";
import type { Part, Workshop } from "./builder.ts";
import { writeImage } from "./images.ts";
import { versions } from "./versions.ts";

interface GoBuild {
  readonly folder: string;
  readonly packages: readonly string[];
  /** A folder with a slash at its end when there are several packages. */
  readonly out: string;
  readonly flags?: readonly string[];
  readonly cgo?: boolean;
  /** A package's tests as one program. */
  readonly test?: boolean;
}

/** A folder with a go.mod that asks for `module` and has `replace` directives for what only its own repository can find. */
async function moduleFolder(workshop: Workshop, module: string, replace: readonly string[] = []): Promise<string> {
  const { program, env } = await workshop.go();
  const folder = join(workshop.scratch, "module");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "go.mod"), "module cluster\n\ngo 1.26.0\n");
  const edit = [`-require=${module}`, ...replace.map((one) => `-replace=${one}`)];
  await workshop.run(program, ["mod", "edit", ...edit], { cwd: folder, env });
  return folder;
}

async function goBuild(workshop: Workshop, { folder, packages, out, flags = [], cgo, test }: GoBuild): Promise<void> {
  const { program, env } = await workshop.go();
  const verb = test === true ? ["test", "-c", "-vet=off"] : ["build"];
  await workshop.run(program, [...verb, "-mod=mod", ...flags, "-o", out, ...packages], {
    cwd: folder,
    env: { ...env, CGO_ENABLED: cgo === true ? "1" : "0" },
  });
}

const stripped = "-s -w";
const [, major, minor] = /^v(\d+)\.(\d+)/.exec(versions.kubernetes)!;
const kubernetesFlags = [
  "-ldflags",
  [
    stripped,
    ...Object.entries({ gitVersion: versions.kubernetes, gitMajor: major, gitMinor: minor }).map(
      ([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`,
    ),
  ].join(" "),
];

/** Kubernetes' own go.mod replaces its libraries by folders; here they are the modules that are published of these folders. */
async function kubernetesFolder(workshop: Workshop): Promise<string> {
  const module = `k8s.io/kubernetes@${versions.kubernetes}`;
  const { program, env } = await workshop.go();
  const answer = await workshop.run(program, ["mod", "download", "-json", module], { cwd: workshop.scratch, env });
  const { GoMod } = JSON.parse(answer) as { readonly GoMod: string };
  const replaced = [...readFileSync(GoMod, "utf8").matchAll(/^\s+(k8s\.io\/[a-z-]+) => \.\/staging\//gm)];
  return moduleFolder(
    workshop,
    module,
    replaced.map(([, name]) => `${name}=${name}@${versions.staging}`),
  );
}

function kubernetes(name: string, path: string, seconds: number, more: { cgo?: boolean; test?: boolean } = {}): Part {
  return {
    name,
    makes: [name],
    version: versions.kubernetes,
    seconds,
    async make(out, workshop) {
      const folder = await kubernetesFolder(workshop);
      const packages = [`k8s.io/kubernetes/${path}`];
      await goBuild(workshop, { folder, packages, out: join(out, name), flags: kubernetesFlags, ...more });
    },
  };
}

function plain(
  part: Omit<Part, "make"> & { module: string; packages: readonly string[]; flags?: readonly string[] },
): Part {
  const { module, packages, flags = [], ...rest } = part;
  return {
    ...rest,
    async make(out, workshop) {
      const folder = await moduleFolder(workshop, `${module}@${part.version}`);
      const target = packages.length === 1 ? join(out, part.makes[0]!) : `${out}/`;
      await goBuild(workshop, { folder, packages, out: target, flags: ["-ldflags", stripped, ...flags] });
    },
  };
}

const helmPart = plain({
  name: "helm",
  makes: ["helm"],
  version: versions.helm,
  seconds: 120,
  module: "helm.sh/helm/v4",
  packages: ["helm.sh/helm/v4/cmd/helm"],
});

/** Enough for an API server without nodes, and for what is applied to it. */
const apiParts: readonly Part[] = [
  plain({
    name: "etcd",
    makes: ["etcd"],
    version: versions.etcd,
    seconds: 28,
    module: "go.etcd.io/etcd/server/v3",
    packages: ["go.etcd.io/etcd/server/v3"],
  }),
  kubernetes("kube-apiserver", "cmd/kube-apiserver", 200),
  kubernetes("kubectl", "cmd/kubectl", 19),
  helmPart,
];

const nodeParts: readonly Part[] = [
  {
    name: "init",
    makes: ["init"],
    version: "1",
    seconds: 1,
    make: async (out, workshop) => {
      const source = join(import.meta.dirname, "init.c");
      await workshop.run("gcc", ["-O2", "-static", "-s", "-o", join(out, "init"), source]);
    },
  },
  plain({
    name: "containerd",
    makes: ["containerd", "containerd-shim-runc-v2", "ctr"],
    version: versions.containerd,
    seconds: 93,
    module: "github.com/containerd/containerd/v2",
    packages: ["containerd", "containerd-shim-runc-v2", "ctr"].map(
      (name) => `github.com/containerd/containerd/v2/cmd/${name}`,
    ),
    flags: ["-tags", "no_btrfs no_devmapper no_zfs"],
  }),
  kubernetes("kube-controller-manager", "cmd/kube-controller-manager", 50),
  kubernetes("kube-scheduler", "cmd/kube-scheduler", 5),
  kubernetes("kube-proxy", "cmd/kube-proxy", 6),
  kubernetes("kubelet", "cmd/kubelet", 142, { cgo: true }),
  kubernetes("agnhost", "test/images/agnhost", 5),
  {
    name: "images of the pods",
    makes: ["pod-images/pause.tar", "pod-images/agnhost.tar"],
    version: `${versions.kubernetes} 1`,
    seconds: 10,
    make: async (out) => {
      await writeImage(join(out, "pod-images/pause.tar"), images.pause, "/init", { init: assetPath("init") });
      await writeImage(join(out, "pod-images/agnhost.tar"), images.agnhost, "/agnhost", {
        agnhost: assetPath("agnhost"),
      });
    },
  },
  {
    name: "definitions of the cluster policies",
    makes: ["crds"],
    version: versions.networkPolicyApi,
    seconds: 2,
    make: async (out, workshop) => {
      const { program, env } = await workshop.go();
      const module = `sigs.k8s.io/network-policy-api@${versions.networkPolicyApi}`;
      const answer = await workshop.run(program, ["mod", "download", "-json", module], { cwd: workshop.scratch, env });
      const { Dir } = JSON.parse(answer) as { readonly Dir: string };
      for (const channel of ["standard", "experimental"]) {
        const [from, to] = [join(Dir, "config/crd", channel), join(out, "crds", channel)];
        mkdirSync(to, { recursive: true });
        for (const name of readdirSync(from).filter((one) => one.startsWith("policy.networking.k8s.io_")))
          writeFileSync(join(to, name), readFileSync(join(from, name))); // the module cache is read-only, a copy would be too
      }
    },
  },
];

const e2eParts: readonly Part[] = [
  kubernetes("e2e.test", "test/e2e", 75, { test: true }),
  {
    name: "ginkgo",
    makes: ["ginkgo"],
    version: versions.kubernetes, // the version of ginkgo that Kubernetes uses
    seconds: 5,
    make: async (out, workshop) => {
      const folder = await kubernetesFolder(workshop);
      await goBuild(workshop, { folder, packages: ["github.com/onsi/ginkgo/v2/ginkgo"], out: join(out, "ginkgo") });
    },
  },
  {
    name: "images of the suites",
    makes: ["suites"],
    version: `${versions.kubernetes} ${versions.networkPolicyApi} 3`,
    seconds: 10,
    make: async (out, workshop) => {
      const listed = await workshop.run(assetPath("e2e.test"), ["--list-images"]);
      const { program, env } = await workshop.go();
      const module = `sigs.k8s.io/network-policy-api@${versions.networkPolicyApi}`;
      const answer = await workshop.run(program, ["mod", "download", "-json", module], { cwd: workshop.scratch, env });
      const { Dir } = JSON.parse(answer) as { readonly Dir: string };
      const manifests = readFileSync(join(Dir, "conformance/base/manifests.yaml"), "utf8");
      const names: SuiteImages = {
        e2e: listed.split("\n").filter((name) => /\/agnhost:/.test(name)),
        cnp: [...new Set(manifests.match(/(?<=image: )\S*\/agnhost:\S+/g))],
      };
      mkdirSync(join(out, "suites"));
      writeFileSync(join(out, "suites/images.json"), JSON.stringify(names));
      writeFileSync(
        join(out, "suites/sctp-subtests.json"),
        JSON.stringify(sctpSubtests(join(Dir, "conformance/tests"))),
      );
      const wrapper = join(import.meta.dirname, "agnhost-without-sctp.sh");
      const files = { agnhost: wrapper, "agnhost-itself": assetPath("agnhost"), "bin/bash": "/bin/bash-static" };
      await writeImage(join(out, "suites/agnhost-without-sctp.tar"), images.agnhostWithoutSctp, "/agnhost", files);
    },
  },
];

const cnpPart: Part = {
  name: "network-policy-api conformance suite",
  makes: ["cnp-conformance.test"],
  version: versions.networkPolicyApi,
  seconds: 54,
  make: async (out, workshop) => {
    const folder = await moduleFolder(workshop, `sigs.k8s.io/network-policy-api@${versions.networkPolicyApi}`);
    const packages = ["sigs.k8s.io/network-policy-api/conformance"];
    await goBuild(workshop, { folder, packages, out: join(out, "cnp-conformance.test"), test: true });
  },
};

const cyclonusPart = plain({
  name: "cyclonus",
  makes: ["cyclonus"],
  version: versions.cyclonus,
  seconds: 75,
  module: "github.com/mattfenwick/cyclonus",
  packages: ["github.com/mattfenwick/cyclonus/cmd/cyclonus"],
});

const cyclonusAgnhostPart: Part = {
  name: "agnhost of cyclonus",
  makes: ["cyclonus-agnhost.tar"],
  version: `${versions.kubernetes} 1`,
  seconds: 8,
  make: async (out, workshop) => {
    const folder = await kubernetesFolder(workshop);
    copyFileSync(join(import.meta.dirname, "agnhost-of-cyclonus.go"), join(folder, "main.go"));
    const agnhost = join(workshop.scratch, "agnhost");
    await goBuild(workshop, { folder, packages: ["."], out: agnhost, flags: kubernetesFlags });
    await writeImage(join(out, "cyclonus-agnhost.tar"), images.agnhostOfCyclonus, "/agnhost", { agnhost });
  },
};

/**
 * Subtests of the network-policy-api suite that open SCTP sockets, by test and title: `go test` can't tell them from others.
 * @param folder of the suite's sources
 */
function sctpSubtests(folder: string): readonly SctpSubtest[] {
  const tests = readdirSync(folder)
    .sort()
    .flatMap((file) =>
      readFileSync(join(folder, file), "utf8")
        .split(/ShortName:\s*"/)
        .slice(1),
    );
  return tests.flatMap((text) =>
    text
      .split('t.Run("')
      .slice(1)
      .filter((body) => body.includes('"sctp"'))
      .map((body) => ({ test: text.slice(0, text.indexOf('"')), title: body.slice(0, body.indexOf('"')) })),
  );
}

export interface SctpSubtest {
  readonly test: string;
  readonly title: string;
}

/** The names that the suites have for agnhost. */
export interface SuiteImages {
  readonly e2e: readonly string[];
  readonly cnp: readonly string[];
}

const clusterParts: readonly Part[] = [...apiParts, ...nodeParts];

const cyclonusParts: readonly Part[] = [...clusterParts, ...e2eParts, cyclonusPart, cyclonusAgnhostPart];

export const partSets = {
  helm: [helmPart],
  api: apiParts,
  cluster: clusterParts,
  e2e: [...clusterParts, ...e2eParts],
  cnp: [...clusterParts, ...e2eParts, cnpPart],
  cyclonus: cyclonusParts,
  "cyclonus-more": cyclonusParts,
  all: [...clusterParts, ...e2eParts, cnpPart, cyclonusPart, cyclonusAgnhostPart],
} as const;

export type PartSet = keyof typeof partSets;
