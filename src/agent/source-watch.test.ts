import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { SourceStatus } from "../kube/feed.ts";
import { watchSources } from "./source-watch.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("each reason once, and the end of it", () => {
  const source = { resource: "pods", installed: true, restarts: 0 };
  let synced = false;
  let status: SourceStatus = { ...source, synced, connected: false, error: null };
  const lines: string[] = [];
  const say = (_: object, message: string): void => void lines.push(message);
  const end = watchSources({ status: () => [status] }, { info: say, warn: say });
  const after = (connected: boolean, error: string | null): void => {
    status = { ...source, synced, connected, error };
    vi.advanceTimersByTime(5_000);
  };
  after(false, "refused");
  synced = true;
  after(true, null);
  for (const error of [null, "refused", "refused", null, "refused", "reset"]) after(false, error);
  after(true, null);
  after(true, null);
  end();
  after(false, "refused");
  expect(lines).toEqual([
    "not watched yet: refused",
    "watched again",
    "not watched, what was known stays in force: refused",
    "not watched, what was known stays in force: reset",
    "watched again",
  ]);
});
