import { defineConfig } from "vitest/config";

// Kernel suites share one machine's conntrack and CPU: files run one after another there, see test/kernel.
export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    isolate: false,
    testTimeout: 60_000,
    reporters: ["default"],
  },
});
