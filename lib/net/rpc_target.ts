/**
 * What the RPC port needs of an agent: the requests of clients, as calls.
 *
 * Not for: how they travel (`rpc_connection.ts`).
 */

import type { LogLevel } from "../kit/log.ts";
import type {
  RpcKeyRequest,
  RpcMetricsReport,
  RpcQuery,
  TagChanges,
} from "../rpc/protocol.ts";
import type { KeyReport, QueryEvent, SerfEvent } from "../serf/event.ts";
import type { Member } from "../serf/member.ts";
import type { CoordinateRecord } from "../wire/serf_payloads.ts";
import type { QueryListener } from "./driver.ts";

/** What clients can ask of an agent. Errors reach them with their message. */
export interface RpcTarget {
  /** Sorted by name. */
  members(): readonly Member[];
  /** @returns how many addresses were contacted */
  join(addresses: readonly string[], replay: boolean): Promise<number>;
  /** Resolves when the cluster was left; the agent then shuts down by itself. */
  leave(): Promise<void>;
  forceLeave(node: string, prune: boolean): Promise<void>;
  userEvent(name: string, payload: Uint8Array, coalesce: boolean): void;
  /**
   * Asks the cluster. The listener may be called before this returns.
   *
   * @returns gives the query up: the listener is not called any more
   */
  query(query: RpcQuery, listener: QueryListener): () => void;
  /** Answers a query, once. */
  respond(query: QueryEvent, payload: Uint8Array): void;
  /** @throws {KeyError} with the report, when not every member did it */
  changeKeys(request: RpcKeyRequest): Promise<KeyReport>;
  /** Changes the agent's tags and resolves once a peer knows them. */
  changeTags(changes: TagChanges): Promise<void>;
  stats(): ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** What was counted in the last minute. */
  recentMetrics(): RpcMetricsReport;
  /** `undefined` when the node's coordinate is not known. */
  coordinate(node: string): CoordinateRecord | undefined;
  /** @returns ends the subscription */
  subscribeEvents(listener: (event: SerfEvent) => void): () => void;
  /** `backlog` holds recent lines of that level and above, oldest first. */
  subscribeLog(
    level: LogLevel,
    listener: (line: string) => void,
  ): { backlog: string[]; unsubscribe(): void };
  /** @param text begins with its component: `agent.ipc: ...` */
  log(level: LogLevel, text: string): void;
}
