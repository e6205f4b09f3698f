/**
 * Serf for programs: be a member of a cluster, or talk to an agent that is one.
 *
 * - `SerfNode` embeds a node: members, events, queries, tags, coordinates.
 * - `RpcClient` asks a running agent, ours or HashiCorp's. From `@serf/serf/rpc` it
 *   comes without the engine, and a program that needs no more starts sooner.
 * - `SerfEngine` is the protocol as a value, for drivers of your own.
 * - The simulator, for tests, is an entry of its own: `@serf/serf/sim`.
 *
 * Importing this loads no cipher and no engine for expressions; they come when a
 * node has keys, and with the first query that filters by an expression.
 *
 * Deno must be told to allow UDP: `"unstable": ["net"]` in deno.json, or the flag
 * `--unstable-net`.
 *
 * ```ts
 * import { SerfNode } from "@serf/serf";
 * import assert from "node:assert/strict";
 *
 * await using node = await SerfNode.start({ name: "a", bind: "127.0.0.1:0" });
 * for (const { name, status } of node.members()) {
 *   assert.equal(`${name} ${status}`, "a alive");
 * }
 * ```
 *
 * @module
 */

// --- A node of one's own ------------------------------------------------------

export {
  type CloseReason,
  type QueryOptions,
  SerfNode,
} from "./net/serf_node.ts";
export type {
  NodeSettings,
  SerfNodeOptions,
  SnapshotOptions,
} from "./net/serf_node_options.ts";
export { type EncryptKey, loadKeyring } from "./net/keyring_loader.ts";
export type { MemberSelection, TextPattern } from "./net/member_selection.ts";
export {
  type NodeEvent,
  type NodeEventOf,
  type NodeEventsOptions,
  type NodeEventType,
  ReceivedQuery,
} from "./net/node_event.ts";
export { QueryReplies } from "./net/query_replies.ts";
export type { Responder } from "./net/responders.ts";

// --- A client of an agent -----------------------------------------------------

export {
  RpcClient,
  type RpcClientOptions,
  type RpcQueryOptions,
} from "./net/rpc_client.ts";
export {
  type RpcEvent,
  type RpcMemberEvent,
  RpcReceivedQuery,
} from "./net/rpc_event.ts";
export {
  type MemberFilter,
  RPC_ADDRESS_DEFAULT,
  type RpcKeyReport,
  type RpcMember,
  type RpcMetricsInterval,
  type RpcMetricsReport,
  type RpcMetricTally,
  type RpcQuery,
  type RpcStats,
  type TagChanges,
} from "./rpc/protocol.ts";
export type { RpcQueryRequest } from "./rpc/client_bodies.ts";
export { RecordText, type RecordValue } from "./rpc/client_session.ts";
export type { CoordinateRecord } from "./wire/serf_payloads.ts";

// --- What both receive --------------------------------------------------------

export {
  type EventStreamOptions,
  type LostEvents,
  type Payload,
  type QueryResult,
  type ReceivedAck,
  type ReceivedReply,
  ReceivedResponse,
  ReceivedUserEvent,
  type TextMap,
} from "./net/received.ts";
export { Subscription, type SubscriptionOptions } from "./net/subscription.ts";
export type { Member, MemberStatus } from "./serf/member.ts";
export type { Coordinate } from "./coordinate/coordinate.ts";
export { formatEndpoint, formatIp, type HostPort } from "./kit/address.ts";
export { utf8Bytes, utf8Text } from "./kit/bytes.ts";

// --- What a node counts -------------------------------------------------------

export {
  type Counter,
  type Gauge,
  type Metric,
  type MetricKind,
  type MetricListener,
  Metrics,
  type MetricsView,
  type Reading,
  type Sample,
  type SampleSummary,
} from "./kit/metrics.ts";

// --- Errors -------------------------------------------------------------------

export { BindError } from "./net/bind.ts";
export { JoinError, KeyError } from "./net/driver.ts";
export { KeyRequestError, UnsupportedCommandError } from "./net/rpc_client.ts";
export { StateError } from "./serf/engine.ts";
export { SnapshotError } from "./net/snapshot_error.ts";

// --- The engine, for drivers of one's own ---------------------------------------

export {
  type EngineSeeds,
  type JoinTarget,
  type KeyRequestParams,
  type QueryParams,
  SerfEngine,
  type SerfSeeds,
  type SerfState,
  type SwimView,
} from "./serf/engine.ts";
export {
  type GivenSwim,
  type SerfConfig,
  serfConfig,
  type SnapshotConfig,
} from "./serf/config.ts";
export type { SerfLimits } from "./serf/limits.ts";
export {
  readSnapshot,
  type ReadSnapshotOptions,
  type RestoredSnapshot,
  type SnapshotComplaint,
} from "./serf/snapshot_file.ts";
export {
  isMemberEvent,
  type KeyReport,
  type MemberEvent,
  type MemberEventType,
  type OperationResult,
  type Output,
  type PersistOutput,
  type QueryEvent,
  type QueryReply,
  type SerfEvent,
  type UserEvent,
} from "./serf/event.ts";
export {
  type ProfileName,
  PROFILES,
  type RequiredSwimConfig,
  type SwimConfig,
  type SwimProfile,
} from "./swim/config.ts";
export type { ReplyRates, SwimLimits } from "./swim/limits.ts";
export type { DriverOutput, OperationId, StreamId } from "./swim/output.ts";
export type { SealOptions } from "./wire/aead.ts";
export type { EncryptionVersion } from "./wire/seal_size.ts";
export type { Keyring } from "./wire/keyring.ts";
export type { BudgetRate } from "./kit/budget.ts";
export type { CompileExpression, Matcher } from "./kit/expression.ts";
export { LOG_LEVELS, type LogLevel } from "./kit/log.ts";
export { Random } from "./kit/random.ts";
export { VERSION } from "./kit/version.ts";
