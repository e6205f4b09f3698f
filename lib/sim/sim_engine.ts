/**
 * What the simulator needs of an engine: the surface of `SerfEngine`.
 *
 * It is an interface of its own for two reasons: the tests of the network run
 * with an engine of a few lines, and the tests of the checkers run with engines
 * that carry a planted mistake.
 */

import type { Coordinate } from "../coordinate/coordinate.ts";
import type { SerfConfig } from "../serf/config.ts";
import type {
  JoinTarget,
  KeyRequestParams,
  QueryParams,
  SwimView,
} from "../serf/engine.ts";
import type { Output, QueryEvent } from "../serf/event.ts";
import type { Member } from "../serf/member.ts";
import type { EngineSeeds } from "../swim/core.ts";
import type { OperationId, StreamId } from "../swim/output.ts";

/** An engine that the simulator can run. Times are virtual ms. */
export interface SimEngine {
  start(nowMs: number): void;
  handlePacket(from: string, bytes: Uint8Array, nowMs: number): void;
  handleStreamOpened(from: string, nowMs: number): StreamId;
  handleStreamData(id: StreamId, bytes: Uint8Array, nowMs: number): void;
  handleStreamClosed(id: StreamId, nowMs: number): void;
  handleDialed(id: StreamId, nowMs: number): void;
  handleDialFailed(id: StreamId, why: string, nowMs: number): void;
  handleTimeout(nowMs: number): void;
  nextDeadlineMs(): number | undefined;
  drain(): Output[];

  join(
    targets: readonly JoinTarget[],
    options: { readonly ignoreOld: boolean },
    nowMs: number,
  ): OperationId;
  leave(nowMs: number): OperationId;
  forceLeave(
    node: string,
    options: { readonly prune: boolean },
    nowMs: number,
  ): OperationId;
  userEvent(
    name: string,
    payload: Uint8Array,
    options: { readonly coalesce: boolean },
    nowMs: number,
  ): void;
  query(params: QueryParams, nowMs: number): OperationId;
  respond(query: QueryEvent, payload: Uint8Array, nowMs: number): void;
  setTags(tags: ReadonlyMap<string, string>, nowMs: number): OperationId;
  changeKeys(params: KeyRequestParams, nowMs: number): OperationId;
  keyringSaved(saveId: number, error: string | undefined, nowMs: number): void;

  readonly state: "alive" | "leaving" | "left" | "shutdown";
  members(): Member[];
  localMember(): Member;
  coordinate(name: string): Coordinate | undefined;
  stats(): Map<string, string>;
  readonly swim: Pick<SwimView, "member" | "members" | "queueDepth">;
}

/** Makes the engine of one life of one node. */
export type EngineFactory = (
  config: SerfConfig,
  seeds: EngineSeeds,
) => SimEngine;
