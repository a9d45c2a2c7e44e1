import { expect, test } from "vitest";
import { podResource } from "./pods.ts";

test("a mirror pod also has the uid of its static pod; others have none", () => {
  const metadata = { name: "web-node-1", namespace: "shop", uid: "of-the-mirror" };
  const { decode } = podResource();
  expect(decode({ metadata })).not.toHaveProperty("staticUid");
  expect(
    decode({ metadata: { ...metadata, annotations: { "kubernetes.io/config.mirror": "of-the-file" } } }),
  ).toMatchObject({
    uid: "of-the-mirror",
    staticUid: "of-the-file",
  });
});
