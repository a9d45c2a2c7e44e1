/** Reading and writing a cluster. */
export { type Client, openClient, type Query } from "./client.ts";
export type { Connection } from "./connection.ts";
export { ApiError, NetworkError } from "./errors.ts";
export { type ClusterEvent, EventWriter } from "./events.ts";
export type { ClusterFeed, FeedBatch, PolicyProblem, SourceStatus } from "./feed.ts";
export { followCluster } from "./follow.ts";
export { inClusterConnection } from "./in-cluster.ts";
export { listObjects } from "./list.ts";
