/** The image that scripts/image.ts makes: complete, reproducible, and able to do its work with the rights that it is given. */
import { createHash } from "node:crypto";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { program } from "../../scripts/image/app.ts";
import { type Arch, npmArch } from "../../scripts/image/arch.ts";
import { cacheFolder } from "../../scripts/image/cache.ts";
import { run } from "../../scripts/image/run.ts";
import { readLinkage } from "../../src/cni/elf.ts";
import { findRunc, runContainer } from "./container.ts";
import { agentContainer } from "./manifest.ts";
import { describeWith, missingProgram } from "./needs.ts";

const root = resolve(import.meta.dirname, "../..");
const own: Arch = process.arch === "arm64" ? "arm64" : "amd64";
const script = join(root, "scripts/image.ts");
const missingImage = missingProgram("apt-get", "dpkg-deb", "flock", "npm");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { readonly version: string };
/** Cold, it fetches 60 MB. */
const patience = 600_000;

const image = (...args: readonly string[]): string => run(process.execPath, [script, ...args]).trim();

const sha256 = (content: Buffer): string => `sha256:${createHash("sha256").update(content).digest("hex")}`;

interface Image {
  /** Holds all of it. */
  readonly work: string;
  /** The OCI layout. */
  readonly folder: string;
  readonly rootFs: string;
  readonly digest: string;
  readonly blob: (digest: string) => Buffer;
}

interface Manifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string; readonly size: number }[];
}

interface Config {
  readonly architecture: string;
  readonly config: { readonly Entrypoint: readonly string[]; readonly Labels: Readonly<Record<string, string>> };
  readonly rootfs: { readonly diff_ids: readonly string[] };
}

const json = <T>(bytes: Buffer): T => JSON.parse(bytes.toString()) as T;

/** Each architecture's image is made once. */
const images = new Map<Arch, Image>();

function imageFor(arch: Arch): Image {
  const made = images.get(arch);
  if (made !== undefined) return made;
  const work = mkdtempSync(join(tmpdir(), "bulkhead-image-test-"));
  const [folder, rootFs, archive] = [join(work, "layout"), join(work, "root"), join(work, "image.tar")];
  const digest = image("--arch", arch, "-o", archive, "--tag", "registry.example/bulkhead:test");
  for (const name of [folder, rootFs]) mkdirSync(name);
  run("tar", ["-xf", archive, "-C", folder]);
  const file = (name: string): string => join(folder, "blobs", name.replace(":", "/"));
  const blob = (name: string): Buffer => readFileSync(file(name));
  for (const layer of json<Manifest>(blob(digest)).layers) run("tar", ["-xzf", file(layer.digest), "-C", rootFs]);
  const result = { work, folder, rootFs, digest, blob };
  images.set(arch, result);
  return result;
}

afterAll(() => {
  for (const { work } of images.values()) rmSync(work, { recursive: true, force: true });
});

describeWith(missingImage, "image").each<Arch>(["amd64", "arm64"])("image for %s", (arch) => {
  let layout: Image;
  let rootFs: string;

  beforeAll(() => {
    layout = imageFor(arch);
    rootFs = layout.rootFs;
  }, patience);

  test("is an OCI layout whose names are what is in it", () => {
    const index = json<{ manifests: { digest: string; platform: object; annotations: Record<string, string> }[] }>(
      readFileSync(join(layout.folder, "index.json")),
    );
    expect(index.manifests).toHaveLength(1);
    expect(index.manifests[0]).toMatchObject({
      digest: layout.digest,
      platform: { architecture: arch, os: "linux" },
      annotations: { "io.containerd.image.name": "registry.example/bulkhead:test" },
    });
    for (const name of readdirSync(join(layout.folder, "blobs/sha256")))
      expect(sha256(layout.blob(`sha256:${name}`))).toBe(`sha256:${name}`);
    const manifest = json<Manifest>(layout.blob(layout.digest));
    const config = json<Config>(layout.blob(manifest.config.digest));
    expect(config.architecture).toBe(arch);
    expect(config.config.Labels["org.opencontainers.image.version"]).toBe(version);
    expect(manifest.layers.map(({ digest }) => sha256(gunzipSync(layout.blob(digest))))).toEqual(
      config.rootfs.diff_ids,
    );
    expect(manifest.layers.map(({ digest }) => layout.blob(digest).length)).toEqual(
      manifest.layers.map(({ size }) => size),
    );
  });

  test("holds no program of another architecture, and every library that its programs ask for", () => {
    const machine = { amd64: 62, arm64: 183 }[arch]; // EM_X86_64, EM_AARCH64
    const libraries = join(rootFs, "usr/lib", { amd64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" }[arch]);
    const programs = readdirSync(rootFs, { recursive: true, encoding: "utf8" })
      .map((name) => join(rootFs, name))
      .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile() === true && isElf(file));
    expect(programs.map((file) => basename(file))).toEqual(
      expect.arrayContaining(["node", "nft", "koffi.node", "libnftables.so.1"]),
    );
    for (const file of programs) {
      expect([file, elfMachine(file)]).toEqual([file, machine]);
      const { interpreter, needed } = readLinkage(file);
      if (interpreter !== null) expect(statSync(join(rootFs, interpreter)).isFile()).toBe(true);
      for (const name of needed)
        expect([file, name, statSync(join(libraries, name), { throwIfNoEntry: false })?.isFile()]).toEqual([
          file,
          name,
          true,
        ]);
    }
  });

  test("holds neither a shell nor a package manager, nothing that sets its user, and says what it is made of", () => {
    const names = readdirSync(rootFs, { recursive: true, encoding: "utf8" });
    expect(
      names.filter(
        (name) =>
          /(?:^|\/)(?:sh|bash|dash|busybox|perl|apt|dpkg|npm)$/.test(name) && statSync(join(rootFs, name)).isFile(),
      ),
    ).toEqual([]);
    expect(run("find", [rootFs, "-perm", "/6000"])).toBe("");
    expect(names.filter((name) => name.includes("@kubernetes"))).toEqual([]);
    const status = readFileSync(join(rootFs, "var/lib/dpkg/status"), "utf8");
    for (const name of ["libc6", "libnftables1", "nftables", "base-files"])
      expect(status).toMatch(new RegExp(`^Package: ${name}\\nStatus: install ok installed$`, "m"));
    expect(readFileSync(join(rootFs, "etc/os-release"), "utf8")).toMatch(/^ID=/m);
  });

  const emulator = `qemu-${{ amd64: "x86_64", arm64: "aarch64" }[arch]}-static`;
  const canEmulate = arch !== own && process.getuid?.() === 0 && missingProgram(emulator) === null;
  test.runIf(canEmulate)("runs on the other architecture, emulated", () => {
    run("cp", [run("which", [emulator]).trim(), join(rootFs, "emulator")]);
    const emulate = (...args: readonly string[]): string => run("chroot", [rootFs, "/emulator", ...args]);
    expect(emulate("/usr/local/bin/node", "/opt/bulkhead/dist/cli/main.js", "--version")).toBe(`bulkhead ${version}\n`);
    expect(emulate("/usr/local/bin/node", "--print", "process.arch")).toBe(`${npmArch[arch]}\n`);
    const loads =
      'import("/opt/bulkhead/dist/nftables/libnftables.js").then((one) => console.log(typeof one.loadLibnftables()))';
    expect(emulate("/usr/local/bin/node", "--eval", loads)).toBe("object\n");
  });
});

const missingRunc = findRunc() === null ? "runc, or the right to use it," : missingImage;
describeWith(missingRunc, "image in a container")("the image in a container", () => {
  let rootFs: string;
  const capabilities = agentContainer().securityContext.capabilities.add ?? [];

  beforeAll(() => {
    rootFs = imageFor(own).rootFs;
  }, patience);

  const container = (capabilities: readonly string[], ...args: readonly string[]): ReturnType<typeof runContainer> =>
    runContainer(findRunc()!, { rootFs, capabilities, args });

  /** What the agent asks of the kernel: rules, listings, conntrack's marks. */
  const useKernel = (backend: string): string => `
    import("/opt/bulkhead/dist/nftables/runner.js").then(async ({ openRunner }) => {
      const runner = await openRunner({ backend: ${JSON.stringify(backend)} });
      await runner.run("add table inet t; add chain inet t c { type filter hook forward priority 0; }; add rule inet t c ct state new log group 5 accept");
      if (!(await runner.run("list ruleset")).includes("log group 5")) throw new Error("the rule is not there");
      await runner.clearMarks(0xff00, 0x100, 0x200);
      await runner.close();
    });`;

  test("runs", () => {
    expect(container(capabilities, "/usr/local/bin/bulkhead", "--version")).toEqual({
      status: 0,
      stdout: `bulkhead ${version}\n`,
      stderr: "",
    });
    expect(container(capabilities, "nft", "--version").stdout).toMatch(/^nftables v/);
  });

  test("finds all that it needs of the kernel, with the DaemonSet's capabilities", () => {
    const { stdout } = container(capabilities, program, "agent", "--check", "--output=json");
    const { findings } = JSON.parse(stdout) as { findings: readonly { name: string; state: string }[] };
    const states = findings.map(({ name, state }) => `${name} ${state}`);
    expect(states).toEqual(
      expect.arrayContaining(["rights ok", "nftables ok", "conntrack ok", "nflog ok", "table ok"]),
    );
  });

  test.each(["libnftables", "nft"])(
    "programs the kernel by %s with the DaemonSet's capabilities, and not with fewer",
    (backend) => {
      const node = ["/usr/local/bin/node", "--eval", useKernel(backend)];
      expect(container(capabilities, ...node)).toEqual({ status: 0, stdout: "", stderr: "" });
      for (const one of capabilities) {
        const fewer = container(
          capabilities.filter((name) => name !== one),
          ...node,
        );
        expect(fewer.status).not.toBe(0);
        expect(fewer.stderr).toMatch(/not permitted/);
      }
    },
  );
});

// Long, and of use only while nobody edits the sources.
describe.runIf(process.env["CI"] === "true")("the image made twice", () => {
  test(
    "is the same bytes, whatever is in the cache",
    () => {
      const work = mkdtempSync(join(tmpdir(), "bulkhead-image-test-"));
      try {
        const downloads = cacheFolder("image");
        const fresh = join(work, "bulkhead/image"); // with the downloads, without the layers
        mkdirSync(fresh, { recursive: true });
        for (const name of readdirSync(downloads).filter((name) => name !== "layers"))
          symlinkSync(join(downloads, name), join(fresh, name));
        const [first, second] = [join(work, "first.tar"), join(work, "second.tar")];
        const digest = image("-o", first);
        const env = { ...process.env, XDG_CACHE_HOME: work, TMPDIR: work };
        expect(run(process.execPath, [script, "-o", second], { env }).trim()).toBe(digest);
        run("cmp", [first, second]);
      } finally {
        rmSync(work, { recursive: true });
      }
    },
    patience,
  );
});

describe("the Dockerfile", () => {
  const text = readFileSync(join(root, "deploy/Dockerfile"), "utf8");
  const copied = [...text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names]) => names!.split(" "));

  test("makes the same image as the script", () => {
    expect(text).toContain(`\nENTRYPOINT ["${program}"]\n`);
    expect(text).toContain(`org.opencontainers.image.version="${version}"`);
    const ignored = readFileSync(join(root, "deploy/Dockerfile.dockerignore"), "utf8").split("\n");
    expect(ignored.filter((line) => line.startsWith("!")).map((line) => line.slice(1))).toEqual(
      expect.arrayContaining(copied),
    );
  });

  test.runIf(process.env["CI"] === "true")(
    "copies all that the script needs",
    () => {
      const work = mkdtempSync(join(tmpdir(), "bulkhead-image-test-"));
      try {
        for (const name of copied) run("cp", ["-r", join(root, name), join(work, name)]);
        symlinkSync(join(root, "node_modules"), join(work, "node_modules"));
        run(process.execPath, ["scripts/image.ts", "--root-fs", "image"], { cwd: work });
        expect(readdirSync(join(work, "image/opt/bulkhead"))).toEqual([
          "LICENSE",
          "dist",
          "node_modules",
          "package.json",
        ]);
      } finally {
        rmSync(work, { recursive: true });
      }
    },
    patience,
  );
});

function isElf(file: string): boolean {
  return readHead(file).subarray(0, 4).toString("latin1") === "\x7fELF";
}

const elfMachine = (file: string): number => readHead(file).readUInt16LE(18);

function readHead(file: string): Buffer {
  const head = Buffer.alloc(64);
  const fd = openSync(file, "r");
  try {
    readSync(fd, head);
  } finally {
    closeSync(fd);
  }
  return head;
}
