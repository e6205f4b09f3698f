/**
 * The real network as a driver of one Serf engine.
 *
 * The engine is a value that says what it wants; this is the part that does it:
 *
 *     UDP packet, TCP bytes, dial result, timer, request of the user
 *        └──▶ engine.handleX(..., now)
 *               └──▶ drain ──▶ send, dial, write, close, event, log, done
 *                      └──▶ nextDeadlineMs ──▶ the one timer
 *
 * Two rules keep it honest. Outputs are performed in order and to the end
 * before anything else is fed, also when performing one leads to a request
 * (a listener that sends an event on an event). And the engine's deadline is
 * looked at after every packet, not only when the timer fires: a flood of
 * packets may keep the runtime from firing timers, and a node that misses its
 * own deadlines accuses others of failing.
 *
 * Not for: what to do with events and log lines (`lib/agent`).
 */

import { defined, unreachable } from "../kit/assert.ts";
import type { HostPort } from "../kit/address.ts";
import type { Coordinate } from "../coordinate/coordinate.ts";
import { Metrics } from "../kit/metrics.ts";
import type {
  KeyRequestParams,
  QueryParams,
  SerfEngine,
  SerfState,
} from "../serf/engine.ts";
import type {
  KeyReport,
  OperationResult,
  Output,
  QueryEvent,
  SerfEvent,
} from "../serf/event.ts";
import type { Member } from "../serf/member.ts";
import type { OperationId } from "../swim/output.ts";
import { advertisedAddress } from "./advertise.ts";
import { bindSockets, type SocketPair } from "./bind.ts";
import { monotonicMs, TIMER_MS_MAX } from "./clock.ts";
import { makeEngine } from "./driver_engine.ts";
import {
  type DriverOptions,
  JoinError,
  KeyError,
  type QueryListener,
} from "./driver_options.ts";
import { isPublicIp } from "./interfaces.ts";
import { joinErrorsOf, resolveJoinAddresses } from "./join_targets.ts";
import { NetworkTroubles } from "./network_troubles.ts";
import { StreamTable } from "./tcp.ts";

export {
  type DriverConfig,
  type DriverOptions,
  JoinError,
  KeyError,
  type QueryListener,
} from "./driver_options.ts";

/**
 * Accepted streams held at one time: as many as the engine takes, silent ones and
 * others, and 128 that only have to be ended.
 */
const INBOUND_STREAMS_MAX = 768;

export class NodeDriver {
  /** Where we are bound, with the port that was chosen. */
  readonly bound: HostPort;
  /** What others are told. */
  readonly advertised: HostPort;
  /** All that this node counts, for sinks; see `kit/metrics.ts`. */
  readonly metrics: Metrics;

  readonly #options: DriverOptions;
  readonly #sockets: SocketPair;
  readonly #engine: SerfEngine;
  readonly #streams: StreamTable;
  readonly #operations = new Map<
    OperationId,
    (result: OperationResult) => void
  >();
  readonly #queries = new Map<OperationId, QueryListener>();
  readonly #troubles: NetworkTroubles;
  /** Settles when the last save that was asked for is done. */
  #saves: Promise<void> = Promise.resolve();
  readonly #ended: Promise<unknown>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAtMs = Infinity;
  #isPerforming = false;
  #isShutdown = false;

  /**
   * Binds the sockets and starts the engine, which announces itself.
   *
   * @throws {BindError} when a socket cannot be bound, or this machine has no
   * address to announce
   * @throws {RangeError} when a setting is out of range; with either error,
   * nothing is left open
   */
  static start(options: DriverOptions): NodeDriver {
    return new NodeDriver(options);
  }

  private constructor(options: DriverOptions) {
    this.#options = options;
    this.metrics = options.metrics ?? new Metrics();
    this.#troubles = new NetworkTroubles(
      this.metrics,
      (level, text) => options.onLog(level, `memberlist: ${text}`),
    );
    this.#sockets = bindSockets(options.bind, {
      onPacket: (from, bytes) => this.#onPacket(from, bytes),
      onReadError: (error) => this.#troubles.receiveFailed(error),
      onSendError: (to, error) => this.#troubles.sendFailed(to, error),
      onSendDropped: () => this.#troubles.sendDropped(),
    });
    const { port } = this.#sockets;
    this.bound = { host: options.bind.host, port };
    this.#streams = this.#makeStreams();
    try {
      this.advertised = advertisedAddress(options.advertise, this.bound);
      this.#engine = makeEngine(options, this);
    } catch (error) {
      this.#closeSockets();
      throw error;
    }
    if (options.bind.port === 0) {
      options.onLog("DEBUG", `memberlist: Using dynamic bind port ${port}`);
    }
    const { keyring } = options.config.swim;
    if (isPublicIp(this.advertised.host) && (keyring?.size ?? 0) === 0) {
      options.onLog(
        "WARN",
        "memberlist: Binding to public address without encryption!",
      );
    }
    options.snapshot?.attach({
      metrics: this.metrics,
      log: (level, text) => options.onLog(level, text),
      requestRewrite: () => {
        this.#engine.rewriteSnapshot();
        this.#pump();
      },
    });
    this.#ended = Promise.all([
      this.#sockets.udp.receive(),
      this.#streams.accept(this.#sockets.listener),
    ]);
    this.#engine.start(monotonicMs());
    this.#pump();
  }

  // --- Requests -------------------------------------------------------------

  /**
   * Joins at each address, names at all their addresses.
   *
   * @param addresses as people write them; see `resolve.ts`
   * @param options.replay whether old user events are wanted
   * @param options.defaultPort stands in for a port that is not given; the bound
   * one unless told otherwise
   * @returns how many addresses were contacted; 0 only for an empty list
   * @throws {JoinError} when none could be contacted
   * @throws {StateError} after a leave
   */
  async join(
    addresses: readonly string[],
    options: { readonly replay: boolean; readonly defaultPort?: number },
  ): Promise<number> {
    const { defaultPort = this.bound.port } = options;
    const resolved = await resolveJoinAddresses(
      addresses,
      defaultPort,
      (error) => this.#options.onLog("WARN", `memberlist: ${error}`),
    );
    const targets = resolved.flatMap((entry) => entry.targets);
    const { contacted = 0, errors = [], error } = await this.#request((nowMs) =>
      this.#engine.join(targets, { ignoreOld: !options.replay }, nowMs)
    );
    if (contacted > 0 || addresses.length === 0) return contacted;
    // The join itself was cut short, by a leave or a shutdown.
    if (error !== undefined && errors.length === 0) throw new Error(error);
    // Nobody answered, so there is one error for each target.
    throw new JoinError(joinErrorsOf(resolved, errors));
  }

  /**
   * Tells the cluster that we leave and waits until it is known. The node goes
   * on answering until `shutdown`.
   *
   * @throws {Error} when nobody has acknowledged it; we have left all the same
   */
  async leave(): Promise<void> {
    check(await this.#request((nowMs) => this.#engine.leave(nowMs)));
  }

  /** Turns a failed member into one that left; with `prune` forgets it at once. */
  async forceLeave(
    node: string,
    options: { readonly prune: boolean },
  ): Promise<void> {
    check(
      await this.#request((nowMs) =>
        this.#engine.forceLeave(node, options, nowMs)
      ),
    );
  }

  /** @throws {RangeError} when the event is too long; nothing was sent */
  userEvent(
    name: string,
    payload: Uint8Array,
    options: { readonly coalesce: boolean },
  ): void {
    this.#engine.userEvent(name, payload, options, monotonicMs());
    this.#pump();
  }

  /**
   * Asks the cluster. The listener may be called before this returns.
   *
   * @returns gives the query up: the listener is not called any more, though in
   * the cluster the query goes on
   * @throws {RangeError} when the query is too long, or a number out of range
   * @throws {StateError} when there can be none at this time
   */
  query(params: QueryParams, listener: QueryListener): () => void {
    const operation = this.#engine.query(params, monotonicMs());
    this.#queries.set(operation, listener);
    this.#pump();
    return () => {
      if (!this.#queries.delete(operation)) return;
      this.#engine.giveUpQuery(operation, monotonicMs());
      this.#pump();
    };
  }

  /**
   * Answers a query, once.
   *
   * @throws {RangeError} when the answer is too long; a shorter one may follow
   * @throws {StateError} when it was answered already, or it is too late
   */
  respond(query: QueryEvent, payload: Uint8Array): void {
    this.#engine.respond(query, payload, monotonicMs());
    this.#pump();
  }

  /**
   * Replaces our tags and waits until the cluster knows.
   *
   * @throws {RangeError} when they are too long; the old ones stay
   */
  async setTags(tags: ReadonlyMap<string, string>): Promise<void> {
    check(await this.#request((nowMs) => this.#engine.setTags(tags, nowMs)));
  }

  /**
   * Checks tags as `setTags` would, and changes nothing.
   *
   * @throws {RangeError} when they are too long
   * @throws {StateError} after a leave
   */
  checkTags(tags: ReadonlyMap<string, string>): void {
    this.#engine.checkTags(tags);
  }

  /**
   * Installs, uses or removes a key at every member, or lists the keys of all.
   *
   * @throws {KeyError} when not every member did it; it carries the report
   * @throws {StateError} after a shutdown, and when too many requests wait
   */
  async changeKeys(request: KeyRequestParams): Promise<KeyReport> {
    const { keys, error } = await this.#request((nowMs) =>
      this.#engine.changeKeys(request, nowMs)
    );
    const report = defined(keys, "report of a key request");
    if (error !== undefined) throw new KeyError(error, report);
    return report;
  }

  /**
   * Stops at once, without telling the cluster; requests under way fail.
   * Harmless when repeated.
   *
   * @returns settles when the sockets are free again, and the snapshot, if there
   * is one, is safe on the disk
   */
  async shutdown(): Promise<void> {
    this.#stop();
    await Promise.all([this.#ended, this.#options.snapshot?.close()]);
  }

  #stop(): void {
    if (this.#isShutdown) return;
    this.#engine.shutdown(monotonicMs());
    this.#pump();
    this.#isShutdown = true;
    clearTimeout(this.#timer);
    this.#closeSockets();
    this.#options.snapshot?.close();
  }

  // --- Views ----------------------------------------------------------------

  /** Everybody known, by name. */
  members(): readonly Member[] {
    return this.#engine.members();
  }

  member(name: string): Member | undefined {
    return this.#engine.member(name);
  }

  localMember(): Member {
    return this.#engine.localMember();
  }

  /** Our tags; all of them, also where our version announces the role alone. */
  get tags(): ReadonlyMap<string, string> {
    return this.#engine.tags;
  }

  get state(): SerfState {
    return this.#engine.state;
  }

  stats(): ReadonlyMap<string, string> {
    return this.#engine.stats();
  }

  /** Where a member is in the network, if we have pinged it; ourselves too. */
  coordinate(name: string): Coordinate | undefined {
    return this.#engine.coordinate(name);
  }

  /**
   * How long the engine has waited for what it wants to do next, ms; 0 when nothing
   * is due. More than a moment means that this node does not do its work.
   */
  get overdueMs(): number {
    const dueMs = this.#engine.nextDeadlineMs() ?? Infinity;
    return Math.max(0, monotonicMs() - dueMs);
  }

  /** Streams to and from other nodes that are open at this moment. */
  get streamCount(): number {
    return this.#streams.size;
  }

  // --- Inputs ---------------------------------------------------------------

  #onPacket(from: string, bytes: Uint8Array): void {
    const nowMs = monotonicMs();
    if (nowMs >= this.#timerAtMs) {
      clearTimeout(this.#timer);
      this.#timerAtMs = Infinity;
      this.#engine.handleTimeout(nowMs);
    }
    this.#engine.handlePacket(from, bytes, nowMs);
    this.#pump();
  }

  #onTimer(): void {
    this.#timerAtMs = Infinity;
    this.#engine.handleTimeout(monotonicMs());
    this.#pump();
  }

  #makeStreams(): StreamTable {
    const feed = (input: (nowMs: number) => void) => {
      if (this.#isShutdown) return;
      input(monotonicMs());
      this.#pump();
    };
    return new StreamTable({
      onOpened: (from, attach) =>
        feed((nowMs) => attach(this.#engine.handleStreamOpened(from, nowMs))),
      onData: (id, bytes) =>
        feed((nowMs) => this.#engine.handleStreamData(id, bytes, nowMs)),
      onEnded: (id) =>
        feed((nowMs) => this.#engine.handleStreamClosed(id, nowMs)),
      onDialed: (id) => feed((nowMs) => this.#engine.handleDialed(id, nowMs)),
      onDialFailed: (id, why) =>
        feed((nowMs) => this.#engine.handleDialFailed(id, why, nowMs)),
      onAcceptError: (error) => this.#troubles.acceptFailed(error),
      onAcceptAborted: (error) => this.#troubles.acceptAborted(error),
      onRefused: (from) => this.#troubles.streamRefused(from),
      onOverfull: (from) => this.#troubles.streamOverfull(from),
    }, { inboundMax: INBOUND_STREAMS_MAX });
  }

  /** Makes a request and waits for its end. */
  async #request(
    start: (nowMs: number) => OperationId,
  ): Promise<OperationResult> {
    const operation = start(monotonicMs());
    const { promise, resolve } = Promise.withResolvers<OperationResult>();
    this.#operations.set(operation, resolve);
    this.#pump();
    return await promise;
  }

  // --- Outputs --------------------------------------------------------------

  /** Performs everything that the engine wants, then re-arms the timer. */
  #pump(): void {
    // A listener made a request; the loop below, further up the stack, goes on.
    if (this.#isPerforming) return;
    this.#isPerforming = true;
    let outputs: Output[];
    while ((outputs = this.#engine.drain()).length > 0) {
      for (const output of outputs) this.#perform(output);
    }
    this.#isPerforming = false;
    this.#arm();
  }

  #perform(output: Output): void {
    switch (output.kind) {
      case "packet":
        return this.#sockets.udp.send(output.to, output.bytes);
      case "dial":
        return this.#streams.dial(output.streamId, output.to);
      case "write":
        return this.#streams.write(output.streamId, output.bytes);
      case "close":
        return output.isAbrupt
          ? this.#streams.drop(output.streamId)
          : this.#streams.close(output.streamId);
      case "log":
        return this.#options.onLog(output.level, output.text);
      case "event":
        return this.#deliver(output.event);
      case "persist":
        this.#options.snapshot?.write(output);
        return;
      case "queryReply":
        this.#queries.get(output.operation)?.onReply(output.reply);
        return;
      case "compilerWanted":
        this.#loadCompiler();
        return;
      case "saveKeyring":
        this.#saves = this.#saves.then(() => this.#saveKeyring(output));
        return;
      case "stopped":
        this.#stop();
        this.#options.onNameLost?.();
        return;
      case "done":
        return this.#onDone(output);
      default:
        return unreachable(output);
    }
  }

  #onDone(result: OperationResult): void {
    const { operation } = result;
    this.#operations.get(operation)?.(result);
    this.#operations.delete(operation);
    const listener = this.#queries.get(operation);
    this.#queries.delete(operation);
    listener?.onDone();
  }

  /**
   * Loads the engine for expressions, which takes 3 to 12 MB and 15 ms, and which
   * most nodes never need. Queries wait in the engine meanwhile.
   */
  async #loadCompiler(): Promise<void> {
    const { compileExpression } = await import("../kit/re2.ts");
    if (this.#isShutdown) return;
    this.#engine.provideCompiler(compileExpression, monotonicMs());
    this.#pump();
  }

  /** Keeps the keys and tells the engine how that went. */
  async #saveKeyring(
    { saveId, keys }: Extract<Output, { kind: "saveKeyring" }>,
  ): Promise<void> {
    let error: string | undefined;
    try {
      await this.#options.saveKeyring?.(keys);
    } catch (cause) {
      error = cause instanceof Error ? cause.message : String(cause);
    }
    if (this.#isShutdown) return;
    this.#engine.keyringSaved(saveId, error, monotonicMs());
    this.#pump();
  }

  #deliver(event: SerfEvent): void {
    try {
      this.#options.onEvent(event);
    } catch (error) {
      // The listener's bug must not leave the rest unperformed; it ends the
      // process all the same, unless the embedder wants otherwise.
      reportError(error);
    }
  }

  #arm(): void {
    const nextMs = this.#engine.nextDeadlineMs() ?? Infinity;
    // A timer that fires too early costs little; re-arming it for each packet
    // that moves a deadline further away would cost more.
    if (this.#isShutdown || nextMs >= this.#timerAtMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = nextMs;
    const waitMs = Math.ceil(Math.max(0, nextMs - monotonicMs()));
    this.#timer = setTimeout(
      () => this.#onTimer(),
      Math.min(waitMs, TIMER_MS_MAX),
    );
  }

  // --- Inside ---------------------------------------------------------------

  #closeSockets(): void {
    this.#sockets.listener.close();
    this.#sockets.udp.close();
    this.#streams.shutdown();
  }
}

/** @throws {Error} with the text of a request that failed */
function check(result: OperationResult): void {
  if (result.error !== undefined) throw new Error(result.error);
}
