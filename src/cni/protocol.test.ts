import { describe, expect, test } from "vitest";
import { accepted, ProtocolError, parseRequest, parseResponse, protocolVersion, refuse } from "./protocol.ts";

const request = {
  version: protocolVersion,
  operation: "add",
  timeout: 60_000,
  pod: { namespace: "shop", name: "web-0", uid: "6f1c" },
  ips: ["10.0.0.5", "fd00::5"],
};

describe("requests", () => {
  test("what is written is what is read", () => {
    expect(parseRequest(JSON.stringify(request))).toEqual(request);
    expect(parseRequest(JSON.stringify({ ...request, pod: { ...request.pod, uid: null } })).pod?.uid).toBeNull();
    expect(parseRequest(JSON.stringify({ ...request, operation: "status", pod: null })).pod).toBeNull();
  });

  test("fields of a newer plugin are ignored", () => {
    expect(parseRequest(JSON.stringify({ ...request, sandbox: "abc" }))).toEqual(request);
  });

  test.each([
    ["nothing", ""],
    ["no JSON", "hello"],
    ["no object", "[]"],
    ["another version", JSON.stringify({ ...request, version: 2 })],
    ["an unknown operation", JSON.stringify({ ...request, operation: "destroy" })],
    ["no time", JSON.stringify({ ...request, timeout: 0 })],
    ["no pod", JSON.stringify({ ...request, pod: null })],
    ["a path for a name", JSON.stringify({ ...request, pod: { ...request.pod, name: "../x" } })],
    ["a name that is too long", JSON.stringify({ ...request, pod: { ...request.pod, name: "a".repeat(254) } })],
    ["an empty namespace", JSON.stringify({ ...request, pod: { ...request.pod, namespace: "" } })],
    ["control characters", JSON.stringify({ ...request, pod: { ...request.pod, uid: "a\nb" } })],
    ["numbers for addresses", JSON.stringify({ ...request, ips: [1] })],
    ["too many addresses", JSON.stringify({ ...request, ips: Array.from({ length: 33 }, () => "10.0.0.5") })],
  ])("%s is refused", (_, line) => {
    expect(() => parseRequest(line)).toThrow(ProtocolError);
  });
});

describe("responses", () => {
  test("what is written is what is read", () => {
    const refusal = refuse("not-ready", "the first list is not in yet");
    for (const response of [accepted, refusal]) expect(parseResponse(JSON.stringify(response))).toEqual(response);
  });

  test("an unknown reason is a failure, an unknown form an error", () => {
    expect(parseResponse(JSON.stringify({ version: 1, ok: false, refusal: "busy", message: "m" }))).toEqual(
      refuse("failed", "m"),
    );
    expect(() => parseResponse(JSON.stringify({ version: 1 }))).toThrow(ProtocolError);
  });
});
