/** Which HTTP proxy the environment names for a server: Go's rules (`golang.org/x/net/http/httpproxy`), as kubectl has them. */
import { BlockList, isIP, isIPv6 } from "node:net";

type Env = Readonly<Record<string, string | undefined>>;

/** null: none, the server is reached directly. */
export function proxyFromEnvironment(server: URL, env: Env): URL | null {
  const either = (name: string): string => env[name] || env[name.toLowerCase()] || "";
  const text = either(server.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY");
  if (text === "" || isExcluded(server, either("NO_PROXY"))) return null;
  return parseProxy(text);
}

/**
 * @example `http://proxy:3128`, `proxy:3128` (http)
 * @throws {Error} when it is no address of an HTTP proxy; the message does not quote it, as it may hold a password
 */
export function parseProxy(text: string): URL {
  const whole = /^[a-z0-9]+:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(whole) ? new URL(whole) : null;
  if (url === null) throw new Error("the proxy's address is not valid");
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new Error(`a proxy of the kind ${url.protocol}// is not supported, only http:// and https://`);
  return url;
}

const bare = (host: string): string => host.replace(/^\[|\]$/g, "").toLowerCase();

function isExcluded(server: URL, noProxy: string): boolean {
  const host = bare(server.hostname);
  const port = server.port || (server.protocol === "https:" ? "443" : "80");
  if (host === "localhost" || isLoopback(host)) return true;
  return noProxy
    .split(",")
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== "")
    .some((entry) => entry === "*" || excludes(entry, host, port));
}

function isLoopback(host: string): boolean {
  return host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** An entry of NO_PROXY: an address, a range, a name with everything below it; `.name` and `*.name` only what is below. */
function excludes(entry: string, host: string, port: string): boolean {
  if (entry.includes("/")) return isInRange(entry, host);
  const [, name = entry, itsPort] = /^(\[.*\]|[^:]*):(\d+)$/.exec(entry) ?? [];
  if (itsPort !== undefined && itsPort !== port) return false;
  const plain = bare(name);
  if (isIP(plain) !== 0) return plain === host;
  if (isIP(host) !== 0) return false;
  const below = plain.replace(/^\*/, "");
  return below.startsWith(".") ? host.endsWith(below) : host === below || host.endsWith(`.${below}`);
}

function isInRange(range: string, host: string): boolean {
  const [address = "", bits = ""] = range.split("/");
  const family = isIP(address);
  if (family === 0 || isIP(host) !== family || !/^\d+$/.test(bits) || Number(bits) > (family === 4 ? 32 : 128))
    return false;
  const type = isIPv6(address) ? "ipv6" : "ipv4";
  const list = new BlockList();
  list.addSubnet(address, Number(bits), type);
  return list.check(host, type);
}
