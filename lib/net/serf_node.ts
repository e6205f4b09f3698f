/**
 * A node for programs: a member of a cluster, embedded in a few lines.
 *
 *     program ──requests──▶ SerfNode ──▶ NodeDriver ──▶ engine and sockets
 *             ◀──events(), queries, closed──┘
 *
 * This is the driver with manners: options are checked and have defaults, events
 * and answers are async iterables with bounded buffers, queries are answered by
 * functions, and `await using` leaves the cluster at the end of a block. The rules
 * are in the files beside it; nothing here knows the protocol.
 *
 * Not for: programs that want to own the loop themselves (`driver.ts`,
 * `lib/serf/engine.ts`), nor for a control port (`lib/agent`).
 */

import {
  type Coordinate,
  distanceNs,
  isCompatible,
} from "../coordinate/coordinate.ts";
import { formatEndpoint } from "../kit/address.ts";
import type { MetricsView } from "../kit/metrics.ts";
import type { SerfState } from "../serf/engine.ts";
import type { SerfEvent } from "../serf/event.ts";
import { INTERNAL_PREFIX } from "../serf/internal_query.ts";
import type { Member } from "../serf/member.ts";
import { NodeDriver } from "./driver.ts";
import { isSelected, type MemberSelection } from "./member_selection.ts";
import {
  type NodeEventOf,
  type NodeEventsOptions,
  type NodeEventType,
  receivedEvent,
} from "./node_event.ts";
import { QueryReplies } from "./query_replies.ts";
import {
  EVENTS_WAITING_MAX,
  type Payload,
  payloadBytes,
  receivedReply,
  type TextMap,
  textMap,
} from "./received.ts";
import { type Responder, Responders } from "./responders.ts";
import {
  logSink,
  type ResolvedOptions,
  resolveOptions,
  type SerfNodeOptions,
} from "./serf_node_options.ts";
import { Subscription } from "./subscription.ts";

/** How a question is asked. */
export interface QueryOptions {
  /** What the question is about; empty unless given. */
  readonly payload?: Payload;
  /** Only the members of these names are asked; absent or empty for all. */
  readonly nodes?: readonly string[];
  /**
   * Only members with these tags are asked: by name of the tag, an expression in
   * RE2 syntax that its value must contain a match of. A tag that a member lacks
   * counts as the empty text.
   */
  readonly tags?: TextMap;
  /** Whether everybody who is asked says at once that it is there. */
  readonly acks?: boolean;
  /** Through how many others each reply is sent as well, 0 (default) to 255. */
  readonly relayFactor?: number;
  /**
   * How long to wait, ms. Unless it is given, or 0: 16 gossip intervals times
   * ceil(log10(members + 1)), that is 3.2 s for up to 9 members of a LAN.
   */
  readonly timeoutMs?: number;
  /** Gives the query up when it is aborted. */
  readonly signal?: AbortSignal;
}

/**
 * Why a node is down: its program shut it down, or the members decided that its
 * name is another node's.
 */
export type CloseReason = "shutdown" | "nameLost";

/**
 * One member of a cluster, living in this process.
 *
 *     alive ──leave()──▶ leaving ──▶ left
 *       └────────────────────┴─────────┴──shutdown()──▶ shutdown
 *
 * `await using` leaves the cluster at the end of the block, so that the others see
 * it left and not failed, and then shuts down.
 *
 * ```ts
 * import { SerfNode } from "@serf/serf";
 * import assert from "node:assert/strict";
 *
 * const options = { bind: "127.0.0.1:0", profile: "local" } as const;
 * await using web = await SerfNode.start({ ...options, name: "web" });
 * await using db = await SerfNode.start({
 *   ...options,
 *   name: "db",
 *   tags: { role: "db" },
 * });
 *
 * db.respondTo("load", () => "0.31");
 * await db.join(web.address);
 * const { responses } = await web.query("load", { nodes: ["db"] }).collect();
 * assert.equal(responses[0]?.text, "0.31");
 * assert.equal(web.member("db")?.tags.get("role"), "db");
 * ```
 */
export class SerfNode {
  /** Our name in the cluster. */
  readonly name: string;
  /**
   * Fulfilled when the node is down, with the reason. It is never rejected.
   */
  readonly closed: Promise<CloseReason>;

  readonly #driver: NodeDriver;
  readonly #joinPort: number;
  /** Event streams, and the types that each wants unless it wants all. */
  readonly #subscriptions = new Map<
    Subscription<NodeEventOf<NodeEventType>>,
    ReadonlySet<string> | undefined
  >();
  readonly #responders: Responders;
  readonly #onClosed: (reason: CloseReason) => void;
  #leave: Promise<void> | undefined;

  /**
   * Opens the sockets and becomes a cluster of one.
   *
   * ```ts
   * import { SerfNode } from "@serf/serf";
   *
   * await using node = await SerfNode.start({
   *   name: "web1",
   *   bind: "127.0.0.1:0",
   *   tags: { role: "web" },
   *   onLog: (level, text) => console.error(level, text),
   *   logLevel: "WARN",
   * });
   * ```
   *
   * @throws {BindError} when a socket cannot be bound, the name of a host is not
   * known, or this machine has no address to tell others
   * @throws {SyntaxError} when an address or a key cannot be read
   * @throws {SnapshotError} when the snapshot cannot be opened or read
   * @throws {RangeError} when another option is out of range; with any of these
   * errors nothing is left open
   */
  static async start(options: SerfNodeOptions = {}): Promise<SerfNode> {
    const resolved = await resolveOptions(options);
    try {
      return new SerfNode(resolved, options);
    } catch (error) {
      await resolved.snapshot?.close();
      throw error;
    }
  }

  private constructor(resolved: ResolvedOptions, options: SerfNodeOptions) {
    const { joinPort, ...driverOptions } = resolved;
    const log = logSink(options);
    const { promise, resolve } = Promise.withResolvers<CloseReason>();
    this.closed = promise;
    this.#onClosed = resolve;
    this.#joinPort = joinPort;
    this.#responders = new Responders((text, error) => {
      // What was still being worked at when we shut down is nobody's mistake.
      if (this.state === "shutdown") return;
      if (options.onLog !== undefined) log("ERR", `serf: ${text}`);
      else console.error(text, ...error instanceof Error ? [error] : []);
    });
    this.#driver = NodeDriver.start({
      ...driverOptions,
      onEvent: (event) => this.#onEvent(event),
      onLog: log,
      onNameLost: () => this.#close("nameLost"),
    });
    this.name = resolved.config.swim.name;
  }

  // --- The cluster ----------------------------------------------------------

  /**
   * Joins the clusters that live at some addresses.
   *
   * @param addresses `HOST`, `HOST:PORT`, `[V6]:PORT`, or with the name of the
   * expected node in front, `NAME/HOST:PORT`. A host may be a name, of which all
   * addresses are tried. The port is the one that we are bound to unless given;
   * 7946 if that was the system's choice
   * @param options `replay`: whether to be told the recent user events of before
   * we joined, default not
   * @returns how many addresses were contacted, at least one unless there are none
   * @throws {JoinError} when none could be contacted; its `errors` tell why
   * @throws {StateError} after a leave or a shutdown
   */
  async join(
    addresses: string | readonly string[],
    options: { readonly replay?: boolean } = {},
  ): Promise<number> {
    return await this.#driver.join([addresses].flat(), {
      replay: options.replay ?? false,
      defaultPort: this.#joinPort,
    });
  }

  /**
   * Leaves the cluster in good order, and waits until that has spread: at least a
   * second, and no longer than 11 unless the settings say otherwise. The node goes
   * on answering until `shutdown`, and cannot come back; a second call waits for
   * the first.
   *
   * @throws {StateError} after a shutdown
   * @throws {Error} `timeout while waiting for graceful leave` when others were
   * there and none has acknowledged it: we have left, and they may call us failed;
   * and when a shutdown cuts it short
   */
  leave(): Promise<void> {
    return this.#leave ??= this.#driver.leave();
  }

  /**
   * Makes the cluster take a failed member for one that has left. A member that is
   * alive refutes. Nobody checks that there is one of that name.
   *
   * @param options `prune`: the member is forgotten entirely, default not
   * @throws {StateError} after a shutdown
   * @throws {Error} when nobody was told within 5 s, or a shutdown cuts it short
   */
  async forceLeave(
    name: string,
    options: { readonly prune?: boolean } = {},
  ): Promise<void> {
    await this.#driver.forceLeave(name, { prune: options.prune ?? false });
  }

  /**
   * Stops at once and closes everything. The cluster is told nothing: without a
   * `leave` before, it will find out and call us failed. Event streams end, what
   * is under way fails. Harmless when repeated.
   *
   * @returns settles when the port is free again and the snapshot, if there is
   * one, is safe on the disk
   */
  async shutdown(): Promise<void> {
    const freed = this.#driver.shutdown();
    this.#close("shutdown");
    await freed;
  }

  /** Leaves the cluster, unless that is done already, and shuts down. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.state !== "shutdown") await this.leave();
    } catch {
      // Nobody heard of it, which the log tells, or a shutdown came first: that
      // is all that is still wanted.
    }
    await this.shutdown();
  }

  /** What we are doing as a whole. */
  get state(): SerfState {
    return this.#driver.state;
  }

  /** Where others reach us, as they would give it to `join`: `10.0.0.1:7946`. */
  get address(): string {
    const { host, port } = this.#driver.advertised;
    return formatEndpoint(host, port);
  }

  // --- Members --------------------------------------------------------------

  /**
   * The members that we know, ourselves included, sorted by name: a snapshot.
   *
   * ```ts
   * import { SerfNode } from "@serf/serf";
   * import assert from "node:assert/strict";
   *
   * await using node = await SerfNode.start({
   *   bind: "127.0.0.1:0",
   *   tags: { role: "web-eu" },
   * });
   * const webs = node.members({ status: "alive", tags: { role: /^web/ } });
   * assert.equal(webs.length, 1);
   * ```
   */
  members(selection: MemberSelection = {}): Member[] {
    return this.#driver.members().filter((member) =>
      isSelected(member, selection)
    );
  }

  /** A member of any status, `undefined` when nobody of that name is known. */
  member(name: string): Member | undefined {
    return this.#driver.member(name);
  }

  /** Ourselves, as the others see us. */
  get self(): Member {
    return this.#driver.localMember();
  }

  /** Our own tags; all of them, also where a version below 3 shows the role alone. */
  get tags(): ReadonlyMap<string, string> {
    return this.#driver.tags;
  }

  /**
   * Replaces all our tags and waits until the change has spread.
   *
   * @throws {RangeError} when they are longer than 512 bytes encoded; the old ones
   * stay
   * @throws {StateError} after a leave or a shutdown
   * @throws {Error} when nobody was told within 5 s, though the tags are ours now,
   * or a shutdown cuts it short
   */
  async setTags(tags: TextMap): Promise<void> {
    await this.#driver.setTags(textMap(tags));
  }

  /**
   * Changes some of our tags and leaves the others as they are. Errors as for
   * `setTags`.
   *
   * @param changes new values by name; `undefined` takes a tag away
   */
  async updateTags(
    changes: Readonly<Record<string, string | undefined>>,
  ): Promise<void> {
    const tags = new Map(this.tags);
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined) tags.delete(name);
      else tags.set(name, value);
    }
    await this.setTags(tags);
  }

  /**
   * Where a member is in the network, ourselves unless told otherwise.
   *
   * @returns `undefined` for members that we have not pinged yet, and for nobody's
   * name
   */
  coordinate(name: string = this.name): Coordinate | undefined {
    return this.#driver.coordinate(name);
  }

  /**
   * Estimated round trip time between two members, ms, computed from their
   * coordinates: nothing is sent.
   *
   * @param from ourselves unless given
   * @returns `undefined` when we do not know where one of them is
   */
  estimateRttMs(to: string, from: string = this.name): number | undefined {
    const [a, b] = [this.coordinate(from), this.coordinate(to)];
    if (a === undefined || b === undefined) return undefined;
    return isCompatible(a, b) ? distanceNs(a, b) / 1e6 : undefined;
  }

  /** Figures for operators, as `serf info` shows them in its section `serf`. */
  stats(): ReadonlyMap<string, string> {
    return this.#driver.stats();
  }

  /**
   * Everything that this node counts, under the names of the originals: `read()`
   * gives all values at this moment, `subscribe()` tells of each change at once.
   * Counting goes on, and can be read, also after the end.
   *
   * ```ts
   * import { SerfNode } from "@serf/serf";
   * import assert from "node:assert/strict";
   *
   * await using node = await SerfNode.start({ name: "a", bind: "127.0.0.1:0" });
   * node.userEvent("deploy", "v42");
   * const counted = node.metrics.read().find(({ metric }) =>
   *   metric.name === "serf.events.deploy"
   * );
   * assert.ok(counted !== undefined && "value" in counted);
   * assert.equal(counted.value, 1);
   * ```
   */
  get metrics(): MetricsView {
    return this.#driver.metrics;
  }

  // --- Events ---------------------------------------------------------------

  /**
   * What happens from now on, in the order in which we learn it.
   *
   * The stream begins with this call, not with the first look at it, and ends with
   * the node; `break` ends it earlier. Streams do not disturb each other: each has
   * its own buffer. When a consumer is so slow that 1,024 events wait, the oldest
   * are dropped, and a `lost` event in their place says how many; it comes whatever
   * the `types`.
   *
   * ```ts
   * import { SerfNode } from "@serf/serf";
   * import assert from "node:assert/strict";
   *
   * await using node = await SerfNode.start({ name: "a", bind: "127.0.0.1:0" });
   * const events = node.events({ types: ["user", "member-failed"] });
   * node.userEvent("deploy", "v42");
   * for await (const event of events) {
   *   if (event.type === "lost") console.error(`missed ${event.count} events`);
   *   if (event.type !== "user") continue;
   *   assert.equal(event.text, "v42");
   *   break;
   * }
   * ```
   *
   * @throws {RangeError} when `bufferMax` is less than 1
   */
  events<T extends NodeEventType = NodeEventType>(
    options: NodeEventsOptions<T> = {},
  ): Subscription<NodeEventOf<T>> {
    const { bufferMax = EVENTS_WAITING_MAX, signal, types } = options;
    const subscription = new Subscription<NodeEventOf<NodeEventType>>({
      bufferMax,
      lostNotice: (count) => ({ type: "lost", count }),
      signal,
      onEnd: () => this.#subscriptions.delete(subscription),
    });
    if (this.state === "shutdown") subscription.end();
    if (!subscription.isEnded) {
      this.#subscriptions.set(subscription, types && new Set(types));
    }
    // The filter sees to it that no other types come in.
    return subscription as unknown as Subscription<NodeEventOf<T>>;
  }

  /**
   * Sends an event to every member, ourselves included. Members that join later do
   * not get it, unless they ask for a replay.
   *
   * @param payload together with the name at most 512 bytes encoded, unless the
   * settings say otherwise
   * @param options `coalesce`: receivers may keep only the newest of the name,
   * default not
   * @throws {RangeError} when it is too long; nothing was sent
   * @throws {StateError} after a shutdown
   */
  userEvent(
    name: string,
    payload: Payload = "",
    options: { readonly coalesce?: boolean } = {},
  ): void {
    const { coalesce = false } = options;
    this.#driver.userEvent(name, payloadBytes(payload), { coalesce });
  }

  // --- Queries --------------------------------------------------------------

  /**
   * Asks the members a question, ourselves included. It is sent by this call,
   * whether or not somebody reads what comes back.
   *
   * ```ts
   * import { SerfNode } from "@serf/serf";
   * import assert from "node:assert/strict";
   *
   * await using node = await SerfNode.start({ name: "a", bind: "127.0.0.1:0" });
   * node.respondTo("sum", (query) => {
   *   const [a = 0, b = 0] = query.text.split("+").map(Number);
   *   return String(a + b);
   * });
   * const { acks, responses } = await node
   *   .query("sum", { payload: "1+2", acks: true })
   *   .collect();
   * assert.deepEqual(acks, ["a"]);
   * assert.equal(responses[0]?.text, "3");
   * ```
   *
   * @param name not one that begins with `_serf_`, which are Serf's own
   * @throws {RangeError} when name, payload and filters are longer than 1024 bytes
   * encoded, or a number is out of range
   * @throws {StateError} after a shutdown, and when 1,024 queries are running
   */
  query(name: string, options: QueryOptions = {}): QueryReplies {
    if (name.startsWith(INTERNAL_PREFIX)) {
      throw new RangeError(
        `Queries cannot contain the '${INTERNAL_PREFIX}' prefix`,
      );
    }
    const { payload = "", nodes = [], tags = {}, signal } = options;
    let giveUp = () => {};
    const replies = new QueryReplies(signal, () => giveUp());
    // Aborted before it was asked.
    if (replies.isEnded) return replies;
    const forget = this.#driver.query({
      name,
      payload: payloadBytes(payload),
      filterNodes: nodes,
      filterTags: textMap(tags),
      requestAck: options.acks ?? false,
      relayFactor: options.relayFactor ?? 0,
      timeoutMs: options.timeoutMs ?? 0,
    }, {
      onReply: (reply) => replies.push(receivedReply(reply)),
      onDone: () => replies.end(),
    });
    giveUp = forget;
    return replies;
  }

  /**
   * Lets a function answer all queries of a name, also our own, from now on.
   *
   * The function may be asynchronous. When it returns `undefined` there is no
   * answer; when it throws, or the answer is too long or comes too late, there is
   * none either, and the failure is logged.
   *
   * @returns ends it
   * @throws {StateError} when there is a responder of that name: a query is
   * answered once
   */
  respondTo(name: string, responder: Responder): () => void {
    return this.#responders.add(name, responder);
  }

  // --- Inside ---------------------------------------------------------------

  #onEvent(given: SerfEvent): void {
    const event = receivedEvent(
      given,
      (query, payload) => this.#driver.respond(query, payload),
    );
    for (const [subscription, types] of this.#subscriptions) {
      if (types === undefined || types.has(event.type)) {
        subscription.push(event);
      }
    }
    if (event.type === "query") this.#responders.handle(event);
  }

  #close(reason: CloseReason): void {
    for (const subscription of this.#subscriptions.keys()) subscription.end();
    this.#onClosed(reason);
  }
}
