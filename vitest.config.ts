import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The real cluster comes last: in CI its parts are being built while the other tests run. */
class ClusterLast extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const needsCluster = ({ moduleId }: TestSpecification): boolean => moduleId.includes("/test/cluster/");
    const sorted = await super.sort(files);
    return [...sorted.filter((file) => !needsCluster(file)), ...sorted.filter(needsCluster)];
  }
}

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    isolate: false,
    sequence: { sequencer: ClusterLast },
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ["default"],
  },
});
