/**
 * The Serf engine: one node of a cluster, as a value.
 *
 * It stands on a SWIM engine and adds what users see: statuses that tell a leave
 * from a failure, tags, user events, and the memory that makes all members agree
 * on their order. The contract with the driver is that of the SWIM engine:
 *
 * - `nowMs` never goes back; any origin will do.
 * - After any input or request: drain, perform in order, then ask
 *   `nextDeadlineMs` again.
 * - At that instant call `handleTimeout`; later is allowed, only slower.
 * - Inputs never throw because of what a peer sent. What cannot be used is
 *   dropped, counted and logged.
 * - Requests throw only for the caller's mistakes, and then nothing has changed.
 * - Every request that returns an operation ends in exactly one `done` output.
 *
 * This file routes. Inputs go to the SWIM engine; its outputs for the driver are
 * passed on in order, and what it tells us goes to the mechanism concerned:
 *
 *     driver --input--> SwimEngine --event--> roster, inbox, push_pull, joins, leave
 *     driver <--output--+      ^                   |
 *                              +----- SwimHost ----+  (meta, state, broadcasts)
 *
 * What is due at some time is routed by `timeouts.ts`.
 */

import { unreachable } from "../kit/assert.ts";
import type { Coordinate } from "../coordinate/coordinate.ts";
import type { CompileExpression } from "../kit/expression.ts";
import { Metrics } from "../kit/metrics.ts";
import {
  type EngineSeeds,
  type JoinTarget,
  SwimEngine,
} from "../swim/engine.ts";
import type { SwimHost } from "../swim/host.ts";
import type { OperationId, StreamId, SwimEvent } from "../swim/output.ts";
import type { SerfConfig } from "./config.ts";
import { Coordinates } from "./coordinates.ts";
import { SerfCore, type SerfState, StateError } from "./core.ts";
import type { Output, QueryEvent } from "./event.ts";
import type { KeyRequestParams } from "./key_manager.ts";
import { Inbox } from "./inbox.ts";
import { Joins } from "./join.ts";
import { Departures } from "./leave.ts";
import { type Member, unknownSelf } from "./member.ts";
import { nodeNameProblem } from "./node_name.ts";
import { OwnIntents } from "./own_intent.ts";
import { PushPulls } from "./push_pull.ts";
import { Queries } from "./query.ts";
import { Queues, userMessage } from "./queues.ts";
import { Rejoin } from "./rejoin.ts";
import { Roster } from "./roster.ts";
import type { QueryParams } from "./running_query.ts";
import { Snapshot } from "./snapshot.ts";
import { statsOf } from "./stats.ts";
import { OwnTags } from "./tags.ts";
import { Timeouts } from "./timeouts.ts";
import { UserEvents } from "./user_event.ts";

export { type SerfState, StateError } from "./core.ts";
export type { KeyRequestParams } from "./key_manager.ts";
export type { QueryParams } from "./running_query.ts";
export type { EngineSeeds, JoinTarget } from "../swim/engine.ts";

/** What the engine cannot make by itself. */
export interface SerfSeeds extends EngineSeeds {
  /**
   * For the filters of queries. Absent, it is asked for by `compilerWanted` as
   * soon as a query needs it, so that a driver can load it late.
   */
  readonly compileExpression?: CompileExpression;
  /** Where to count; absent, in one of its own. */
  readonly metrics?: Metrics;
}

/** Error of the operations that a shutdown cuts short. */
const SHUTDOWN_TEXT = "Serf was shut down";

/** The part of the SWIM engine that only looks. */
export type SwimView = Pick<
  SwimEngine,
  "healthScore" | "liveCount" | "member" | "members" | "metrics" | "queueDepth"
>;

/** One node of a cluster as a value: fed with what happens, emptied of what it wants. */
export class SerfEngine {
  /**
   * All that this node counts, the SWIM layer's share included. Whoever drives
   * the engine may count here too; sinks read it or subscribe.
   */
  readonly metrics: Metrics;

  readonly #core: SerfCore;
  readonly #swim: SwimEngine;
  readonly #coordinates: Coordinates;
  readonly #roster: Roster;
  readonly #tags: OwnTags;
  readonly #queues: Queues;
  readonly #userEvents: UserEvents;
  readonly #pushPulls: PushPulls;
  readonly #intents: OwnIntents;
  readonly #queries: Queries;
  readonly #inbox: Inbox;
  readonly #joins: Joins;
  readonly #departures: Departures;
  readonly #rejoin: Rejoin;
  readonly #snapshot: Snapshot | undefined;
  readonly #timeouts: Timeouts;

  /**
   * Does nothing before `start`.
   *
   * @throws {RangeError} when the tags are too long
   */
  constructor(config: SerfConfig, seeds: SerfSeeds) {
    const { metrics = new Metrics() } = seeds;
    this.metrics = metrics;
    const core = new SerfCore(config, seeds.random, metrics);
    this.#core = core;
    this.#tags = new OwnTags(core);
    this.#coordinates = new Coordinates(core);
    this.#roster = new Roster(core, this.#coordinates);
    this.#userEvents = new UserEvents(core);
    this.#pushPulls = new PushPulls(core, this.#roster, this.#userEvents);
    this.#swim = new SwimEngine(config.swim, this.#host(), seeds, metrics);
    this.#queues = new Queues(core, this.#swim.broadcastBytesMax);
    this.#intents = new OwnIntents(core, this.#roster, this.#queues);
    this.#queries = new Queries({
      core,
      swim: this.#swim,
      roster: this.#roster,
      queues: this.#queues,
      compile: seeds.compileExpression,
      ownTags: () => this.#tags.current,
      onNameLost: (nowMs) => {
        this.shutdown(nowMs);
        core.emit({ kind: "stopped" });
      },
    });
    this.#inbox = new Inbox({
      core,
      swim: this.#swim,
      roster: this.#roster,
      queues: this.#queues,
      userEvents: this.#userEvents,
      queries: this.#queries,
      intents: this.#intents,
    });
    this.#joins = new Joins(core, this.#swim, this.#intents);
    this.#departures = new Departures(core, this.#swim, this.#intents);
    this.#rejoin = new Rejoin({
      core,
      swim: this.#swim,
      roster: this.#roster,
      onGivenUp: (name) => this.#snapshot?.forget(name),
    });
    this.#snapshot = Snapshot.resume(core, this.#userEvents, this.#queries);
    this.#timeouts = new Timeouts({
      core,
      swim: this.#swim,
      roster: this.#roster,
      queues: this.#queues,
      departures: this.#departures,
      queries: this.#queries,
      snapshot: this.#snapshot,
      rejoin: this.#rejoin,
    });
  }

  // --- Life -----------------------------------------------------------------

  /** Announces ourselves; the first event out is our own member-join. */
  start(nowMs: number): void {
    this.#swim.start(nowMs);
    this.#timeouts.start(nowMs);
    this.#settle(nowMs);
    this.#rejoin.start(nowMs);
    this.#settle(nowMs);
  }

  /**
   * Ends everything without a word to the cluster; held-back events come out, and
   * operations under way end with an error. A second call does nothing.
   */
  shutdown(nowMs: number): void {
    const core = this.#core;
    if (core.state === "shutdown") return;
    if (core.state !== "left") core.log("WARN", "Shutdown without a Leave");
    core.become("shutdown");
    this.#swim.shutdown();
    this.#settle(nowMs);
    this.#snapshot?.clockDue();
    this.#joins.abandon(SHUTDOWN_TEXT);
    this.#departures.abandon(SHUTDOWN_TEXT);
    this.#tags.abandon(SHUTDOWN_TEXT);
    this.#queries.abandon(SHUTDOWN_TEXT, nowMs);
    core.events.flushUserEvents();
    core.events.flushMembers();
    core.deadlines.clear();
  }

  // --- Inputs ---------------------------------------------------------------

  /** A datagram came. @param from `ip:port` of its sender */
  handlePacket(from: string, bytes: Uint8Array, nowMs: number): void {
    this.#queries.beginPacket();
    this.#swim.handlePacket(from, bytes, nowMs);
    this.#settle(nowMs);
  }

  /** Somebody connected to us. The engine numbers the stream. */
  handleStreamOpened(from: string, nowMs: number): StreamId {
    const id = this.#swim.handleStreamOpened(from, nowMs);
    this.#settle(nowMs);
    return id;
  }

  /** The peer of a stream has sent bytes, in any portion. */
  handleStreamData(id: StreamId, bytes: Uint8Array, nowMs: number): void {
    this.#queries.beginPacket();
    this.#swim.handleStreamData(id, bytes, nowMs);
    this.#settle(nowMs);
  }

  /** The peer sends nothing more, or the connection broke. */
  handleStreamClosed(id: StreamId, nowMs: number): void {
    this.#swim.handleStreamClosed(id, nowMs);
    this.#settle(nowMs);
  }

  /** A stream that an output asked for is connected. */
  handleDialed(id: StreamId, nowMs: number): void {
    this.#swim.handleDialed(id, nowMs);
    this.#settle(nowMs);
  }

  /** It could not be connected. @param why as Go words it: `dial tcp 10.0.0.1:7946: connect: connection refused` */
  handleDialFailed(id: StreamId, why: string, nowMs: number): void {
    this.#swim.handleDialFailed(id, why, nowMs);
    this.#settle(nowMs);
  }

  /** Does everything that is due. */
  handleTimeout(nowMs: number): void {
    this.#swim.handleTimeout(nowMs);
    this.#settle(nowMs);
    this.#timeouts.handleDue(nowMs);
    this.#settle(nowMs);
  }

  /** Next instant at which `handleTimeout` has work; `undefined` when idle. */
  nextDeadlineMs(): number | undefined {
    const ours = this.#core.deadlines.nextMs();
    const swims = this.#swim.nextDeadlineMs();
    if (ours === undefined || swims === undefined) return ours ?? swims;
    return Math.min(ours, swims);
  }

  /** Hands over and forgets the outputs produced since the last call. */
  drain(): Output[] {
    return this.#core.drain();
  }

  // --- Requests -------------------------------------------------------------

  /**
   * Exchanges state with each of the addresses and, if one answered, tells the
   * cluster that we are here. Joins run one after the other.
   *
   * @param options `ignoreOld`: user events of the past are not delivered
   * @throws {StateError} when we are not alive, or too many joins wait
   */
  join(
    targets: readonly JoinTarget[],
    options: { readonly ignoreOld: boolean },
    nowMs: number,
  ): OperationId {
    const operation = this.#joins.start(targets, options.ignoreOld, nowMs);
    this.#settle(nowMs);
    return operation;
  }

  /**
   * Leaves the cluster in good order. We go on answering until `shutdown`. Ends in
   * an error when others were there and none has acknowledged it; we have left all
   * the same.
   *
   * @throws {StateError} when we are leaving already, or shut down
   */
  leave(nowMs: number): OperationId {
    if (this.#core.state === "alive") this.#snapshot?.leave();
    const operation = this.#departures.leave(nowMs);
    this.#settle(nowMs);
    return operation;
  }

  /**
   * Makes the cluster take a failed member for one that left. A member that is
   * alive refutes. Nobody checks that the member exists.
   *
   * @param options `prune`: the member is forgotten entirely
   * @throws {StateError} after a shutdown
   */
  forceLeave(
    node: string,
    options: { readonly prune: boolean },
    nowMs: number,
  ): OperationId {
    this.#checkRuns("force a leave");
    const operation = this.#departures.forceLeave(node, options.prune, nowMs);
    this.#settle(nowMs);
    return operation;
  }

  /**
   * Sends a user event to every member, ourselves included.
   *
   * @param options `coalesce`: receivers may keep only the newest of the name
   * @throws {RangeError} when it is too long
   * @throws {StateError} after a shutdown
   */
  userEvent(
    name: string,
    payload: Uint8Array,
    options: { readonly coalesce: boolean },
    nowMs: number,
  ): void {
    this.#checkRuns("send a user event");
    const { coalesce } = options;
    const body = this.#userEvents.send({ name, payload, coalesce }, nowMs);
    this.#queues.put("Event", userMessage(body));
    this.#settle(nowMs);
  }

  /**
   * Asks every member, ourselves included. Acks and answers come as `queryReply`
   * outputs; `done` ends them, when the time is over or when nobody is left who
   * may still answer (see `running_query.ts`).
   *
   * @throws {RangeError} when it is too long, or a number is out of range
   * @throws {StateError} after a shutdown, when too many queries run, or when our
   * protocol version has none
   */
  query(params: QueryParams, nowMs: number): OperationId {
    this.#checkRuns("send a query");
    const operation = this.#queries.ask(params, nowMs);
    this.#settle(nowMs);
    return operation;
  }

  /** Ends a query of ours early; in the cluster it goes on. */
  giveUpQuery(operation: OperationId, nowMs: number): void {
    this.#queries.giveUp(operation, nowMs);
  }

  /**
   * Answers a query, once.
   *
   * @param query as it came out in an event
   * @throws {RangeError} when the answer is too long; a shorter one may follow
   * @throws {StateError} when it was answered already, or its time is over, and
   * after a shutdown
   */
  respond(query: QueryEvent, payload: Uint8Array, nowMs: number): void {
    this.#checkRuns("respond");
    this.#queries.respond(query, payload, nowMs);
    this.#settle(nowMs);
  }

  /**
   * Installs, uses or removes a key at every member, or lists the keys of all. The
   * `done` output carries a report. Whether the key is any good, each member says.
   *
   * @throws {StateError} after a shutdown, and when too many of them wait
   */
  changeKeys(params: KeyRequestParams, nowMs: number): OperationId {
    this.#checkRuns("change keys");
    const operation = this.#queries.changeKeys(params, nowMs);
    this.#settle(nowMs);
    return operation;
  }

  /**
   * Answers `saveKeyring`.
   *
   * @param error why the keys were not kept; `undefined` on success
   */
  keyringSaved(saveId: number, error: string | undefined, nowMs: number): void {
    if (this.#core.state === "shutdown") return;
    this.#queries.keyringSaved(saveId, error, nowMs);
    this.#settle(nowMs);
  }

  /** Answers `compilerWanted`; queries that wait for it go on. */
  provideCompiler(compile: CompileExpression, nowMs: number): void {
    if (this.#core.state === "shutdown") return;
    this.#queries.provideCompiler(compile, nowMs);
    this.#settle(nowMs);
  }

  /**
   * Replaces our whole set of tags and tells the cluster.
   *
   * @throws {RangeError} when they are too long
   * @throws {StateError} when we are not alive: who leaves announces nothing more
   */
  setTags(tags: ReadonlyMap<string, string>, nowMs: number): OperationId {
    const operation = this.#tags.set(tags, this.#swim, nowMs);
    this.#settle(nowMs);
    return operation;
  }

  /** Throws what `setTags` would, and changes nothing. */
  checkTags(tags: ReadonlyMap<string, string>): void {
    this.#tags.check(tags);
  }

  /**
   * Has the snapshot written as a whole: by a driver that had to leave out some of
   * it. Allowed at any time, after a shutdown too; without a snapshot it does
   * nothing.
   */
  rewriteSnapshot(): void {
    this.#snapshot?.rewrite();
  }

  // --- Views ----------------------------------------------------------------

  /** Our tags; all of them, also where our version announces the role alone. */
  get tags(): ReadonlyMap<string, string> {
    return this.#tags.current;
  }

  /** Where this node is between its start and its shutdown. */
  get state(): SerfState {
    return this.#core.state;
  }

  /** Members of every status, sorted by name. */
  members(): Member[] {
    return this.#roster.members();
  }

  /** The member of that name, whatever its status. */
  member(name: string): Member | undefined {
    return this.#roster.member(name);
  }

  /** Ourselves. Status none before `start`, and once we were forgotten. */
  localMember(): Member {
    const { config, name } = this.#core;
    return this.#roster.member(name) ??
      unknownSelf(config.swim, this.#tags.meta);
  }

  /**
   * Where a member is in the network; ourselves too.
   *
   * @returns `undefined` for whom we have not pinged yet, and for nobody's name
   */
  coordinate(name: string): Coordinate | undefined {
    return this.#coordinates.of(name);
  }

  /** What the layer below holds, for diagnosis and for checkers. */
  get swim(): SwimView {
    return this.#swim;
  }

  /** Everything worth showing to an operator, as text. Keys are Serf's. */
  stats(): Map<string, string> {
    return statsOf({
      core: this.#core,
      roster: this.#roster,
      queues: this.#queues,
      healthScore: this.#swim.healthScore,
      coordinateResets: this.#coordinates.resets,
    });
  }

  // --- Inside ---------------------------------------------------------------

  /** What the SWIM layer may ask us. */
  #host(): SwimHost {
    return {
      nodeMeta: () => this.#tags.meta,
      hasBroadcasts: () => !this.#queues.isEmpty,
      takeBroadcasts: (overheadBytes, roomBytes, copies) =>
        this.#queues.take(overheadBytes, roomBytes, this.#roster.size, copies),
      takeUrgent: (overhead, room, copies) =>
        this.#queues.takeUrgent(overhead, room, this.#roster.size, copies),
      localState: () => this.#pushPulls.localState(),
      ackPayload: () => this.#coordinates.ackPayload,
      refuseMember: ({ name }) =>
        this.#core.config.validateNodeNames ? nodeNameProblem(name) : undefined,
    };
  }

  #checkRuns(what: string): void {
    if (this.#core.state === "shutdown") {
      throw new StateError(`Cannot ${what} after Shutdown`);
    }
  }

  /**
   * Passes on what the SWIM engine wants done and does what it tells us, until
   * nothing is left: one step may lead to another.
   */
  #settle(nowMs: number): void {
    let isSettled: boolean;
    do {
      isSettled = true;
      for (const output of this.#swim.drain()) {
        isSettled = false;
        if (output.kind === "event") this.#handleEvent(output.event, nowMs);
        else this.#core.emit(output);
      }
      for (const operation of this.#queues.drainFinished()) {
        isSettled = false;
        this.#departures.intentSpread(operation, nowMs);
      }
    } while (!isSettled);
    if (!this.#queues.isEmpty) this.#swim.wakeGossip(nowMs);
    this.#snapshot?.watchClock(nowMs);
  }

  #handleEvent(event: SwimEvent, nowMs: number): void {
    switch (event.type) {
      case "memberJoin":
        return this.#roster.joined(event.member.node, nowMs);
      case "memberLeave":
        return this.#roster.gone(event.member.name, nowMs, event.hasLeft);
      case "memberUpdate":
        return this.#roster.updated(event.member.node, nowMs);
      case "conflict":
        return this.#queries.conflictFound(event.existing, event.other, nowMs);
      case "userMessage":
        return this.#inbox.handle(event.body, nowMs, event.from);
      case "remoteState": {
        const ignoreOld = event.isJoin && this.#joins.isIgnoringOld;
        const { body, isReply } = event;
        const mustRefute = this.#pushPulls.merge(
          body,
          ignoreOld,
          nowMs,
          isReply,
        );
        if (mustRefute) this.#intents.announceJoin(nowMs);
        return;
      }
      case "pingCompleted":
        // A member that was erased here may still be probed for a while.
        if (this.#roster.has(event.member.name)) {
          this.#coordinates.pingCompleted(event.member.name, event, nowMs);
        }
        return;
      case "receipt":
        return this.#departures.heard();
      case "joinFinished":
        this.#joins.finished(event, nowMs);
        this.#rejoin.finished(event, nowMs);
        return;
      case "broadcastFinished":
        this.#tags.swimFinished(event.operation, event.error);
        this.#departures.swimFinished(event.operation, event.error, nowMs);
        return;
      default:
        return unreachable(event);
    }
  }
}
