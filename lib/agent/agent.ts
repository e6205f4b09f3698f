/**
 * The agent: one node of the cluster with a control port.
 *
 * It joins three parts that know nothing of each other: the driver of the
 * gossip engine, the server of the control protocol, and the log. Requests come
 * in through the methods, from the control port or from the code that embeds
 * the agent; events and log lines go out to whoever has subscribed.
 *
 *     running ──leave──▶ leaving ──▶ left
 *        └───────────────────┴────────┴──shutdown──▶ down
 *
 * A shutdown is possible at any time, tells the cluster nothing, and is final.
 * A leave that came over the control port is followed by a shutdown, whether it
 * succeeded or not; one that the embedder asked for is not.
 *
 * Source: serf `agent.go`, and `ipc.go` for what the control port reports.
 */

import type { Coordinate } from "../coordinate/coordinate.ts";
import { unreachable } from "../kit/assert.ts";
import { decodeBase64 } from "../kit/base64.ts";
import type { HostPort } from "../kit/address.ts";
import { utf8Text } from "../kit/bytes.ts";
import type { LogLevel } from "../kit/log.ts";
import { Metrics } from "../kit/metrics.ts";
import { quoteText } from "../kit/quote.ts";
import {
  KeyError,
  type NodeDriver,
  type QueryListener,
} from "../net/driver.ts";
import { resolveListenAddress } from "../net/resolve.ts";
import {
  removeDeadSocket,
  type RpcEndpoint,
  unixPathOf,
} from "../net/rpc_endpoint.ts";
import { RpcServer, type RpcTarget } from "../net/rpc_server.ts";
import type { CloseReason } from "../net/serf_node.ts";
import { listenErrorText, systemErrorText } from "../net/system_error.ts";
import type {
  RpcKeyRequest,
  RpcMetricsReport,
  RpcQuery,
  TagChanges,
} from "../rpc/protocol.ts";
import type { KeyReport, QueryEvent, SerfEvent } from "../serf/event.ts";
import { INTERNAL_PREFIX, PING_QUERY } from "../serf/internal_query.ts";
import { NO_KEY_REPORT } from "../serf/key_manager.ts";
import type { Member } from "../serf/member.ts";
import { SharedAddresses } from "../serf/shared_addresses.ts";
import { type AgentParts, startDriver } from "./agent_driver.ts";
import type { AgentSettings } from "./config.ts";
import { EventHandlers } from "./event_handlers.ts";
import type { EventHandler } from "./handler_spec.ts";
import { openKeyring } from "./keyring.ts";
import type { AgentLog, LogListener } from "./log.ts";
import { keptTagsText, openTags, tagStoreOf } from "./own_tags.ts";
import { openSnapshot } from "./snapshot.ts";
import { watchSocket } from "./socket_watch.ts";
import { AgentStartError } from "./start_error.ts";
import { TagChanger } from "./tag_changer.ts";
import { refuseOtherTags } from "./tags_file.ts";

export { AgentStartError } from "./start_error.ts";

/** What the log calls each key request. */
const KEY_REQUEST_NAMES = {
  install: "key installation",
  use: "primary key change",
  remove: "key removal",
  list: "key listing",
} as const;

/** The control port could not be opened; the address is to blame. */
export class RpcStartError extends AgentStartError {}

export class Agent implements RpcTarget {
  /** Fulfilled when the agent is down, with the reason. */
  readonly down: Promise<CloseReason>;
  /** All that the agent and its node count. */
  readonly metrics: Metrics;

  readonly #settings: AgentSettings;
  readonly #log: AgentLog;
  readonly #driver: NodeDriver;
  readonly #tagChanger: TagChanger;
  readonly #onDown: (reason: CloseReason) => void;
  readonly #listeners = new Set<(event: SerfEvent) => void>();
  readonly #handlers: EventHandlers;
  #recentMetrics: () => RpcMetricsReport = () => ({
    startedMs: 0,
    intervals: [],
  });
  #rpc: RpcServer | undefined;
  /** Ends the looking after a control port that is a file. */
  #unwatch: (() => void) | undefined;
  #shutdown: Promise<void> | undefined;

  /**
   * Starts gossiping. Commands are served from `serveRpc` on.
   *
   * @param metrics where to count; absent, in one of its own
   * @throws {AgentStartError} nothing is left open then
   */
  static async start(
    settings: AgentSettings,
    log: AgentLog,
    metrics: Metrics = new Metrics(),
  ): Promise<Agent> {
    const tags = await openTags(settings, log);
    const keyring = await openKeyring(settings, log);
    const snapshot = await openSnapshot(settings);
    try {
      const parts = { metrics, keyring, snapshot };
      return new Agent({ ...settings, tags }, log, parts);
    } catch (error) {
      await snapshot?.close();
      throw error;
    }
  }

  private constructor(
    settings: AgentSettings,
    log: AgentLog,
    parts: AgentParts,
  ) {
    const { metrics } = parts;
    this.metrics = metrics;
    this.#settings = settings;
    this.#log = log;
    const { promise, resolve } = Promise.withResolvers<CloseReason>();
    this.down = promise;
    this.#onDown = resolve;
    this.#handlers = new EventHandlers({
      handlers: settings.eventHandlers,
      log: (level, text) => log.log(level, text),
      self: () => this.#driver.localMember(),
      respond: (query, payload) => this.respond(query, payload),
      onInvoked: (script, durationMs) =>
        metrics.sample(`agent.invoke.${script}`).record(durationMs),
      metrics,
    });
    this.subscribeEvents((event) => this.#handlers.handle(event));
    const shared = new SharedAddresses();
    this.subscribeEvents((event) => {
      for (const line of shared.see(event)) this.#warn(line);
    });
    log.log("INFO", "agent: Serf agent starting");
    this.#driver = startDriver(settings, parts, {
      onEvent: (event) => this.#onEvent(event),
      onLog: (level, text) => log.log(level, text),
      onNameLost: () => {
        this.#warn("Serf shutdown detected, quitting");
        this.#stopOnce("nameLost");
      },
    });
    this.#tagChanger = new TagChanger(this.#driver, tagStoreOf(settings, log));
  }

  /**
   * Opens the control port.
   *
   * @param recentMetrics what `metrics` is answered with; absent, with nothing
   * @returns where it listens
   * @throws {AgentStartError} when it cannot be opened; the agent goes on
   */
  async serveRpc(
    recentMetrics: () => RpcMetricsReport = this.#recentMetrics,
  ): Promise<RpcEndpoint> {
    this.#recentMetrics = recentMetrics;
    const at = await this.#resolveRpcAddress();
    try {
      this.#rpc = RpcServer.start({
        target: this,
        at,
        authKey: this.#settings.rpcAuth,
        metrics: this.metrics,
      });
    } catch (error) {
      const reason = "path" in at
        ? `listen unix ${at.path}: bind: ${systemErrorText(error)}`
        : listenErrorText("tcp", at, error);
      throw new RpcStartError(`Error starting RPC listener: ${reason}`, {
        cause: error,
      });
    }
    if ("path" in at) {
      this.#unwatch = watchSocket(
        at.path,
        (level, text) => this.log(level, text),
      );
    }
    return this.#rpc.endpoint;
  }

  /** Where the gossip sockets are bound. */
  get bound(): HostPort {
    return this.#driver.bound;
  }

  /** What other members are told. */
  get advertised(): HostPort {
    return this.#driver.advertised;
  }

  // --- Requests -------------------------------------------------------------

  members(): readonly Member[] {
    return this.#driver.members();
  }

  /**
   * Joins at the addresses.
   *
   * @param replay whether events from before are delivered
   * @returns how many addresses were contacted
   * @throws {Error} when none was, with the text for the user
   */
  async join(addresses: readonly string[], replay: boolean): Promise<number> {
    this.#info(`joining: [${addresses.join(" ")}] replay: ${replay}`);
    try {
      const contacted = await this.#driver.join(addresses, { replay });
      if (contacted > 0) this.#info(`joined: ${contacted} nodes`);
      return contacted;
    } catch (error) {
      this.#warn(`error joining: ${(error as Error).message}`);
      throw error;
    }
  }

  /**
   * Joins at the addresses of seeds. Nobody asked for it, so it is not logged.
   *
   * @returns how many addresses were contacted
   * @throws {Error} when none was
   */
  async joinSeeds(addresses: readonly string[]): Promise<number> {
    return await this.#driver.join(addresses, { replay: false });
  }

  /** Leaves the cluster, for a command: the agent shuts down afterwards. */
  async leave(): Promise<void> {
    try {
      await this.leaveCluster();
    } finally {
      // Not awaited: the command wants its answer before the connection ends.
      this.shutdown();
    }
  }

  /** Leaves the cluster and stays up. */
  async leaveCluster(): Promise<void> {
    this.#info("requesting graceful leave from Serf");
    await this.#driver.leave();
  }

  async forceLeave(node: string, prune: boolean): Promise<void> {
    const how = prune ? "Force leaving node (prune)" : "Force leaving node";
    this.#info(`${how}: ${node}`);
    try {
      await this.#driver.forceLeave(node, { prune });
    } catch (error) {
      this.#warn(`failed to remove node: ${(error as Error).message}`);
      throw error;
    }
  }

  /**
   * Deletes some of our tags, then sets some, writes the tags file, if there is
   * one, and waits until the cluster knows.
   *
   * @throws {Error} with the text for the user
   */
  async changeTags(changes: TagChanges): Promise<void> {
    try {
      await this.#tagChanger.change(changes);
    } catch (error) {
      this.#warn(`failed to change tags: ${(error as Error).message}`);
      throw error;
    }
  }

  /**
   * Takes over the tags of settings that were read again, except where the tags
   * file or `changeTags` says otherwise, and logs what those have kept. Waits until
   * the cluster knows.
   *
   * @throws {Error} with the text for the user
   */
  async reloadTags(tags: ReadonlyMap<string, string>): Promise<void> {
    const { tagsFile } = this.#settings;
    if (tagsFile !== "") refuseOtherTags(tags);
    await this.#tagChanger.reload(tags, (kept) => {
      const text = keptTagsText(kept, tagsFile);
      if (text !== undefined) this.#info(text);
    });
  }

  userEvent(name: string, payload: Uint8Array, coalesce: boolean): void {
    this.log(
      "DEBUG",
      `agent: Requesting user event send: ${name}. Coalesced: ${coalesce}. ` +
        `Payload: ${quoteText(utf8Text(payload))}`,
    );
    try {
      this.#driver.userEvent(name, payload, { coalesce });
    } catch (error) {
      this.#warn(`failed to send user event: ${(error as Error).message}`);
      throw error;
    }
  }

  /**
   * Asks the cluster.
   *
   * @returns gives the query up
   * @throws {Error} with the text for the user
   */
  query(query: RpcQuery, listener: QueryListener): () => void {
    const { name, payload } = query;
    const isInternal = name.startsWith(INTERNAL_PREFIX);
    if (isInternal && (name !== PING_QUERY || payload.length > 0)) {
      throw new RangeError(
        `Queries cannot contain the '${INTERNAL_PREFIX}' prefix`,
      );
    }
    this.log(
      "DEBUG",
      `agent: Requesting query send: ${name}. ` +
        `Payload: ${quoteText(utf8Text(payload))}`,
    );
    try {
      return this.#driver.query(query, listener);
    } catch (error) {
      this.#warn(`failed to start user query: ${(error as Error).message}`);
      throw error;
    }
  }

  /**
   * Answers a query, once.
   *
   * @throws {Error} when it is too late, too long, or answered already
   */
  respond(query: QueryEvent, payload: Uint8Array): void {
    this.#driver.respond(query, payload);
  }

  /** Runs these handlers from the next event on; scripts that run, run on. */
  replaceEventHandlers(handlers: readonly EventHandler[]): void {
    this.#handlers.replace(handlers);
  }

  /**
   * Installs, uses or removes a key at every member, or lists the keys of all.
   *
   * @throws {KeyError} when not every member did it; it carries the report
   */
  async changeKeys(request: RpcKeyRequest): Promise<KeyReport> {
    this.#info(`Initiating ${KEY_REQUEST_NAMES[request.kind]}`);
    if (request.kind === "list") return await this.#driver.changeKeys(request);
    const { kind } = request;
    return await this.#driver.changeKeys({ kind, key: readKey(request.key) });
  }

  /**
   * Figures for operators, by section.
   *
   * `runtime` has the keys of Go's runtime. What runs concurrently here are not
   * goroutines but waiting loops; `goroutines` counts those. All of them share one
   * thread, hence `max_procs`.
   */
  stats(): ReadonlyMap<string, ReadonlyMap<string, string>> {
    return new Map<string, ReadonlyMap<string, string>>([
      ["agent", new Map([["name", this.#settings.nodeName]])],
      [
        "runtime",
        new Map([
          ["os", Deno.build.os],
          ["arch", goArchitecture(Deno.build.arch)],
          ["version", `deno${Deno.version.deno}`],
          ["max_procs", "1"],
          ["goroutines", String(this.loopCount)],
          ["cpu_count", String(navigator.hardwareConcurrency)],
        ]),
      ],
      ["serf", this.#driver.stats()],
      ["tags", this.#driver.localMember().tags],
      ["event_handlers", this.#handlers.stats()],
    ]);
  }

  /** What was counted in the last minute, if somebody keeps that. */
  recentMetrics(): RpcMetricsReport {
    return this.#recentMetrics();
  }

  /**
   * Waiting loops: the datagram reader, the two acceptors, the timer, and one for
   * each open stream and control connection.
   */
  get loopCount(): number {
    return 4 + this.#driver.streamCount + (this.#rpc?.connectionCount ?? 0);
  }

  /** How late the node is with what it has to do, ms; see `NodeDriver`. */
  get overdueMs(): number {
    return this.#driver.overdueMs;
  }

  /** Where a member is in the network; `undefined` when that is not known. */
  coordinate(node: string): Coordinate | undefined {
    return this.#driver.coordinate(node);
  }

  // --- Subscriptions --------------------------------------------------------

  /** Calls `listener` with each event from now on, until the result is called. */
  subscribeEvents(listener: (event: SerfEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  subscribeLog(
    level: LogLevel,
    listener: LogListener,
  ): { backlog: string[]; unsubscribe(): void } {
    return this.#log.subscribe(level, listener);
  }

  log(level: LogLevel, text: string): void {
    this.#log.log(level, text);
  }

  // --- The end --------------------------------------------------------------

  /** Stops everything. Tells the cluster nothing; harmless when repeated. */
  shutdown(): Promise<void> {
    return this.#stopOnce("shutdown");
  }

  #stopOnce(reason: CloseReason): Promise<void> {
    this.#shutdown ??= this.#stop(reason);
    return this.#shutdown;
  }

  async #stop(reason: CloseReason): Promise<void> {
    this.#info("requesting serf shutdown");
    this.#unwatch?.();
    this.#handlers.stop();
    await this.#driver.shutdown();
    this.#info("shutdown complete");
    // Last, so that monitors see how it ended and a leave gets its answer.
    await this.#rpc?.shutdown();
    this.#onDown(reason);
  }

  // --- Inside ---------------------------------------------------------------

  #onEvent(event: SerfEvent): void {
    this.#info(`Received event: ${eventText(event)}`);
    for (const listener of this.#listeners) listener(event);
  }

  async #resolveRpcAddress(): Promise<RpcEndpoint> {
    const { rpcAddr } = this.#settings;
    try {
      const path = unixPathOf(rpcAddr);
      if (path === undefined) return await resolveListenAddress(rpcAddr);
      await removeDeadSocket(path);
      return { path };
    } catch (error) {
      const reason = (error as Error).message;
      throw new RpcStartError(
        `Error starting RPC listener: listen tcp: ${reason}`,
        { cause: error },
      );
    }
  }

  #info(text: string): void {
    this.#log.log("INFO", `agent: ${text}`);
  }

  #warn(text: string): void {
    this.#log.log("WARN", `agent: ${text}`);
  }
}

/** An event in a few words, as log lines name it. */
function eventText(event: SerfEvent): string {
  switch (event.type) {
    case "member-join":
    case "member-leave":
    case "member-failed":
    case "member-update":
    case "member-reap":
      return event.type;
    case "user":
      return `user-event: ${event.name}`;
    case "query":
      return `query: ${event.name}`;
    default:
      return unreachable(event);
  }
}

/** Go's name of a processor architecture. */
function goArchitecture(arch: typeof Deno.build.arch): string {
  return arch === "x86_64" ? "amd64" : "arm64";
}

/** @throws {KeyError} with nothing in its report when the text is no base64 */
function readKey(text: string): Uint8Array {
  try {
    return decodeBase64(text);
  } catch (error) {
    throw new KeyError((error as Error).message, NO_KEY_REPORT);
  }
}
