/** `./bulkhead` in a checkout of its own, with an npm that only pretends. */
import { execFile, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

let root: string;
let tools: string;

/** Counts its calls, takes a moment, and leaves what npm leaves. */
const npm = (body: string): string => `#!/bin/sh
echo call >> "${root}/npm-calls"
${body}
`;
const install = `sleep 0.3
mkdir -p node_modules/.bin
ln -sf "${process.execPath}" node_modules/.bin/node
echo '{}' > node_modules/.package-lock.json
echo "added 1 package"`;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "bulkhead-launcher-"));
  tools = join(root, "tools");
  mkdirSync(tools);
  mkdirSync(join(root, "src/cli"), { recursive: true });
  copyFileSync("bulkhead", join(root, "bulkhead"));
  writeFileSync(join(root, "package-lock.json"), "{}");
  writeFileSync(join(root, "src/cli/main.ts"), 'console.log("ran", ...process.argv.slice(2));\n');
  writeFileSync(join(tools, "npm"), npm(install));
  chmodSync(join(tools, "npm"), 0o755);
  for (const tool of ["sh", "cat", "cmp", "cp", "find", "ln", "mkdir", "mv", "printf", "readlink", "rm", "sleep"])
    for (const folder of ["/usr/bin", "/bin"])
      if (existsSync(join(folder, tool)) && !existsSync(join(tools, tool)))
        symlinkSync(join(folder, tool), join(tools, tool));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

const start = (args: readonly string[] = [], file = join(root, "bulkhead")) =>
  spawnSync(file, args, { encoding: "utf8", env: { PATH: tools } });
const calls = (): number =>
  existsSync(join(root, "npm-calls")) ? readFileSync(join(root, "npm-calls"), "utf8").trim().split("\n").length : 0;

describe("./bulkhead", () => {
  test("installs on first use and says so, then is quiet", () => {
    const first = start(["a b", "c"]);
    expect(first).toMatchObject({ status: 0, stdout: "ran a b c\n" });
    expect(first.stderr).toBe(`bulkhead: installing dependencies into ${root}/node_modules (npm ci), once\n`);
    expect(start()).toMatchObject({ status: 0, stdout: "ran\n", stderr: "" });
    expect(calls()).toBe(1);
    expect(existsSync(join(root, ".bulkhead-install.lock"))).toBe(false);
  });

  test("installs again when package-lock.json has changed", () => {
    start();
    writeFileSync(join(root, "package-lock.json"), '{"changed": true}');
    const later = new Date(Date.now() + 60_000);
    utimesSync(join(root, "package-lock.json"), later, later);
    expect(start().stderr).toContain("installing dependencies");
    expect(calls()).toBe(2);
    expect(start().stderr).toBe("");
  });

  test("leaves an installation alone that someone else made", () => {
    mkdirSync(join(root, "node_modules/.bin"), { recursive: true });
    symlinkSync(process.execPath, join(root, "node_modules/.bin/node"));
    writeFileSync(join(root, "node_modules/.package-lock.json"), "{}");
    const past = new Date(Date.now() - 60_000);
    utimesSync(join(root, "package-lock.json"), past, past);
    expect(start()).toMatchObject({ status: 0, stderr: "" });
    expect(calls()).toBe(0);
  });

  test("several first runs at once install once", async () => {
    const runs = await Promise.all(
      Array.from({ length: 4 }, () => promisify(execFile)(join(root, "bulkhead"), ["x"], { env: { PATH: tools } })),
    );
    for (const { stdout } of runs) expect(stdout).toBe("ran x\n");
    expect(calls()).toBe(1);
  });

  test("a lock whose owner was killed is no obstacle", () => {
    symlinkSync("999999999", join(root, ".bulkhead-install.lock"));
    expect(start()).toMatchObject({ status: 0, stdout: "ran\n" });
    expect(existsSync(join(root, ".bulkhead-install.lock"))).toBe(false);
  });

  test("works through a symlink, from anywhere", () => {
    symlinkSync(join(root, "bulkhead"), join(tools, "kubectl-bulkhead"));
    const { status, stdout } = spawnSync(join(tools, "kubectl-bulkhead"), ["map"], {
      cwd: "/",
      encoding: "utf8",
      env: { PATH: tools },
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: "ran map\n" });
  });

  test("an installation that fails: exit 2, and tried again the next time", () => {
    writeFileSync(join(tools, "npm"), npm('echo "npm error network" >&2; exit 1'));
    const { status, stderr } = start();
    expect(status).toBe(2);
    expect(stderr).toContain("npm error network");
    expect(stderr).toContain("error: npm ci failed");
    writeFileSync(join(tools, "npm"), npm(install));
    expect(start().status).toBe(0);
  });

  test("neither Node nor npm", () => {
    rmSync(join(tools, "npm"));
    const { status, stdout, stderr } = start();
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^error: npm is needed once.*Node\.js 24 or newer/);
  });

  test("a Node that is too old", () => {
    writeFileSync(join(tools, "npm"), npm(install.replace(/ln -sf.*/, "")));
    writeFileSync(join(tools, "node"), "#!/bin/sh\necho v20.1.0\n");
    chmodSync(join(tools, "node"), 0o755);
    const { status, stderr } = start();
    expect(status).toBe(2);
    expect(stderr).toContain("Node.js 24 or newer is needed");
    expect(stderr).toContain("v20.1.0");
  });
});
