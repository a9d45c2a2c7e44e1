/**
 * The distribution's part: what Node and nftables need of Debian's packages, for either architecture, fetched by the
 * machine's own apt (its mirrors, its keys) into a private folder. Nothing is installed on the machine.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Arch } from "./arch.ts";
import { cacheFolder, sha256 } from "./cache.ts";
import { type Layer, makeLayer } from "./layer.ts";
import { run } from "./run.ts";
import { directory, type Entry, entriesOf, link, textFile } from "./tar.ts";

/** With all that they depend on. `nftables` is the program nft, for whoever looks at the rules in the pod. */
const packages = ["libc6", "libstdc++6", "libnftables1", "nftables"];
/** Says which release this is. Without its dependency, an awk for when it is installed. */
const release = "base-files";

/** Of the packages' files: libraries and their loader, nft, licences, the release's name. */
const wanted =
  /^usr\/(?:lib\/[\w-]+-linux-gnu\/[^/]+\.so[^/]*|lib(?:64)?\/ld-linux[^/]*|sbin\/nft|lib\/os-release|share\/doc\/[^/]+\/copyright|share\/common-licenses\/.*)$|^etc\/(?:os-release|debian_version)$/;
/** Folders of licences that stand for another package's. */
const wantedLink = /^usr\/share\/doc\/[^/]+$/;

/** Debian's merged /usr: packages of older releases still have files in /lib. */
const merged = ["bin", "lib", "lib64", "sbin"];

const own: readonly Entry[] = [
  ...["dev", "opt", "proc", "root", "run", "sys", "tmp", "var"].map(directory),
  ...merged.map((name) => link(name, `usr/${name}`)),
  ...merged.map((name) => directory(`usr/${name}`)),
  textFile("etc/passwd", "root:x:0:0:root:/root:/usr/sbin/nologin\n"),
  textFile("etc/group", "root:x:0:\n"),
  textFile("etc/nsswitch.conf", "hosts: files dns\n"),
  // libnftables looks names of protocols up in it, and refuses every rule that has one when it is not there
  textFile("etc/protocols", "icmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\nipv6-icmp 58 IPv6-ICMP\nsctp 132 SCTP\n"),
];

const day = 86_400_000;

/** @param refresh asks the mirrors for newer versions even if that was done within a day */
export async function debianLayer(arch: Arch, refresh: boolean, say: (line: string) => void): Promise<Layer> {
  const debs = fetch(arch, refresh, say);
  const inputs = debs.map((deb) => sha256(readFileSync(deb)));
  return makeLayer(`Debian packages for ${arch}`, [...inputs, wanted.source, JSON.stringify(own)], (scratch) => {
    say(`packing ${debs.length} Debian packages`);
    for (const name of merged) {
      mkdirSync(join(scratch, "usr", name), { recursive: true });
      symlinkSync(`usr/${name}`, join(scratch, name));
    }
    for (const deb of debs) unpack(deb, scratch);
    const kept = entriesOf(scratch).filter(
      ({ path, kind }) => (kind !== "directory" && wanted.test(path)) || (kind === "link" && wantedLink.test(path)),
    );
    // Scanners of images read it to know what is in here.
    return [...own, ...kept, textFile("var/lib/dpkg/status", debs.map(statusOf).join("\n"))];
  });
}

/** @returns the packages' files, in the order of their names */
function fetch(arch: Arch, refresh: boolean, say: (line: string) => void): string[] {
  const folder = cacheFolder("image", `apt-${arch}`);
  const config = join(folder, "apt.conf");
  const stamp = join(folder, "updated");
  for (const name of ["state/lists/partial", "cache/archives/partial"])
    mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, "status"), "");
  writeFileSync(
    config,
    [
      `APT::Architecture "${arch}";`,
      `APT::Architectures { "${arch}"; };`,
      `Dir::State "${folder}/state";`,
      `Dir::State::status "${folder}/status";`,
      `Dir::Cache "${folder}/cache";`,
      `Dir::Etc::sourcelist "${sources()}";`,
      'Dir::Etc::sourceparts "-";',
      'Dir::Etc::preferencesparts "-";',
      'APT::Install-Recommends "false";',
      'APT::Sandbox::User "root";', // apt's own user can't write into a home
      'APT::Update::Error-Mode "any";',
      'Acquire::Languages "none";',
      'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";',
      "",
    ].join("\n"),
  );
  // One at a time: apt refuses to work in a folder where another works.
  const apt = (...args: string[]): void => {
    const archives = join(folder, "cache/archives");
    run("flock", [config, "apt-get", "-q", ...args], {
      env: { ...process.env, APT_CONFIG: config, LC_ALL: "C" },
      cwd: archives,
    });
  };
  if (refresh || !existsSync(stamp) || Date.now() - statSync(stamp).mtimeMs > day) {
    say(`reading the lists of packages for ${arch}`);
    apt("update");
    writeFileSync(stamp, "");
    rmSync(join(folder, "cache/archives"), { recursive: true });
    mkdirSync(join(folder, "cache/archives/partial"), { recursive: true });
  }
  apt("install", "--yes", "--download-only", ...packages);
  apt("download", release);
  const archives = join(folder, "cache/archives");
  const debs = readdirSync(archives).filter((name) => name.endsWith(".deb"));
  return debs.sort().map((name) => join(archives, name));
}

/** The distribution's own list of sources, without what else this machine installs from. */
function sources(): string {
  const places = ["sources.list.d/debian.sources", "sources.list.d/ubuntu.sources", "sources.list"];
  const found = places.map((name) => `/etc/apt/${name}`).find((file) => existsSync(file) && statSync(file).size > 0);
  if (found === undefined)
    throw new Error("no list of package sources in /etc/apt: the image is made on Debian or Ubuntu");
  return found;
}

/** `dpkg-deb --extract` would put folders in place of the links of the merged /usr. */
function unpack(deb: string, folder: string): void {
  const archive = join(folder, "package.tar");
  const stdout = openSync(archive, "w");
  run("dpkg-deb", ["--fsys-tarfile", deb], { stdout });
  closeSync(stdout);
  run("tar", ["-xf", archive, "-C", folder, "--keep-directory-symlink", "--no-same-owner"]);
}

function statusOf(deb: string): string {
  return run("dpkg-deb", ["--field", deb]).replace("\n", "\nStatus: install ok installed\n");
}
