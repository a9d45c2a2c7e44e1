import { describe, expect, test } from "vitest";
import { parseProxy, proxyFromEnvironment } from "./proxy.ts";

const proxied = (server: string, env: Readonly<Record<string, string>>): boolean =>
  proxyFromEnvironment(new URL(server), env) !== null;

describe("the environment's proxy", () => {
  test("by scheme, in both spellings", () => {
    const env = { HTTPS_PROXY: "http://secure:3128", http_proxy: "plain:3128" };
    expect(proxyFromEnvironment(new URL("https://api.example"), env)?.href).toBe("http://secure:3128/");
    expect(proxyFromEnvironment(new URL("http://api.example"), env)?.href).toBe("http://plain:3128/");
    expect(proxyFromEnvironment(new URL("https://api.example"), {})).toBeNull();
  });

  test.each(["https://localhost:6443", "https://127.3.2.1:6443", "https://[::1]:6443"])("never for %s", (server) => {
    expect(proxied(server, { HTTPS_PROXY: "http://proxy" })).toBe(false);
  });

  // [NO_PROXY, server, goes through the proxy]: the cases of golang.org/x/net/http/httpproxy
  test.each([
    ["*", "https://api.example", false],
    ["example.com", "https://api.example.com", false],
    ["example.com", "https://example.com", false],
    ["example.com", "https://myexample.com", true],
    [".example.com", "https://example.com", true],
    ["*.example.com", "https://api.example.com", false],
    ["other, example.com:8443", "https://example.com:8443", false],
    ["example.com:8443", "https://example.com", true],
    ["10.0.0.0/8", "https://10.1.2.3:6443", false],
    ["10.0.0.0/8", "https://11.1.2.3:6443", true],
    ["10.1.2.3", "https://10.1.2.3:6443", false],
    ["10.1.2.3:443", "https://10.1.2.3:6443", true],
    ["fd00::/8", "https://[fd00::1]:6443", false],
    ["fd00::1", "https://[fd00::1]:6443", false],
    ["EXAMPLE.com", "https://Api.Example.Com", false],
    ["10.0.0.0/99", "https://10.1.2.3:6443", true],
    ["", "https://example.com", true],
  ])("NO_PROXY=%s, %s: %s", (noProxy, server, expected) => {
    expect(proxied(server, { HTTPS_PROXY: "http://proxy", NO_PROXY: noProxy })).toBe(expected);
  });

  test("what is no HTTP proxy is refused, and not quoted", () => {
    expect(() => parseProxy("socks5://me:secret@proxy:1080")).toThrow("a proxy of the kind socks5:// is not supported");
    expect(() => parseProxy("http://me:secret@:x")).toThrow(/^the proxy's address is not valid$/);
  });
});
