/** Reading and writing a cluster. */
export { type Client, type ClientOptions, openClient, type Query, type RequestOptions } from "./client.ts";
export type { Connection, TlsSettings } from "./connection.ts";
export { ApiError, NetworkError } from "./errors.ts";
export { type ClusterEvent, EventWriter, type EventWriterOptions } from "./events.ts";
export type { ClusterFeed, FeedBatch, PolicyProblem, SourceStatus } from "./feed.ts";
export { type FollowOptions, followCluster } from "./follow.ts";
export { type InClusterOptions, inClusterConnection } from "./in-cluster.ts";
export { type ListOptions, listObjects } from "./list.ts";
